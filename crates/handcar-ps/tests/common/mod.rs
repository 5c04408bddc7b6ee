//! Claims about any driver: each test body takes a way to start a cluster.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod checkpoints;
pub mod filters;
pub mod trial;

use handcar_base::{Key, KeyList, Rng, Seed};
use handcar_ps::filter::{Block, Context, Filter, FilterError, Payload};
use handcar_ps::{Error, Policy, Registry, Store, TableId, Updater, Values, Worker};
use std::collections::BTreeMap;

/// A running cluster: its workers, and what must be true after all of them have finished.
pub struct Cluster {
    pub workers: Vec<Worker>,
    pub ended: Box<dyn FnOnce()>,
}

/// Starts a cluster of workers and servers whose tasks may take some milliseconds.
pub type Start = fn(workers: usize, servers: usize, deadline_ms: u64) -> Cluster;

pub const PATIENT_MS: u64 = 60_000;

/// A server function with everything in it: signed integer sums, a step given with the push, notes, calls.
pub struct Probe {
    step: i64,
    applied: i64,
    pub calls: i64,
}

impl Updater for Probe {
    type Entry = (i64, f32);
    type Push = i64;
    type Pull = f32;

    fn push_width(&self) -> usize {
        2
    }

    fn init(&self, _key: Key) -> Self::Entry {
        (0, 0.5)
    }

    fn begin(&mut self, args: &[u8]) -> Result<(), String> {
        self.step = match args {
            [] => 1,
            [step] => *step as i64,
            _ => return Err(format!("expected at most 1 argument byte, got {}", args.len())),
        };
        self.applied = 0;
        Ok(())
    }

    fn apply(&mut self, key: Key, entry: &mut Self::Entry, pushed: &[i64]) {
        self.applied += 1;
        entry.0 = entry.0.wrapping_add(pushed[0].wrapping_mul(self.step));
        entry.1 += (entry.0 as f32 + pushed[1] as f32) / (1.0 + key as f32);
    }

    fn end(&mut self) -> Vec<u8> {
        self.applied.to_le_bytes().to_vec()
    }

    fn read(&self, _key: Key, entry: &Self::Entry, out: &mut [f32]) {
        out[0] = entry.1;
    }

    fn call(&mut self, store: &mut Store<Self::Entry>, args: &[u8]) -> Result<Vec<u8>, String> {
        self.calls += 1;
        if args == b"refuse" {
            return Err("expected politeness, got none".into());
        }
        let mut reply = self.calls.to_le_bytes().to_vec();
        for (key, entry) in store.iter() {
            reply.extend(key.to_le_bytes());
            reply.extend(entry.1.to_le_bytes());
        }
        Ok(reply)
    }
}

/// A filter of one's own: halves singles on the way.
struct Halve;

impl Filter for Halve {
    fn name(&self) -> &str {
        "halve"
    }

    fn encode(&mut self, _: &Context<'_>, mut block: Block, _: &mut Vec<u8>) -> Result<Block, FilterError> {
        if let Payload::Numbers(Values::F32(v)) = &mut block.payload {
            v.iter_mut().for_each(|x| *x /= 2.0);
        }
        Ok(block)
    }

    fn decode(&mut self, _: &Context<'_>, block: Block, _: &[u8]) -> Result<Block, FilterError> {
        Ok(block)
    }
}

pub fn registry() -> Registry {
    let mut r = Registry::new();
    r.register_filter("halve", |p| p.at_most(0).map(|()| Halve));
    r.register("probe", |params| match params {
        [] => Ok(Probe { step: 1, applied: 0, calls: 0 }),
        _ => Err(format!("expected no parameters, got {} bytes", params.len())),
    });
    r
}

/// Runs `body` for each worker on a thread of its own, then ends the cluster in good order.
pub fn each<R: Send>(cluster: Cluster, body: impl Fn(&mut Worker) -> R + Sync) -> Vec<R> {
    let body = &body;
    let results = std::thread::scope(|scope| {
        let spawn = |mut worker: Worker| {
            scope.spawn(move || {
                let result = body(&mut worker);
                worker.finish().expect("a clean end");
                result
            })
        };
        let threads: Vec<_> = cluster.workers.into_iter().map(spawn).collect();
        threads.into_iter().map(|t| t.join().expect("no panic in a worker")).collect()
    });
    (cluster.ended)();
    results
}

pub fn keys(list: &[Key]) -> KeyList {
    KeyList::new(list.to_vec()).unwrap()
}

fn f32s(values: Option<Values>) -> Vec<f32> {
    values.and_then(Values::into_vec).expect("f32 values")
}

