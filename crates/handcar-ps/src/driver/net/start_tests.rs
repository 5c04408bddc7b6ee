//! Claims about members that start while others, or the scheduler itself, are lost.

use super::config::{NodeConfig, SchedulerConfig};
use super::control;
use super::inbox::{Filled, Inbox};
use super::outbox::Outbox;
use super::scheduler::run_scheduler;
use super::server::run_server;
use super::watch::Watch;
use super::worker::connect_worker;
use crate::engine::control::Control;
use crate::error::{Error, Result, Role};
use crate::registry::Registry;
use crate::values::Values;
use handcar_base::KeyList;
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

fn port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    (listener, addr)
}

type Members = Vec<JoinHandle<Result<()>>>;

/// A scheduler for one worker and three servers with two copies, and two of the servers.
fn cluster() -> (String, Members) {
    let (listener, scheduler) = port();
    // Nobody here is lost by silence: on a busy machine that would lose the wrong one.
    let config = SchedulerConfig { suspect_ms: 60_000, ..SchedulerConfig::new(1, 3).with_copies(2) };
    let mut members = vec![std::thread::spawn(move || run_scheduler(listener, &config))];
    for _ in 0..2 {
        let (scheduler, listener) = (scheduler.clone(), port().0);
        let run = move || run_server(listener, &scheduler, &Registry::new(), &NodeConfig::default());
        members.push(std::thread::spawn(run));
    }
    (scheduler, members)
}

fn start_and_push(scheduler: &str, members: Members) {
    let mut worker = connect_worker(scheduler, &NodeConfig::default()).unwrap();
    let keys = KeyList::new((0..100).map(|k| k << 40).collect()).unwrap();
    let table = worker.create_table("w", "sum.i64", &[]).unwrap();
    worker.push(table, &keys, vec![1i64; 100]).wait().unwrap();
    assert_eq!(worker.pull(table, &keys).wait().unwrap().pulled, Some(vec![1i64; 100].into()));
    assert_eq!(worker.servers(), 2);
    worker.finish().unwrap();
    members.into_iter().for_each(|m| m.join().unwrap().unwrap());
}

#[test]
fn a_worker_starts_though_a_server_hangs_that_then_is_lost() {
    let (scheduler, members) = cluster();
    let (listener, addr) = port();
    let hanging = {
        let scheduler = scheduler.clone();
        std::thread::spawn(move || {
            let joined = Watch::join(&scheduler, Role::Server, Some(addr), &NodeConfig::default()).unwrap();
            // The worker has called and hears nothing; servers call too, but greet as such.
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                if let Control::Join { role: Role::Worker, .. } = hear(&mut stream) {
                    break;
                }
            }
            drop(joined);
            listener
        })
    };
    start_and_push(&scheduler, members);
    hanging.join().unwrap();
}

#[test]
fn a_worker_starts_though_a_server_dies_as_the_job_begins() {
    let (scheduler, members) = cluster();
    let dying = {
        let (scheduler, addr) = (scheduler.clone(), port().1);
        std::thread::spawn(move || drop(Watch::join(&scheduler, Role::Server, Some(addr), &NodeConfig::default())))
    };
    start_and_push(&scheduler, members);
    dying.join().unwrap();
}

fn hear(stream: &mut TcpStream) -> Control {
    let mut inbox = Inbox::new("a test".into());
    loop {
        if let Some(parcel) = inbox.next(&mut |_, _, dtype| Values::empty(dtype)).unwrap() {
            return control::unpack(&parcel).unwrap();
        }
        assert_ne!(inbox.fill(stream).unwrap(), Filled::Closed);
    }
}

#[test]
fn a_member_greets_a_scheduler_again_that_ended_before_its_welcome() {
    let (listener, addr) = port();
    let scheduler = std::thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        let hello = hear(&mut first);
        drop(first);
        let (mut second, _) = listener.accept().unwrap();
        let again = hear(&mut second);
        let mut outbox = Outbox::default();
        outbox.push(control::pack(&Control::Refuse { reason: "enough was seen".into() }));
        assert!(outbox.flush(&mut second, &mut Vec::new()).unwrap());
        (hello, again)
    });
    let error = connect_worker(&addr, &NodeConfig::default()).unwrap_err();
    let Error::Refused { reason, .. } = &error else { panic!("{error}") };
    assert_eq!(reason, "enough was seen");
    let (hello, again) = scheduler.join().unwrap();
    assert_eq!(hello, again);
}

#[test]
fn a_scheduler_that_ended_for_good_is_named() {
    let (listener, addr) = port();
    let scheduler = std::thread::spawn(move || drop(hear(&mut listener.accept().unwrap().0)));
    let config = NodeConfig { join_ms: 300, ..NodeConfig::default() };
    let error = connect_worker(&addr, &config).unwrap_err();
    assert!(matches!(&error, Error::NodeLost { role: Role::Scheduler, .. }), "{error}");
    scheduler.join().unwrap();
}
