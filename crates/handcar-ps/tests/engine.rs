//! Claims about the engines alone: messages are moved by hand, in any order a network might choose.

mod common;

use common::{keys, registry};
use handcar_base::{Key, Rng, Seed};
use handcar_ps::carried::{Carried, Through};
use handcar_ps::engine::policy::Policy;
use handcar_ps::engine::server::{Input as ServerInput, Output as ServerOutput, ServerEngine, ServerParams};
use handcar_ps::engine::task::{Submission, Work};
use handcar_ps::engine::view::{View, unplaced};
use handcar_ps::engine::worker::{Input, WorkerEngine, WorkerParams};
use handcar_ps::filter::TableFilters;
use handcar_ps::message::{Answer, Ask, Keys, Millis, ReduceOp, Reply, Request};
use handcar_ps::portion::Given;
use handcar_ps::{Dtype, Error, Shape, TableId, Task, Values};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const DEADLINE_MS: u64 = 1000;

/// Engines and the wires between them; each wire keeps its order, no two wires do.
struct World {
    workers: Vec<WorkerEngine>,
    servers: Vec<ServerEngine>,
    up: BTreeMap<(usize, usize), VecDeque<Request>>,
    down: BTreeMap<(usize, usize), VecDeque<Reply>>,
    rng: Rng,
    now: Millis,
    full_lists: usize,
    named_lists: usize,
}

impl World {
    fn new(workers: usize, servers: usize, seed: u64, server_cache: usize) -> Self {
        let params = WorkerParams {
            workers,
            deadline_ms: DEADLINE_MS,
            resend_ms: None,
            shared_memory: false,
            plan_bytes_max: 1 << 20,
            key_cache_bytes_max: 1 << 20,
        };
        let view = Arc::new(View::first(unplaced(0..servers), 1));
        let server = |id| {
            let params = ServerParams { key_cache_bytes_max: server_cache, ..ServerParams::new(id, workers) };
            let mut engine = ServerEngine::new(params, registry());
            engine.step(Millis(0), ServerInput::View(Arc::clone(&view)), &mut Vec::new());
            engine
        };
        let mut world = Self {
            workers: (0..workers).map(|_| WorkerEngine::new(params.clone(), Arc::clone(&view))).collect(),
            servers: (0..servers).map(server).collect(),
            up: BTreeMap::new(),
            down: BTreeMap::new(),
            rng: Rng::new(Seed(seed), 1),
            now: Millis(0),
            full_lists: 0,
            named_lists: 0,
        };
        for w in 0..workers {
            let work = Work::Create {
                name: "t".into(),
                updater: "sum.i64".into(),
                params: vec![],
                filters: TableFilters::default(),
            };
            world.submit(w, work, &[]).unwrap();
        }
        world.settle();
        world
    }

    fn submit(&mut self, worker: usize, work: Work, after: &[Task]) -> Result<Task, Error> {
        let mut out = Vec::new();
        let submission = Submission { table: TableId(0), after: after.into(), work };
        let task = self.workers[worker].submit(self.now, submission, &mut out);
        self.carry(worker, out);
        task
    }

    fn carry(&mut self, worker: usize, out: Vec<handcar_ps::engine::worker::Output>) {
        for o in out {
            match &o.request.ask {
                Ask::Move { keys: Keys::Sent(_), .. } => self.full_lists += 1,
                Ask::Move { keys: Keys::Named { .. }, .. } => self.named_lists += 1,
                _ => {}
            }
            self.up.entry((worker, o.server)).or_default().push_back(o.request);
        }
    }

    /// Delivers one message of a random wire; `false` if there is none.
    fn deliver(&mut self) -> bool {
        let up: Vec<_> = self.up.iter().filter(|(_, q)| !q.is_empty()).map(|(&k, _)| (true, k)).collect();
        let down = self.down.iter().filter(|(_, q)| !q.is_empty()).map(|(&k, _)| (false, k));
        let wires: Vec<_> = up.into_iter().chain(down).collect();
        if wires.is_empty() {
            return false;
        }
        let (upwards, (worker, server)) = wires[self.rng.below(wires.len() as u64) as usize];
        if upwards {
            let request = self.up.get_mut(&(worker, server)).and_then(VecDeque::pop_front).unwrap();
            self.serve(server, ServerInput::Request { worker, request });
        } else {
            let reply = self.down.get_mut(&(worker, server)).and_then(VecDeque::pop_front).unwrap();
            let mut out = Vec::new();
            self.workers[worker].step(self.now, Input::Reply { server, reply }, &mut out).unwrap();
            self.carry(worker, out);
        }
        true
    }