pub fn portions_are_shared_and_each_counts_once(start: Start) {
    let done = each(start(3, 2, PATIENT_MS), |w| {
        let t = w.create_table("w", "sum.i64", &[]).unwrap();
        let k = keys(&[2, 30, 400, 5000]);
        let mut done = Vec::new();
        for pass in 0..3 {
            while let Some(portion) = w.next_portion(pass, 20).unwrap() {
                for n in 1..=2i64 {
                    w.push(t, &k, vec![n * (1 + portion.index as i64); 4]).portion(portion).submit().unwrap();
                }
                done.push(portion);
            }
            let sum = w.pull(t, &k).wait().unwrap().pulled.and_then(Values::into_vec::<i64>).unwrap();
            assert!(sum[0] >= (1 + pass as i64) * 3 * 210, "a pass is over when all portions are applied");
        }
        w.barrier().unwrap();
        let sum = w.pull(t, &k).wait().unwrap().pulled.and_then(Values::into_vec::<i64>).unwrap();
        assert_eq!(sum, vec![3 * 3 * 210; 4]);
        done
    });
    let mut all = done.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 60);
}

pub fn a_slow_workers_portion_is_done_by_another_and_counts_once(start: Start) {
    let given = std::sync::Barrier::new(2);
    let over = std::sync::Barrier::new(2);
    each(start(2, 2, PATIENT_MS), |w| {
        let t = w.create_table("w", "sum.i64", &[]).unwrap();
        let k = keys(&[2, 30, 400, 5000]);
        if w.rank() == 0 {
            let slow = w.next_portion(7, 5).unwrap().unwrap();
            given.wait();
            // The other one does all five meanwhile.
            over.wait();
            w.push(t, &k, vec![1i64; 4]).portion(slow).wait().unwrap();
            assert_eq!(w.next_portion(7, 5).unwrap(), None);
            assert!(w.next_portion(8, 5).unwrap().is_some());
            let told = w.next_portion(9, 5).unwrap_err().to_string();
            assert!(told.contains("expected pass 8, which is not over, got 9"), "{told}");
        } else {
            given.wait();
            while let Some(portion) = w.next_portion(7, 5).unwrap() {
                w.push(t, &k, vec![1i64; 4]).portion(portion).submit().unwrap();
            }
            let told = w.next_portion(7, 6).unwrap_err().to_string();
            assert!(told.contains("expected 5 portions in pass 7 as others said, got 6"), "{told}");
            over.wait();
        }
        w.barrier().unwrap();
        let sum = w.pull(t, &k).wait().unwrap().pulled.and_then(Values::into_vec::<i64>).unwrap();
        assert_eq!(sum, vec![5; 4]);
    });
}

pub fn pull_after_wait_sees_own_push(start: Start) {
    for servers in [1, 3] {
        each(start(1, servers, PATIENT_MS), |w| {
            let t = w.create_table("w", "sum.f32", &[]).unwrap();
            let k = keys(&[2, 30, 400, 5000]);
            let push = w.push(t, &k, vec![1.0f32, 2.0, 3.0, 4.0]).submit().unwrap();
            w.wait(push).unwrap();
            let push = w.push(t, &keys(&[30, 31]), vec![0.5f32, 9.0]).submit().unwrap();
            let pulled = w.pull(t, &k).after(&[push]).wait().unwrap().pulled;
            assert_eq!(f32s(pulled), [1.0, 2.5, 3.0, 4.0]);
        });
    }
}

pub fn a_key_nobody_pushed_reads_as_freshly_made(start: Start) {
    each(start(1, 2, PATIENT_MS), |w| {
        let t = w.create_table("w", "probe", &[]).unwrap();
        let pulled = w.pull(t, &keys(&[7, 8])).wait().unwrap().pulled;
        assert_eq!(f32s(pulled), [0.5, 0.5]);
        assert!(w.call(t, &[]).unwrap().iter().all(|r| r.len() == 8), "reading must not insert");
        w.insert(t, &keys(&[7])).wait().unwrap();
        assert_eq!(w.call(t, &[]).unwrap().iter().map(Vec::len).sum::<usize>(), 8 + 8 + 12);
        let empty = w.push_pull(t, &keys(&[]), vec![0i64; 0]).wait().unwrap();
        assert!(f32s(empty.pulled).is_empty());
    });
}

