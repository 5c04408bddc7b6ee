//! Stories of members that come, fall silent and leave.

use super::*;

fn scheduler(workers: usize, servers: usize) -> SchedulerEngine {
    SchedulerEngine::new(SchedulerParams {
        workers,
        servers,
        copies: 1,
        elastic: false,
        suspect_ms: 1000,
        join_ms: 5000,
        patience_ms: 0,
        job: 7,
    })
}

fn hello(role: Role, rank: Option<usize>, name: &str) -> Control {
    Control::Hello { role, rank, name: name.into(), addr: format!("at-{name}"), job: None }
}

/// Feeds a story of (time, connection, message) and returns what came out of the last step.
fn play(s: &mut SchedulerEngine, story: &[(u64, u64, Control)]) -> Vec<Output> {
    let mut out = Vec::new();
    for (now, conn, message) in story {
        out.clear();
        s.step(Millis(*now), Input::Message { conn: *conn, message: message.clone() }, &mut out);
    }
    out
}

fn at(s: &mut SchedulerEngine, now: u64, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    s.step(Millis(now), input, &mut out);
    out
}

fn trio(s: &mut SchedulerEngine) -> Vec<Output> {
    let (a, b) = (hello(Role::Worker, None, "a"), hello(Role::Worker, Some(0), "b"));
    play(s, &[(0, 1, a), (0, 2, b), (0, 3, hello(Role::Server, None, "s"))])
}

#[test]
fn wanted_ranks_come_first_then_arrival() {
    let view = Arc::new(View::first([(0, "at-s".to_string())].into(), 1));
    let welcome = |rank| {
        let view = Arc::clone(&view);
        Control::Welcome { rank, workers: 2, job: 7, patience_ms: 0, view }
    };
    let mut out = trio(&mut scheduler(2, 1));
    let Output::Store(state) = out.remove(0) else { panic!("the state is stored before anybody is told: {out:?}") };
    assert_eq!((state.view, state.members.len()), (Arc::clone(&view), 3));
    let want: Vec<_> = [(1, 1), (2, 0), (3, 0)].map(|(conn, r)| Output::Send { conn, message: welcome(r) }).into();
    assert_eq!(out, want);
}

#[test]
fn misfits_are_refused_with_the_reason() {
    for (second, reason) in [
        (hello(Role::Worker, None, "a"), "expected a name of its own, got \"a\", which is taken by at-a"),
        (hello(Role::Worker, Some(1), "b"), "expected a free rank, got worker 1, which is at-a"),
        (hello(Role::Worker, Some(2), "b"), "expected a rank below 2 workers, got 2"),
        (hello(Role::Scheduler, None, "b"), "expected a worker or server, got a second scheduler"),
    ] {
        let out = play(&mut scheduler(2, 1), &[(0, 1, hello(Role::Worker, Some(1), "a")), (0, 2, second)]);
        let message = Control::Refuse { reason: reason.into() };
        assert_eq!(out, [Output::Send { conn: 2, message }, Output::Close { conn: 2 }]);
    }
    let mut s = scheduler(2, 1);
    trio(&mut s);
    let out = play(&mut s, &[(0, 9, hello(Role::Worker, None, "t"))]);
    assert!(
        matches!(&out[0], Output::Send { message: Control::Refuse { reason }, .. } if reason == "expected 2 workers, got one more")
    );
    // A server may join the running job, but not by the name of another.
    let out = play(&mut s, &[(0, 9, hello(Role::Server, None, "s"))]);
    let reason = "expected a name of its own, got \"s\", which is taken by at-s".to_string();
    assert_eq!(out, [Output::Send { conn: 9, message: Control::Refuse { reason } }, Output::Close { conn: 9 }]);
}