    fn serve(&mut self, server: usize, input: ServerInput) {
        let mut out = Vec::new();
        self.servers[server].step(self.now, input, &mut out);
        for o in out {
            let ServerOutput::Reply { worker, reply } = o else { panic!("one copy of each key: {o:?}") };
            self.down.entry((worker, server)).or_default().push_back(reply);
        }
    }

    fn settle(&mut self) {
        while self.deliver() {}
    }
}

fn moving(list: &[Key], push: Option<Vec<i64>>, pull: bool) -> Work {
    let aggregate = push.is_some();
    let pull = pull.then(|| Values::I64(vec![]));
    Work::Move {
        keys: keys(list),
        aggregate,
        args: vec![],
        push: push.map(Values::from),
        pull,
        through: Through::All,
        tag: None,
    }
}

fn pulled(world: &mut World, worker: usize, list: &[Key]) -> Vec<i64> {
    let task = world.submit(worker, moving(list, None, true), &[]).unwrap();
    world.settle();
    world.workers[worker].take(task).unwrap().pulled.and_then(Values::into_vec).unwrap()
}

#[test]
fn a_key_list_travels_once() {
    let mut w = World::new(1, 2, 1, 1 << 20);
    for _ in 0..5 {
        w.submit(0, moving(&[1, 2, 3, 4, 5, 6, 7], Some(vec![1; 7]), false), &[]).unwrap();
        w.settle();
    }
    assert_eq!((w.full_lists, w.named_lists), (2, 8));
}

#[test]
fn key_cache_miss_is_resent() {
    // Room for one list: each push evicts the other's.
    let mut w = World::new(2, 1, 1, 100);
    let (a, b) = ([1, 2, 3, 4], [3, 4, 5, 6]);
    for _ in 0..3 {
        for list in [a, b] {
            for worker in 0..2 {
                w.submit(worker, moving(&list, Some(vec![1, 10, 100, 1000]), true), &[]).unwrap();
            }
            w.settle();
        }
    }
    assert!(w.full_lists > 6 && w.named_lists > 4, "{} {}", w.full_lists, w.named_lists);
    assert_eq!(pulled(&mut w, 0, &[1, 2, 3, 4, 5, 6]), [6, 60, 606, 6060, 600, 6000]);
}

#[test]
fn a_missed_list_keeps_its_values_when_the_driver_copied_them_out() {
    let mut w = World::new(1, 1, 1, 1);
    let push = |w: &mut World| w.submit(0, moving(&[7], Some(vec![5]), true), &[]).unwrap();
    push(&mut w);
    w.settle();
    w.submit(0, moving(&[8], Some(vec![1]), false), &[]).unwrap();
    w.settle();
    let task = push(&mut w);
    // As a network would: the request is copied, the original comes back, the copy travels.
    let request = w.up[&(0, 0)][0].clone();
    w.workers[0].step(w.now, Input::Sent { server: 0, request }, &mut Vec::new()).unwrap();
    let request = w.up.get_mut(&(0, 0)).and_then(VecDeque::pop_front).unwrap();
    let mut out = Vec::new();
    w.servers[0].step(w.now, ServerInput::Request { worker: 0, request }, &mut out);
    let ServerOutput::Reply { reply, .. } = &out[0] else { panic!("{out:?}") };
    assert!(matches!(reply.answer, Answer::Miss { .. }));
    let reply = Reply { task, epoch: 1, answer: Answer::Miss { push: None, pull: None } };
    let mut out = Vec::new();
    w.workers[0].step(w.now, Input::Reply { server: 0, reply }, &mut out).unwrap();
    w.carry(0, out);
    w.settle();
    assert_eq!(w.workers[0].take(task).unwrap().pulled, Some(vec![10i64].into()));
}

#[test]
fn a_task_starts_only_after_those_it_is_after() {
    let mut w = World::new(1, 1, 1, 1 << 20);
    let first = w.submit(0, moving(&[1], Some(vec![4]), false), &[]).unwrap();
    let second = w.submit(0, moving(&[1], None, true), &[first]).unwrap();
    assert_eq!(w.up[&(0, 0)].len(), 1, "the pull is held");
    w.settle();
    assert!(w.workers[0].finished(second));
    assert_eq!(w.workers[0].take(second).unwrap().pulled, Some(vec![4i64].into()));
}

