//! The claims of `common`, over TCP.

mod common;

use common::{Cluster, each, keys, registry};
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};
use handcar_ps::{Error, Result};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::JoinHandle;

fn start(workers: usize, servers: usize, deadline_ms: u64) -> Cluster {
    start_with_addresses(workers, servers, deadline_ms).0
}

/// A cluster, and where its scheduler and servers listen.
fn start_with_addresses(workers: usize, servers: usize, deadline_ms: u64) -> (Cluster, Vec<String>) {
    let listener = listen("127.0.0.1:0", false).unwrap();
    let scheduler = listener.local_addr().unwrap().to_string();
    let mut threads = Vec::new();
    let config = SchedulerConfig::new(workers, servers);
    threads.push(std::thread::spawn(move || run_scheduler(listener, &config)));
    let mut addrs = vec![scheduler.clone()];
    for _ in 0..servers {
        let scheduler = scheduler.clone();
        let listener = listen("127.0.0.1:0", false).unwrap();
        addrs.push(listener.local_addr().unwrap().to_string());
        let run = move || run_server(listener, &scheduler, &registry(), &NodeConfig::default());
        threads.push(std::thread::spawn(run));
    }
    let connect = |rank| {
        let scheduler = scheduler.clone();
        let config = NodeConfig {
            rank: Some(rank),
            deadline_ms,
            filters: registry().filters().clone(),
            ..NodeConfig::default()
        };
        std::thread::spawn(move || connect_worker(&scheduler, &config))
    };
    let joining: Vec<_> = (0..workers).map(connect).collect();
    let workers = joining.into_iter().map(|t| t.join().unwrap().unwrap()).collect();
    let ended = Box::new(move || threads.into_iter().for_each(|t| t.join().unwrap().unwrap()));
    (Cluster { workers, ended }, addrs)
}

