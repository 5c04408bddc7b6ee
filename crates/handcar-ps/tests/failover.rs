//! Real servers, really killed and stopped, again and again: no acknowledged push is lost or counted twice, and pushes
//! go on.
//!
//! `HANDCAR_TRIALS=300 cargo test --release -p handcar-ps --test failover -- --nocapture --test-threads 1` makes the
//! figures of docs/benchmarks.md. The test binary starts itself again for each process, see `common/trial.rs`.

mod common;

use common::trial::{report, run_part, settled, trials, while_pushing};
use handcar_base::{Rng, Seed};
use rustix::process::Signal;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn a_process_of_the_cluster() {
    run_part();
}

fn lose_servers(name: &str, servers: usize, copies: usize, signal: Signal) {
    let (mut times, mut false_alarms) = (Vec::new(), 0);
    while_pushing(servers, 2, copies, |cluster, dog| {
        let mut rng = Rng::new(Seed(7), copies as u64);
        for _ in 0..trials() {
            settled(dog, servers);
            std::thread::park_timeout(Duration::from_micros(rng.below(20_000)));
            // Every server is the head of some keys, the tail of others and with three copies the middle of the rest.
            let mut victim = cluster.servers.remove(rng.below(servers as u64) as usize);
            dog.lose(|| victim.signal(signal));
            // On a busy machine a server may have been given up wrongly just before: then no view follows its end.
            let wrongly = || {
                let seen = dog.epoch.load(Ordering::SeqCst) <= dog.past.load(Ordering::SeqCst);
                seen && dog.servers.load(Ordering::SeqCst) < servers as u64
            };
            dog.wait("the next push", || dog.back.load(Ordering::SeqCst) > 0 || wrongly());
            match dog.back.load(Ordering::SeqCst) {
                0 => false_alarms += 1,
                us => times.push(us as f64 / 1000.0),
            }
            if signal == Signal::STOP {
                // Awake again it must not go on.
                victim.signal(Signal::CONT);
            }
            victim.ended();
            cluster.add_server();
        }
        settled(dog, servers);
    });
    println!("servers given up wrongly: {false_alarms}");
    report(name, times);
}

#[test]
fn a_killed_server_costs_no_push_with_two_copies() {
    lose_servers("SIGKILL, k = 2", 3, 2, Signal::KILL);
}

#[test]
fn a_killed_server_costs_no_push_with_three_copies() {
    lose_servers("SIGKILL, k = 3", 4, 3, Signal::KILL);
}

#[test]
fn a_stopped_server_costs_no_push_with_two_copies() {
    lose_servers("SIGSTOP, k = 2", 3, 2, Signal::STOP);
}

#[test]
fn a_stopped_server_costs_no_push_with_three_copies() {
    lose_servers("SIGSTOP, k = 3", 4, 3, Signal::STOP);
}

#[test]
fn servers_join_and_leave_while_pushes_go_on() {
    while_pushing(2, 2, 2, |cluster, dog| {
        for n in 3..=4 {
            settled(dog, n - 1);
            dog.longest_us.store(0, Ordering::SeqCst);
            cluster.add_server();
            settled(dog, n);
            println!("joined: longest push {:.1} ms", dog.longest_us.load(Ordering::SeqCst) as f64 / 1000.0);
        }
        for n in [3, 2] {
            dog.longest_us.store(0, Ordering::SeqCst);
            let mut leaving = cluster.servers.remove(0);
            std::io::Write::write_all(&mut leaving.0.stdin.take().unwrap(), b"leave\n").unwrap();
            settled(dog, n);
            leaving.ended();
            println!("left: longest push {:.1} ms", dog.longest_us.load(Ordering::SeqCst) as f64 / 1000.0);
        }
    });
}

#[test]
fn training_goes_on_without_the_scheduler_and_a_new_one_takes_over() {
    while_pushing(3, 2, 2, |cluster, dog| {
        for _ in 0..2 {
            settled(dog, 3);
            cluster.scheduler = None;
            let pushes = dog.pushes.load(Ordering::SeqCst);
            dog.wait("pushes without a scheduler", || dog.pushes.load(Ordering::SeqCst) > pushes + 5);
            cluster.start_scheduler();
            // It knows the cluster: a server lost now is replaced.
            let victim = cluster.servers.remove(0);
            dog.lose(|| victim.signal(Signal::KILL));
            dog.wait("the next push", || dog.back.load(Ordering::SeqCst) > 0);
            cluster.add_server();
            settled(dog, 3);
        }
    });
}
