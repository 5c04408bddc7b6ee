//! The claims of `common`, over TCP.

mod common;

use common::{Cluster, registry};
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};

fn start(workers: usize, servers: usize, deadline_ms: u64) -> Cluster {
    let listener = listen("127.0.0.1:0", false).unwrap();
    let scheduler = listener.local_addr().unwrap().to_string();
    let mut threads = Vec::new();
    let config = SchedulerConfig::new(workers, servers);
    threads.push(std::thread::spawn(move || run_scheduler(listener, &config)));
    for _ in 0..servers {
        let scheduler = scheduler.clone();
        let run = move || run_server(listen("127.0.0.1:0", false)?, &scheduler, &registry(), &NodeConfig::default());
        threads.push(std::thread::spawn(run));
    }
    let connect = |rank| {
        let scheduler = scheduler.clone();
        let config = NodeConfig { rank: Some(rank), deadline_ms, ..NodeConfig::default() };
        std::thread::spawn(move || connect_worker(&scheduler, &config))
    };
    let joining: Vec<_> = (0..workers).map(connect).collect();
    let workers = joining.into_iter().map(|t| t.join().unwrap().unwrap()).collect();
    let ended = Box::new(move || threads.into_iter().for_each(|t| t.join().unwrap().unwrap()));
    Cluster { workers, ended }
}

macro_rules! claims {
    ($($claim:ident)*) => { $(#[test] fn $claim() { common::$claim(start) })* };
}

claims! {
    pull_after_wait_sees_own_push
    a_key_nobody_pushed_reads_as_freshly_made
    aggregated_push_waits_for_every_worker
    immediate_pushes_wait_for_nobody
    calls_run_once_a_server_and_reply_alike_to_all
    reductions_join_all_workers
    equal_bits_for_any_number_of_workers_and_servers
    misuse_is_told_with_expected_and_got
    a_worker_that_does_not_come_is_named_at_the_deadline
}
