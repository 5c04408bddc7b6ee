//! Claims about a server's connections: whom it listens to, and when it stops.

use super::call::Call;
use super::codec::{pack_request, unpack_reply};
use super::config::{NodeConfig, SchedulerConfig};
use super::inbox::Filled;
use super::parcel::Parcel;
use super::scheduler::run_scheduler;
use super::server::run_server;
use super::watch::{Watch, Welcome};
use super::worker::connect_worker;
use crate::engine::control::Control;
use crate::error::Role;
use crate::filter::TableFilters;
use crate::message::{Answer, Ask, Request, TableId, Task};
use crate::registry::Registry;
use crate::values::Values;
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    (listener, addr)
}

/// A scheduler and a server; returns where they listen.
fn cluster(config: SchedulerConfig) -> (String, String) {
    let ((first, scheduler), (second, server)) = (port(), port());
    let joined = scheduler.clone();
    // Lost workers end some of these jobs: that is no part of the claims.
    std::thread::spawn(move || run_scheduler(first, &SchedulerConfig { suspect_ms: 60_000, ..config }));
    std::thread::spawn(move || run_server(second, &joined, &Registry::new(), &NodeConfig::default()));
    (scheduler, server)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A worker's connection to the server, spoken by hand.
fn speak(server: &str, welcome: &Welcome) -> Call {
    let mut call = Call::reach(Role::Server, 0, server, soon()).unwrap();
    call.inbox.admit("the server".into());
    call.send(&Control::Join { job: welcome.job, role: Role::Worker, rank: welcome.rank }).unwrap();
    assert_eq!(call.receive("join", soon()).unwrap(), Control::Admit);
    call
}

fn create(name: &str, welcome: &Welcome) -> Parcel {
    let (name, updater, filters) = (name.into(), "sum.f32".into(), TableFilters::default());
    let ask = Ask::Create { name, updater, params: Vec::new(), filters };
    let (task, table, answered) = (Task(0), TableId(0), Task(0));
    let epoch = welcome.view.epoch;
    pack_request(Request { task, table, epoch, within: None, answered, deadline_ms: 60_000, ask }).0
}

fn write(call: &mut Call, parcels: impl IntoIterator<Item = Parcel>) {
    parcels.into_iter().for_each(|p| call.outbox.push(p));
    assert!(call.outbox.flush(&mut call.stream, &mut Vec::new()).unwrap());
}

#[test]
fn what_follows_a_broken_request_is_not_heard() {
    let (scheduler, server) = cluster(SchedulerConfig::new(1, 1));
    let (welcome, _watch) = Watch::join(&scheduler, Role::Worker, None, &NodeConfig::default()).unwrap();
    let mut first = speak(&server, &welcome);
    let broken = Parcel { kind: 16, head: vec![1, 2, 3], width: 1, ..Parcel::default() };
    write(&mut first, [broken, create("a", &welcome)]);
    let Control::Refuse { reason } = first.receive("push", soon()).unwrap() else { panic!() };
    assert!(reason.starts_with("wire: from worker 0: expected "), "{reason}");
    let mut second = speak(&server, &welcome);
    write(&mut second, [create("b", &welcome)]);
    second.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let reply = loop {
        if let Some(parcel) = second.inbox.next(&mut |_, _, dtype| Values::empty(dtype)).unwrap() {
            break unpack_reply(parcel).unwrap();
        }
        assert_eq!(second.inbox.fill(&mut second.stream).unwrap(), Filled::Drained);
    };
    assert!(matches!(reply.answer, Answer::Created(_)), "{reply:?}");
}

#[test]
fn a_worker_that_is_out_of_the_view_is_cut_off() {
    let (scheduler, server) = cluster(SchedulerConfig::new(2, 1).with_elastic_workers());
    let other = {
        let scheduler = scheduler.clone();
        std::thread::spawn(move || connect_worker(&scheduler, &NodeConfig::default()))
    };
    let (welcome, watch) = Watch::join(&scheduler, Role::Worker, None, &NodeConfig::default()).unwrap();
    let mut lost = speak(&server, &welcome);
    let other = other.join().unwrap().unwrap();
    drop(watch);
    lost.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(lost.inbox.fill(&mut lost.stream).unwrap(), Filled::Closed);
    other.finish().unwrap();
}