pub fn aggregated_push_waits_for_every_worker(start: Start) {
    let seen = each(start(3, 2, PATIENT_MS), |w| {
        let t = w.create_table("w", "probe", &[]).unwrap();
        // Different, overlapping keys: 1 from all, 10 + rank from one.
        let k = keys(&[1, 10 + w.rank() as u64]);
        let out = w.push_pull(t, &k, vec![1i64, 0, 5, 0]).args(&[2]).wait().unwrap();
        assert_eq!(out.spent, Some(vec![1i64, 0, 5, 0].into()), "the push buffer comes back");
        let applied: i64 = out.notes.iter().map(|n| i64::from_le_bytes(n[..].try_into().unwrap())).sum();
        assert_eq!(applied, 4, "one update of the union, not one a worker");
        f32s(out.pulled)
    });
    for (rank, values) in seen.iter().enumerate() {
        assert_eq!(values[..], [0.5 + 6.0 / 2.0, 0.5 + 10.0 / (11.0 + rank as f32)]);
    }
}

pub fn immediate_pushes_wait_for_nobody(start: Start) {
    each(start(2, 1, PATIENT_MS), |w| {
        let t = w.create_table("w", "sum.i64", &[]).unwrap();
        w.set_policy(Policy::Eventual);
        let k = keys(&[4]);
        for _ in 0..100 * (w.rank() + 1) {
            w.push(t, &k, vec![1i64]).immediate().wait().unwrap();
        }
        w.barrier().unwrap();
        assert_eq!(w.pull(t, &k).wait().unwrap().pulled, Some(vec![300i64].into()));
    });
}

pub fn calls_run_once_a_server_and_reply_alike_to_all(start: Start) {
    let replies = each(start(3, 2, PATIENT_MS), |w| {
        let t = w.create_table("w", "probe", &[]).unwrap();
        w.push(t, &keys(&[1, 2, 3, 4, 5]), vec![1i64; 10]).submit().unwrap();
        w.call(t, b"x").unwrap()
    });
    assert!(replies.windows(2).all(|r| r[0] == r[1]));
    assert!(replies[0].iter().all(|r| r[..8] == 1i64.to_le_bytes()), "once");
    assert_eq!(replies[0].iter().map(|r| (r.len() - 8) / 12).sum::<usize>(), 5, "after the push");
}

pub fn reductions_join_all_workers(start: Start) {
    each(start(4, 2, PATIENT_MS), |w| {
        let r = w.rank() as i64;
        assert_eq!(w.reduce(&[r, i64::MAX, -r]).unwrap(), [6, i64::MAX.wrapping_mul(4), -6]);
        assert_eq!(w.reduce_max(&[r, -r]).unwrap(), [3, 0]);
        w.barrier().unwrap();
        assert!(w.reduce(&[]).unwrap().is_empty());
    });
}

/// A run of pushes whose sums are integers: the bits must not depend on who pushed what where.
fn run(start: Start, workers: usize, servers: usize, policy: Policy) -> BTreeMap<Key, u32> {
    let replies = each(start(workers, servers, PATIENT_MS), |w| {
        let t = w.create_table("w", "probe", &[]).unwrap();
        w.set_policy(policy);
        let mut rng = Rng::new(Seed(5), 0);
        let mut open = Vec::new();
        for round in 0..20u64 {
            let mut mine: BTreeMap<Key, [i64; 2]> = BTreeMap::new();
            for row in 0..60 {
                let (key, g, u) = (rng.below(80) * 3, rng.next_u64() as i64 >> 40, rng.below(9) as i64);
                // Rows are dealt out in turn, as data would be.
                if row % w.workers() == w.rank() {
                    let e = mine.entry(key).or_default();
                    *e = [e[0].wrapping_add(g), e[1] + u];
                }
            }
            let list = keys(&mine.keys().copied().collect::<Vec<_>>());
            let values: Vec<i64> = mine.values().flatten().copied().collect();
            open.push(w.push_pull(t, &list, values).args(&[round as u8 % 3]).submit().unwrap());
            if open.len() > 3 {
                w.wait(open.remove(0)).unwrap();
            }
        }
        w.call(t, &[]).unwrap()
    });
    let mut all = BTreeMap::new();
    for row in replies[0].iter().flat_map(|r| r[8..].chunks_exact(12)) {
        let key = u64::from_le_bytes(row[..8].try_into().unwrap());
        all.insert(key, u32::from_le_bytes(row[8..].try_into().unwrap()));
    }
    all
}

pub fn equal_bits_for_any_number_of_workers_and_servers(start: Start) {
    let one = run(start, 1, 1, Policy::Sequential);
    assert!(one.len() > 70);
    for (workers, servers) in [(1, 3), (2, 2), (3, 1), (4, 2)] {
        for policy in [Policy::Sequential, Policy::BoundedDelay(2)] {
            assert_eq!(run(start, workers, servers, policy), one, "{workers} workers, {servers} servers, {policy:?}");
        }
    }
}

