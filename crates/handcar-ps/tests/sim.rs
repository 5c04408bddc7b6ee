//! Simulated faults: no seed breaks a promise, every deliberate mistake is found, and the faults really strike.

use handcar_ps::driver::sim::{Broken, ENVIRONMENT, FAILPOINTS, SimConfig, SimReport, run};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// `./test` runs 2,000 more, built for speed.
const SEEDS: u64 = 150;

/// Does something for each number below a bound on all cores; in order of the numbers.
fn each<T: Send>(count: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    let mut all: Vec<(u64, T)> = thread::scope(|scope| {
        let some = || {
            let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|&n| n < count);
            numbers.map(|n| (n, work(n))).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(some)).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    all.sort_by_key(|a| a.0);
    all.into_iter().map(|a| a.1).collect()
}

fn reports() -> &'static [SimReport] {
    static REPORTS: OnceLock<Vec<SimReport>> = OnceLock::new();
    REPORTS.get_or_init(|| each(SEEDS, |seed| run(&SimConfig { virtual_ms: 120_000, ..SimConfig::new(seed) })))
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in [3, 11] {
        let config = SimConfig { virtual_ms: 30_000, ..SimConfig::new(seed) };
        let (one, two) = (run(&config), run(&SimConfig { story: true, ..config.clone() }));
        assert!(!two.story.is_empty());
        assert_eq!(one, SimReport { story: Vec::new(), ..two }, "telling it changes nothing");
        assert_ne!(one.trace_hash, run(&SimConfig { seed: seed + 1, ..config }).trace_hash);
    }
}

#[test]
fn no_seed_breaks_a_promise() {
    let wrong: Vec<_> = reports().iter().filter_map(|r| Some((r.seed, r.violation.as_ref()?))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn faults_strike_and_checks_see_something() {
    let struck: BTreeSet<_> = reports().iter().flat_map(|r| r.faults.keys().copied()).collect();
    let (environment, failpoints): (Vec<_>, Vec<_>) = (
        ENVIRONMENT.iter().filter(|name| !struck.contains(*name)).collect(),
        FAILPOINTS.iter().filter(|name| !struck.contains(*name)).collect(),
    );
    assert!(environment.is_empty(), "never struck: {environment:?}");
    assert!(FAILPOINTS.len() - failpoints.len() >= 25, "never struck: {failpoints:?}");
    let sum = |of: fn(&SimReport) -> u64| reports().iter().map(of).sum::<u64>();
    assert!(sum(|r| r.tasks) > 10_000 && sum(|r| r.views) > 10 * SEEDS && sum(|r| r.rests) > 10 * SEEDS);
    assert!(sum(|r| r.old_answers) > 0, "no answer of an older view ever came");
    assert!(sum(|r| r.expired) > 0, "no task ever ran out of time");
}

#[test]
fn every_mistake_is_found_within_a_hundred_seeds() {
    let all: Vec<Broken> = Broken::all().collect();
    let found = each(all.len() as u64, |n| {
        let broken = Some(all[n as usize]);
        (0..100).find(|&seed| run(&SimConfig { broken, ..SimConfig::new(seed) }).violation.is_some())
    });
    let missed: Vec<_> = all.iter().zip(found).filter(|f| f.1.is_none()).map(|f| f.0.to_string()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn a_cluster_of_any_size_keeps_its_promises() {
    for (servers, workers, copies) in [(1, 1, 1), (2, 1, 2), (3, 5, 3), (8, 2, 4)] {
        let size =
            SimConfig { servers: Some(servers), workers: Some(workers), copies: Some(copies), ..SimConfig::new(5) };
        let report = run(&SimConfig { virtual_ms: 40_000, ..size });
        assert_eq!(report.violation, None, "{servers} servers, {workers} workers, {copies} copies");
    }
}