#[test]
fn silence_and_closed_connections_are_losses_told_to_everyone() {
    let lost = |how: &str| (Role::Worker, 0usize, "at-b".to_string(), how.to_string());
    for (now, input, how) in [
        (1200, Input::Tick, "silent for 1200 ms (engine at step 0)"),
        (800, Input::Gone { conn: 2, how: "reset".into() }, "reset"),
    ] {
        let mut s = scheduler(2, 1);
        trio(&mut s);
        play(
            &mut s,
            &[(400, 1, Control::Beat { progress: 1, epoch: 1 }), (800, 3, Control::Beat { progress: 1, epoch: 1 })],
        );
        let mut out = at(&mut s, now, input);
        out.retain(|o| !matches!(o, Output::Store(_)));
        let (role, rank, addr, how) = lost(how);
        let message = Control::Lost { role, rank, addr: addr.clone(), how: how.clone() };
        let end = Output::End(Err(Error::NodeLost { role, rank, addr, how }));
        let send = |conn| Output::Send { conn, message: message.clone() };
        assert_eq!(out, [send(1), send(2), send(3), end]);
    }
}

#[test]
fn own_pause_is_not_held_against_members() {
    let mut s = scheduler(2, 1);
    trio(&mut s);
    assert_eq!(at(&mut s, 30_000, Input::Tick), []);
    assert_eq!(at(&mut s, 30_400, Input::Tick), []);
    assert!(!at(&mut s, 30_800, Input::Tick).is_empty() || !at(&mut s, 31_200, Input::Tick).is_empty());
}

#[test]
fn leaving_is_no_loss_and_the_last_one_ends_the_job() {
    let mut s = scheduler(2, 1);
    trio(&mut s);
    let end = |conn| Output::Send { conn, message: Control::End };
    let out = play(&mut s, &[(10, 1, Control::Leave)]);
    let Output::Store(state) = &out[0] else { panic!("who takes over must not wait for it: {out:?}") };
    assert!(state.members.iter().any(|m| m.name == "a" && m.left) && out[1..] == [end(1)], "{out:?}");
    assert_eq!(at(&mut s, 11, Input::Gone { conn: 1, how: "closed".into() }), []);
    let out = play(&mut s, &[(20, 2, Control::Leave)]);
    assert!(matches!(&out[2], Output::Store(state) if state.over), "nobody shall take over what has ended");
    assert_eq!([&out[1..2], &out[3..]].concat(), [end(2), end(3), Output::End(Ok(()))]);
    assert_eq!(at(&mut s, 21, Input::Gone { conn: 3, how: "closed".into() }), []);
}