pub fn misuse_is_told_with_expected_and_got(start: Start) {
    each(start(1, 2, PATIENT_MS), |w| {
        let text = |e: Error| e.to_string();
        let e = text(w.create_table("a", "nonsense", &[]).unwrap_err());
        assert!(e.contains("expected an updater among assign.f32") && e.contains("got \"nonsense\""), "{e}");
        // Its number and name are free again.
        assert_eq!(w.create_table("a", "sum.f32", &[]), Ok(TableId(0)));
    });
    each(start(1, 2, PATIENT_MS), |w| {
        let text = |e: Error| e.to_string();
        let t = w.create_table("a", "probe", &[]).unwrap();
        let k = keys(&[1, 2]);
        let e = text(w.push(t, &k, vec![1i64; 3]).submit().unwrap_err());
        assert_eq!(e, "push: expected 4 i64 values (2 keys × 2), got 3 i64");
        let e = text(w.push(t, &k, vec![1f32; 4]).submit().unwrap_err());
        assert_eq!(e, "push: expected 4 i64 values (2 keys × 2), got 4 f32");
        let e = text(w.push_pull(t, &k, vec![1i64; 4]).args(b"long").wait().unwrap_err());
        assert!(e.starts_with("push_pull: refused by server ") && e.ends_with("argument byte, got 4"), "{e}");
        let e = text(w.call(t, b"refuse").unwrap_err());
        assert!(e.ends_with("expected politeness, got none"), "{e}");
        let e = text(w.pull(TableId(9), &k).wait().unwrap_err());
        assert_eq!(e, "pull: expected a table below 1, got 9");
        // A refused task changes nothing and ends nothing.
        assert_eq!(f32s(w.pull(t, &k).wait().unwrap().pulled), [0.5, 0.5]);
        assert!(text(w.create_table("a", "probe", &[]).unwrap_err()).contains("which is table 0"));
    });
    let errors = each(start(2, 1, PATIENT_MS), |w| {
        let t = w.create_table("a", "probe", &[]).unwrap();
        let rank = w.rank() as u8;
        w.push(t, &keys(&[1]), vec![1i64, 1]).args(&[rank]).wait().unwrap_err().to_string()
    });
    assert!(errors[0].contains("expected all workers to make the same call"), "{}", errors[0]);
    let errors = each(start(2, 1, PATIENT_MS), |w| {
        let name = if w.rank() == 0 { "a" } else { "b" };
        w.create_table(name, "sum.f32", &[]).err().map(|e| e.to_string())
    });
    assert!(
        errors.iter().flatten().count() == 1 && errors.iter().flatten().all(|e| e.contains("as another worker said"))
    );
}

pub fn a_bounded_wait_leaves_the_task_under_way(start: Start) {
    let (cluster, looked) = (start(2, 2, PATIENT_MS), std::sync::Barrier::new(2));
    let sums = each(cluster, |w| {
        let (table, made) = w.submit_table("t", "sum.f32", &[]).unwrap();
        w.wait(made).unwrap();
        let (k, one) = (keys(&[1, 2, 3]), vec![1f32; 3]);
        if w.rank() == 1 {
            looked.wait();
            w.push(table, &k, one).wait().unwrap();
        } else {
            let push = w.push(table, &k, one).submit().unwrap();
            assert_eq!(w.wait_for(push, 5), Ok(None));
            assert_eq!((w.ready_for(table, 0), w.idle_within(0)), (Ok(false), Ok(false)));
            looked.wait();
            assert!(w.wait_for(push, PATIENT_MS).unwrap().is_some());
            assert_eq!((w.ready_for(table, 0), w.idle_within(0)), (Ok(true), Ok(true)));
        }
        f32s(w.pull(table, &k).wait().unwrap().pulled)
    });
    assert_eq!(sums, [[2.0; 3], [2.0; 3]]);
}

pub fn a_worker_that_does_not_come_is_named_at_the_deadline(start: Start) {
    let cluster = start(3, 2, 200);
    let wait = std::sync::Barrier::new(3);
    let errors = each(cluster, |w| {
        let error = if w.rank() == 1 { None } else { Some(w.barrier().unwrap_err()) };
        wait.wait();
        error
    });
    for error in [&errors[0], &errors[2]].into_iter().flatten() {
        let Error::Deadline { op: "reduce", deadline_ms: 200, waiting_for } = error else { panic!("{error}") };
        assert!(waiting_for.contains("worker 1"), "{error}");
    }
}