macro_rules! claims {
    ($($claim:ident)*) => { $(#[test] fn $claim() { common::$claim(start) })* };
}

macro_rules! filter_claims {
    ($($claim:ident)*) => { $(#[test] fn $claim() { common::filters::$claim(start) })* };
}

macro_rules! checkpoint_claims {
    ($($claim:ident)*) => { $(#[test] fn $claim() { common::checkpoints::$claim(start) })* };
}

checkpoint_claims! {
    a_checkpoint_comes_back_on_any_number_of_servers
    a_damaged_checkpoint_is_refused_whole_and_changes_nothing
    a_full_disk_ends_the_checkpoint_and_not_the_job
    a_failure_that_nobody_took_ends_one_checkpoint_for_all
    a_table_that_does_not_fit_is_told_with_expected_and_got
}

filter_claims! {
    exact_filters_change_no_bit
    lossy_filters_do_the_same_twice_and_rows_not_sent_are_not_pushed
    a_flush_sends_what_filters_held_back
    an_unfiltered_push_arrives_as_it_is
    what_a_filter_cannot_carry_passes_by_it
    unknown_filters_are_refused_with_those_known
    a_filter_of_ones_own_works
}

claims! {
    pull_after_wait_sees_own_push
    portions_are_shared_and_each_counts_once
    a_slow_workers_portion_is_done_by_another_and_counts_once
    a_key_nobody_pushed_reads_as_freshly_made
    aggregated_push_waits_for_every_worker
    immediate_pushes_wait_for_nobody
    calls_run_once_a_server_and_reply_alike_to_all
    reductions_join_all_workers
    equal_bits_for_any_number_of_workers_and_servers
    misuse_is_told_with_expected_and_got
    a_bounded_wait_leaves_the_task_under_way
    a_worker_that_does_not_come_is_named_at_the_deadline
}

/// A scheduler with its address.
fn scheduler(config: SchedulerConfig) -> (String, JoinHandle<Result<()>>) {
    let listener = listen("127.0.0.1:0", false).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    (addr, std::thread::spawn(move || run_scheduler(listener, &config)))
}

#[test]
fn a_job_that_does_not_fill_tells_everybody_who_is_missing() {
    let (addr, thread) = scheduler(SchedulerConfig { join_ms: 300, ..SchedulerConfig::new(1, 2) });
    let config = NodeConfig { name: Some("alice".into()), ..NodeConfig::default() };
    let told = connect_worker(&addr, &config).unwrap_err().to_string();
    let missing = "2 of 2 servers and 0 of 1 workers (here: ; alice)";
    assert!(told.contains(missing), "{told}");
    let Error::Deadline { op: "join", waiting_for, .. } = thread.join().unwrap().unwrap_err() else { panic!() };
    assert_eq!(waiting_for, missing);
}

#[test]
fn a_second_of_the_same_name_or_rank_is_refused() {
    let (addr, thread) = scheduler(SchedulerConfig { join_ms: 2000, ..SchedulerConfig::new(3, 1) });
    let config = NodeConfig { name: Some("alice".into()), rank: Some(1), ..NodeConfig::default() };
    let first = {
        let (addr, config) = (addr.clone(), config.clone());
        std::thread::spawn(move || connect_worker(&addr, &config).map(|_| ()))
    };
    // Whichever of the two comes second is told; the other waits until the job gives up.
    let second = connect_worker(&addr, &config).map(|_| ());
    let texts = [first.join().unwrap().unwrap_err().to_string(), second.unwrap_err().to_string()];
    assert!(texts.iter().any(|t| t.contains("got \"alice\", which is taken by 127.0.0.1:")), "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("the job did not begin")), "{texts:?}");
    thread.join().unwrap().unwrap_err();
}

/// Runs a job of a server and the worker "alice"; what `body` makes of it while it runs.
fn run_job<R>(config: SchedulerConfig, body: impl FnOnce(&str) -> R) -> R {
    let (addr, thread) = scheduler(config);
    let (listener, to) = (listen("127.0.0.1:0", false).unwrap(), addr.clone());
    let server = std::thread::spawn(move || run_server(listener, &to, &registry(), &NodeConfig::default()));
    let config = NodeConfig { name: Some("alice".into()), ..NodeConfig::default() };
    let alice = connect_worker(&addr, &config).unwrap();
    let result = body(&addr);
    alice.finish().unwrap();
    server.join().unwrap().unwrap();
    thread.join().unwrap().unwrap();
    result
}

#[test]
fn a_taken_name_is_refused_in_a_running_job_with_who_has_it() {
    let told = run_job(SchedulerConfig::new(1, 1).with_elastic_workers(), |addr| {
        let config = NodeConfig { name: Some("alice".into()), ..NodeConfig::default() };
        connect_worker(addr, &config).map(|_| ()).unwrap_err()
    });
    let Error::Refused { op: "join", by, reason } = &told else { panic!("{told}") };
    assert!(by.starts_with("the scheduler at 127.0.0.1:"), "{told}");
    assert!(reason.starts_with("expected a name of its own, got \"alice\", which is taken by 127.0.0.1:"), "{told}");
}

#[test]
fn a_scheduler_refuses_a_damaged_state_by_its_file_and_leaves_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = SchedulerConfig { state: Some(folder.path().into()), ..SchedulerConfig::new(1, 1) };
    run_job(config.clone(), |_| ());
    let path = folder.path().join("scheduler.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let told = run_scheduler(listen("127.0.0.1:0", false).unwrap(), &config).unwrap_err();
    let Error::System { op: "coordinator", how } = &told else { panic!("{told}") };
    let want = format!("{}: expected a whole record at byte 8, got a wrong checksum", path.display());
    assert_eq!(*how, want);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_scheduler_that_is_not_there_is_named() {
    let free = listen("127.0.0.1:0", false).unwrap().local_addr().unwrap().to_string();
    let config = NodeConfig { join_ms: 100, ..NodeConfig::default() };
    let text = connect_worker(&free, &config).unwrap_err().to_string();
    assert!(text.starts_with(&format!("connect: cannot reach the scheduler at {free} within 100 ms: ")), "{text}");
}

#[test]
fn another_version_is_refused_by_name() {
    let (addr, _thread) = scheduler(SchedulerConfig::new(1, 1));
    assert_refuses_another_version(&addr);
}

#[test]
fn another_version_at_a_servers_port_is_refused_by_name() {
    let (cluster, addrs) = start_with_addresses(1, 1, common::PATIENT_MS);
    assert_refuses_another_version(&addrs[1]);
    each(cluster, |w| w.create_table("w", "sum.f32", &[]).map(drop).unwrap());
}

fn assert_refuses_another_version(addr: &str) {
    let mut stream = TcpStream::connect(addr).unwrap();
    let mut frame = [0u8; 32];
    frame[..4].copy_from_slice(&[b'h', b'c', 9, 0]);
    stream.write_all(&frame).unwrap();
    let mut said = Vec::new();
    // The answer may be followed by a reset, since the rest of what we sent was not read.
    let _ = stream.read_to_end(&mut said);
    let text = String::from_utf8_lossy(&said);
    assert!(text.contains("expected wire version 2, got version 9"), "{text}");
}

#[test]
fn garbage_from_a_stranger_harms_nobody() {
    let (cluster, addrs) = start_with_addresses(1, 1, common::PATIENT_MS);
    each(cluster, |w| {
        let t = w.create_table("w", "sum.f32", &[]).unwrap();
        let k = keys(&[1, 2]);
        for addr in &addrs {
            for garbage in [&b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"[..], &[0xff; 100], b"hc"] {
                let mut s = TcpStream::connect(addr).unwrap();
                s.write_all(garbage).unwrap();
                w.push(t, &k, vec![1.0f32, 1.0]).wait().unwrap();
            }
        }
        assert_eq!(w.pull(t, &k).wait().unwrap().pulled, Some(vec![6.0f32, 6.0].into()));
    });
}