#[test]
fn collectives_are_applied_in_order_even_if_one_was_held_back() {
    // "assign" shows the order: the last one applied stays.
    let mut w = World::new(1, 1, 1, 1 << 20);
    let table = TableId(1);
    let submit = |w: &mut World, work, after: &[Task]| {
        let mut out = Vec::new();
        let task = w.workers[0].submit(w.now, Submission { table, after: after.into(), work }, &mut out).unwrap();
        w.carry(0, out);
        task
    };
    submit(
        &mut w,
        Work::Create {
            name: "a".into(),
            updater: "assign.i64".into(),
            params: vec![],
            filters: TableFilters::default(),
        },
        &[],
    );
    w.settle();
    let gate = submit(&mut w, moving(&[9], None, true), &[]);
    submit(&mut w, moving(&[1], Some(vec![1]), false), &[gate]);
    submit(&mut w, moving(&[1], Some(vec![2]), false), &[]);
    w.settle();
    let last = submit(&mut w, moving(&[1], None, true), &[]);
    w.settle();
    assert_eq!(w.workers[0].take(last).unwrap().pulled, Some(vec![2i64].into()));
}

#[test]
fn bounded_delay_never_exceeds_tau() {
    for (policy, tau) in [(Policy::Sequential, 0), (Policy::BoundedDelay(1), 1), (Policy::BoundedDelay(4), 4)] {
        let mut w = World::new(3, 2, tau, 1 << 20);
        let mut sent = [Vec::new(), Vec::new(), Vec::new()];
        w.workers.iter_mut().for_each(|e| e.set_policy(policy));
        while sent.iter().any(|s: &Vec<Task>| s.len() < 40) {
            let worker = w.rng.below(3) as usize;
            if sent[worker].len() < 40 && w.workers[worker].blocker(TableId(0)).is_none() {
                let open = sent[worker].iter().filter(|&&t| !w.workers[worker].finished(t)).count();
                assert!(open as u64 <= tau, "task {} starts past {open} unfinished", sent[worker].len());
                let task = w.submit(worker, moving(&[1, 2], Some(vec![1, 1]), false), &[]).unwrap();
                sent[worker].push(task);
            }
            w.deliver();
        }
        // The bound is used, not only kept.
        assert_eq!(w.workers.iter().map(|w| w.staleness().len() as u64 - 1).max(), Some(tau));
        w.settle();
        assert_eq!(pulled(&mut w, 0, &[1, 2]), [120, 120]);
    }
}

#[test]
fn missing_workers_are_named_and_late_answers_ignored() {
    let mut w = World::new(3, 1, 1, 1 << 20);
    let task = w.submit(1, moving(&[1], Some(vec![1]), true), &[]).unwrap();
    w.settle();
    w.now = Millis(DEADLINE_MS);
    w.serve(0, ServerInput::Tick);
    w.settle();
    let error = w.workers[1].take(task).unwrap_err();
    let text =
        "push_pull: expected an answer within 1000 ms, still waiting for worker 0, worker 2 (told by server 0 of 1)";
    assert_eq!(error.to_string(), text);
    for worker in [0, 2] {
        w.submit(worker, moving(&[1], Some(vec![1]), true), &[]).unwrap();
    }
    w.settle();
    assert_eq!(pulled(&mut w, 1, &[1]), [3], "the round itself went on");
}

#[test]
fn a_silent_server_is_named() {
    let mut w = World::new(1, 3, 1, 1 << 20);
    let task = w.submit(0, moving(&(0..64).collect::<Vec<_>>(), None, true), &[]).unwrap();
    w.up.remove(&(0, 1));
    w.settle();
    w.now = w.workers[0].next_due().unwrap();
    w.workers[0].step(w.now, Input::Tick, &mut Vec::new()).unwrap();
    let text = "pull: expected an answer within 1000 ms, still waiting for server 1";
    assert_eq!(w.workers[0].take(task).unwrap_err().to_string(), text);
}

#[test]
fn a_push_out_of_time_is_asked_for_until_it_is_answered() {
    let mut w = World::new(1, 1, 1, 1 << 20);
    let late = w.submit(0, moving(&[7], Some(vec![5]), false), &[]).unwrap();
    // It is on its way, slowly.
    let slow = w.up.remove(&(0, 0)).unwrap();
    w.now = w.workers[0].next_due().unwrap();
    w.workers[0].step(w.now, Input::Tick, &mut Vec::new()).unwrap();
    assert!(matches!(w.workers[0].take(late), Err(Error::Deadline { op: "push", .. })));
    assert!(!w.workers[0].busy() && w.workers[0].next_due().is_none() && w.workers[0].take(late).is_ok());
    let next = w.submit(0, moving(&[7], Some(vec![1]), false), &[]).unwrap();
    assert_eq!(w.up[&(0, 0)][0].answered, late, "servers must not believe that it comes no more");
    let sent = w.up.remove(&(0, 0)).unwrap();
    w.up.insert((0, 0), slow.into_iter().chain(sent).collect());
    w.settle();
    assert!(w.workers[0].take(next).is_ok());
    assert_eq!(pulled(&mut w, 0, &[7]), [6]);
    w.submit(0, moving(&[7], Some(vec![1]), false), &[]).unwrap();
    assert!(w.up[&(0, 0)][0].answered > next, "now it has its answer");
}

