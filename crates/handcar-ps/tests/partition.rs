//! Servers cut off without a word: hosts of their own (network namespaces), packets dropped by nftables.
//!
//! Needs root, `ip` and `nft`; skips with a word where one is missing. More trials as in `failover.rs`.
#![cfg(target_os = "linux")]

mod common;

use common::trial::{Host, report, run_part, settled, trials, while_pushing_on};
use handcar_base::{Rng, Seed};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

const SERVERS: usize = 3;

#[test]
fn a_process_of_the_cluster() {
    run_part();
}

fn done(words: &str) -> bool {
    let mut words = words.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|s| s.success())
}

/// A network of the test's own: one host for the test, which routes, and one for each server.
struct Network {
    hosts: Vec<Host>,
}

impl Network {
    fn make() -> Option<Self> {
        let id = std::process::id();
        let name = |n: usize| format!("hc{id}-{n}");
        let hosts = (0..=SERVERS).map(|n| Host { name: name(n), addr: format!("10.213.{n}.2") }).collect();
        let network = Self { hosts };
        let hub = &network.hosts[0];
        let first = [
            format!("ip netns add {}", hub.name),
            format!("ip -n {} link set lo up", hub.name),
            format!("ip -n {} addr add {}/32 dev lo", hub.name, hub.addr),
            format!("ip netns exec {} sysctl -w net.ipv4.ip_forward=1", hub.name),
        ];
        let rest = network.hosts.iter().enumerate().skip(1).flat_map(|(n, host)| {
            [
                format!("ip netns add {}", host.name),
                format!("ip -n {} link add v{n} type veth peer name eth netns {}", hub.name, host.name),
                format!("ip -n {} addr add 10.213.{n}.1/24 dev v{n}", hub.name),
                format!("ip -n {} link set v{n} up", hub.name),
                format!("ip -n {} addr add {}/24 dev eth", host.name, host.addr),
                format!("ip -n {} link set eth up", host.name),
                format!("ip -n {} link set lo up", host.name),
                format!("ip -n {} route add default via 10.213.{n}.1", host.name),
            ]
        });
        first.into_iter().chain(rest).all(|c| done(&c)).then_some(network)
    }

    fn rules(&self, n: usize, rules: &[&str]) {
        for rule in rules {
            let words = ["netns", "exec", &self.hosts[n].name, "nft", rule];
            assert!(Command::new("ip").args(words).status().is_ok_and(|s| s.success()), "{rule}");
        }
    }

    /// Drops every packet of a host, in and out; nobody is told.
    fn cut(&self, n: usize) {
        self.rules(
            n,
            &[
                "add table inet cut",
                "add chain inet cut in { type filter hook input priority 0 ; policy drop ; }",
                "add chain inet cut out { type filter hook output priority 0 ; policy drop ; }",
            ],
        );
    }

    /// Drops every packet between two hosts.
    fn part(&self, n: usize, other: usize) {
        let addr = &self.hosts[other].addr;
        self.rules(
            n,
            &[
                "add table inet cut",
                "add chain inet cut in { type filter hook input priority 0 ; }",
                "add chain inet cut out { type filter hook output priority 0 ; }",
                &format!("add rule inet cut in ip saddr {addr} drop"),
                &format!("add rule inet cut out ip daddr {addr} drop"),
            ],
        );
    }

    fn heal(&self, n: usize) {
        assert!(done(&format!("ip netns exec {} nft delete table inet cut", self.hosts[n].name)));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in self.hosts.iter().rev() {
            done(&format!("ip netns del {}", host.name));
        }
    }
}

/// Runs inside the first host, see the test below.
#[test]
fn story_inside_the_network() {
    let Ok(names) = std::env::var("HANDCAR_TEST_HOSTS") else { return };
    let host = |h: &str| {
        let (name, addr) = h.split_once('=').unwrap();
        Host { name: name.into(), addr: addr.into() }
    };
    let network = std::mem::ManuallyDrop::new(Network { hosts: names.split(' ').map(host).collect() });
    let (mut times, mut false_alarms) = (Vec::new(), 0);
    while_pushing_on(&network.hosts, SERVERS, 2, 2, |cluster, dog| {
        let mut rng = Rng::new(Seed(9), 0);
        for trial in 0..trials() {
            settled(dog, SERVERS);
            std::thread::park_timeout(Duration::from_micros(rng.below(20_000)));
            // The longest-lived server is the one on the next host in turn.
            let n = 1 + trial % SERVERS;
            let mut victim = cluster.servers.remove(0);
            dog.lose(|| network.cut(n));
            let wrongly = || {
                let seen = dog.epoch.load(Ordering::SeqCst) <= dog.past.load(Ordering::SeqCst);
                seen && dog.servers.load(Ordering::SeqCst) < SERVERS as u64
            };
            dog.wait("the next push", || dog.back.load(Ordering::SeqCst) > 0 || wrongly());
            match dog.back.load(Ordering::SeqCst) {
                0 => false_alarms += 1,
                us => times.push(us as f64 / 1000.0),
            }
            network.heal(n);
            // Once it hears again, it hears that it was replaced.
            victim.ended();
            cluster.place(&network.hosts[n]);
            cluster.add_server();
        }
        settled(dog, SERVERS);
        // Two servers cut off from each other alone: both send heartbeats, so only what is not acknowledged tells.
        let on = |n: usize| 1 + (trials() + n) % SERVERS;
        dog.lose(|| network.part(on(0), on(1)));
        dog.wait("the next push", || dog.back.load(Ordering::SeqCst) > 0);
        let ms = dog.back.load(Ordering::SeqCst) as f64 / 1000.0;
        println!("two servers cut off from each other: {ms:.1} ms to the next acknowledged push");
        let out = cluster.one_ended();
        assert!(out < 2, "one of the two is taken out, not server {out}");
        network.heal(on(0));
        cluster.place(&network.hosts[on(out)]);
        cluster.add_server();
        settled(dog, SERVERS);
    });
    println!("servers given up wrongly: {false_alarms}");
    report("silent partition, k = 2", times);
}

#[test]
fn a_server_that_is_cut_off_silently_costs_no_push() {
    if !done("ip netns list") || !done("nft --version") {
        return println!("SKIPPED: needs `ip` and `nft`");
    }
    let Some(network) = Network::make() else {
        return println!("SKIPPED: may not make network namespaces here (needs root)");
    };
    let names: Vec<String> = network.hosts.iter().map(|h| format!("{}={}", h.name, h.addr)).collect();
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", &network.hosts[0].name]).arg(std::env::current_exe().unwrap());
    inside.args(["--exact", "story_inside_the_network", "--nocapture"]);
    inside.env("HANDCAR_TEST_HOSTS", names.join(" "));
    assert!(inside.status().unwrap().success());
}