#[test]
fn an_incomplete_job_says_who_did_not_come() {
    let mut s = scheduler(2, 1);
    let mut now = 0;
    play(&mut s, &[(0, 1, hello(Role::Worker, None, "a"))]);
    let out = loop {
        now += 400;
        let out = at(&mut s, now, Input::Tick);
        if !out.is_empty() {
            break out;
        }
    };
    let Some(Output::End(Err(error))) = out.last() else { panic!("{out:?}") };
    let text =
        "join: expected an answer within 5000 ms, still waiting for 1 of 1 servers and 1 of 2 workers (here: ; a)";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_server_that_only_another_cannot_reach_is_taken_out_if_copies_stay() {
    use crate::engine::server::Report;
    let silent = |epoch, server| Control::Report(Report::Silent { epoch, server });
    for (copies, epoch, accused, taken) in [(2, 1, 1, true), (1, 1, 1, false), (2, 0, 1, false), (2, 1, 9, false)] {
        let mut s = scheduler(1, 2);
        s.params.copies = copies;
        play(
            &mut s,
            &[
                (0, 1, hello(Role::Worker, None, "w")),
                (0, 2, hello(Role::Server, None, "s")),
                (0, 3, hello(Role::Server, None, "t")),
            ],
        );
        let out = play(&mut s, &[(500, 2, silent(epoch, accused))]);
        let told = Control::Lost {
            role: Role::Server,
            rank: 1,
            addr: "at-t".into(),
            how: "it acknowledges nothing to server 0".into(),
        };
        assert_eq!(out.contains(&Output::Send { conn: 3, message: told }), taken, "{copies} copies: {out:?}");
        let servers: Vec<usize> = s.view().unwrap().servers.keys().copied().collect();
        assert_eq!(servers, if taken { vec![0] } else { vec![0, 1] });
        if taken {
            // What the accused says of the other comes too late: to the scheduler it is a stranger.
            assert_eq!(play(&mut s, &[(500, 3, silent(1, 0))]), [Output::Close { conn: 3 }]);
        }
    }
}

fn stored(out: &[Output]) -> State {
    let state = out.iter().find_map(|o| if let Output::Store(state) = o { Some(state) } else { None });
    state.expect("a state").as_ref().clone()
}

#[test]
fn a_restarted_scheduler_does_not_wait_for_who_has_left() {
    let mut old = scheduler(2, 1);
    trio(&mut old);
    let state = stored(&play(&mut old, &[(10, 1, Control::Leave)]));
    let mut s = SchedulerEngine::resume(old.params.clone(), state, 2000);
    let back = |role, rank, name: &str| {
        let (name, addr) = (name.to_string(), format!("at-{name}"));
        Control::Hello { role, rank: Some(rank), name, addr, job: Some(7) }
    };
    play(&mut s, &[(0, 12, back(Role::Worker, 0, "b")), (0, 13, back(Role::Server, 0, "s"))]);
    for now in (400..4000).step_by(400) {
        for conn in [12, 13] {
            play(&mut s, &[(now, conn, Control::Beat { progress: 1, epoch: 1 })]);
        }
        assert_eq!(at(&mut s, now, Input::Tick), [], "nobody is missing at {now} ms");
    }
}

#[test]
fn who_was_not_welcomed_is_known_by_name_to_the_next_scheduler() {
    let mut old = scheduler(2, 1);
    let own = |role, name: &str| hello(role, None, name);
    let came = [(0, 1, own(Role::Worker, "a#1")), (0, 2, own(Role::Worker, "b#2")), (0, 3, own(Role::Server, "s#3"))];
    let state = stored(&play(&mut old, &came));
    let mut s = SchedulerEngine::resume(old.params.clone(), state.clone(), 2000);
    for (conn, (_, _, message)) in (11..).zip(came) {
        let out = play(&mut s, &[(0, conn, message)]);
        assert!(matches!(&out[..], [Output::Send { message: Control::Welcome { .. }, .. }]), "{out:?}");
    }
    // Another process that was started in the place of one that is away has none of its keys.
    let mut s = SchedulerEngine::resume(old.params.clone(), state, 2000);
    let out = play(&mut s, &[(0, 11, own(Role::Server, "s#4"))]);
    let reason = "expected a name of its own, got \"s\", which is taken by at-s#3".to_string();
    assert_eq!(out, [Output::Send { conn: 11, message: Control::Refuse { reason } }, Output::Close { conn: 11 }]);
}

#[test]
fn an_elastic_job_whose_last_worker_is_lost_has_failed() {
    let mut s = scheduler(2, 1);
    s.params.elastic = true;
    trio(&mut s);
    play(&mut s, &[(10, 1, Control::Leave)]);
    let out = at(&mut s, 20, Input::Gone { conn: 2, how: "reset".into() });
    let Some(Output::End(Err(Error::NodeLost { role: Role::Worker, rank: 0, .. }))) = out.last() else {
        panic!("its portions are not done: {out:?}")
    };
}

#[test]
fn a_job_whose_scheduler_died_after_the_last_farewell_is_ended_by_the_next() {
    let mut old = scheduler(2, 1);
    trio(&mut old);
    play(&mut old, &[(10, 1, Control::Leave)]);
    let state = stored(&play(&mut old, &[(20, 2, Control::Leave)]));
    assert!(!state.over && state.members.iter().all(|m| m.left == (m.role == Role::Worker)));
    let mut s = SchedulerEngine::resume(old.params.clone(), state, 2000);
    let back =
        Control::Hello { role: Role::Server, rank: Some(0), name: "s".into(), addr: "at-s".into(), job: Some(7) };
    play(&mut s, &[(0, 13, back)]);
    let ended = (400..6000).step_by(400).find_map(|now| {
        play(&mut s, &[(now, 13, Control::Beat { progress: 1, epoch: 1 })]);
        let out = at(&mut s, now, Input::Tick);
        (!out.is_empty()).then_some((now, out))
    });
    let Some((now, out)) = ended else { panic!("it must end") };
    assert!(now > 2000 && out.contains(&Output::End(Ok(()))), "{now}: {out:?}");
    assert!(out.contains(&Output::Send { conn: 13, message: Control::End }), "{out:?}");
}