#[test]
fn answers_that_fit_no_question_are_errors() {
    let stray = |task, answer| Input::Reply { server: 0, reply: Reply { task: Task(task), epoch: 1, answer } };
    let moved =
        |pulled: Option<Values>| Answer::Moved { pulled: pulled.map(Carried::Plain), spent: None, notes: vec![] };
    let (miss, shape) = (
        Answer::Miss { push: None, pull: None },
        Shape { push: Dtype::F32, push_width: 1, pull: Dtype::F32, pull_width: 1 },
    );
    let (given, copied) = (Answer::Given(Given::Over), Answer::Copied { count: 0, entries: Default::default() });
    let (called, reduced, created) = (Answer::Called(vec![]), Answer::Reduced(vec![1]), Answer::Created(shape));
    let ints = |n| Some(vec![0i64; n].into());
    let (pull, push) = (moving(&[1, 2, 3], None, true), moving(&[1, 2, 3], Some(vec![1; 3]), false));
    let (reduce, call) = (Work::Reduce { op: ReduceOp::Sum, words: vec![1, 2] }, Work::Call { args: vec![] });
    let all = [&miss, &given, &copied, &called, &reduced, &created, &Answer::Installed, &Answer::Behind];
    let but = |fits: &[&Answer]| all.into_iter().filter(|a| !fits.contains(a)).cloned().collect::<Vec<_>>();
    let short = [ints(2), ints(4), None, Some(vec![0f64; 3].into())].map(moved);
    // What is asked, and the answers that do not fit it.
    let cases: [(Work, Vec<Answer>); 4] = [
        (pull, [but(&[&miss, &Answer::Behind]), short.into()].concat()),
        (push, [but(&[&miss, &Answer::Behind]), vec![moved(ints(3))]].concat()),
        (reduce, but(&[])),
        (call, [but(&[&called]), vec![moved(None)]].concat()),
    ];
    for (work, answers) in cases {
        let mut w = World::new(1, 1, 1, 1 << 20);
        assert!(w.workers[0].step(w.now, stray(99, called.clone()), &mut Vec::new()).is_err(), "an unknown task");
        let task = w.submit(0, work, &[]).unwrap();
        // Whatever a server says, the worker does not panic; it takes none of it for its answer.
        for answer in answers {
            let told = w.workers[0].step(w.now, stray(task.0, answer.clone()), &mut Vec::new());
            assert!(matches!(told, Err(Error::Wire { .. })), "{answer:?}: {told:?}");
        }
        assert!(!w.workers[0].finished(task));
    }
}

#[derive(Clone, Debug)]
struct Step {
    /// What each worker pushes.
    pushes: Vec<BTreeMap<Key, i64>>,
    deliver: u8,
}

proptest! {
    #[test]
    fn any_program_equals_a_serial_reference(
        workers in 1usize..4, servers in 1usize..4, seed: u64, cache in prop::sample::select(vec![1usize, 200, 1 << 20]),
        steps in prop::collection::vec(
            (prop::collection::vec(prop::collection::btree_map(0u64..30, any::<i64>(), 0..8), 3), any::<u8>())
                .prop_map(|(pushes, deliver)| Step { pushes, deliver }),
            1..12,
        ),
    ) {
        let mut w = World::new(workers, servers, seed, cache);
        w.workers.iter_mut().for_each(|e| e.set_policy(Policy::Eventual));
        let mut reference: BTreeMap<Key, i64> = BTreeMap::new();
        let mut expected = Vec::new();
        for step in &steps {
            for worker in 0..workers {
                for (k, v) in &step.pushes[worker] {
                    let e = reference.entry(*k).or_default();
                    *e = e.wrapping_add(*v);
                }
            }
            for worker in 0..workers {
                let (list, values): (Vec<Key>, Vec<i64>) = step.pushes[worker].iter().map(|(k, v)| (*k, *v)).unzip();
                let task = w.submit(worker, moving(&list, Some(values), true), &[]).unwrap();
                // A push_pull shows its own round's sums, whatever else is under way.
                expected.push((worker, task, list.iter().map(|k| reference[k]).collect::<Vec<_>>()));
            }
            for _ in 0..step.deliver % 16 {
                w.deliver();
            }
        }
        w.settle();
        for (worker, task, values) in expected {
            prop_assert_eq!(w.workers[worker].take(task).unwrap().pulled, Some(values.into()));
        }
    }
}
