//! Claims about filters, for every driver.

use super::{PATIENT_MS, Start, each, f32s, keys};
use handcar_base::{Key, Rng, Seed};
use handcar_ps::filter::{Direction, TableFilters};
use handcar_ps::{Policy, Worker};

/// A run of aggregated pushes with pulls, some keys zero, under some filters; what a pull of all keys shows at the end.
fn run(start: Start, workers: usize, servers: usize, push: &str, pull: &str) -> Vec<Vec<f32>> {
    let filters = TableFilters::parse(push, pull).unwrap();
    each(start(workers, servers, PATIENT_MS), |w| {
        let t = w.create_table_with("w", "probe", &[], &filters).unwrap();
        w.set_policy(Policy::BoundedDelay(2));
        let all: Vec<Key> = (0..200).collect();
        let mut open = Vec::new();
        for round in 0..12u64 {
            let mut rng = Rng::new(Seed(round), 3);
            let list = keys(&all.iter().copied().filter(|_| rng.below(3) > 0).collect::<Vec<_>>());
            let mine = |i: usize| i % w.workers() == w.rank() && i % 5 > 1;
            let number = |i: usize| if mine(i) { (round as i64 + 1) * (i as i64 - 50) } else { 0 };
            let values: Vec<i64> = (0..list.len()).flat_map(|i| [number(i), 2 * number(i)]).collect();
            open.push(w.push_pull(t, &list, values).args(&[round as u8 % 3]).submit().unwrap());
            if open.len() > 2 {
                w.wait(open.remove(0)).unwrap();
            }
        }
        open.into_iter().for_each(|task| drop(w.wait(task).unwrap()));
        w.barrier().unwrap();
        let pulled = f32s(w.pull(t, &keys(&all)).wait().unwrap().pulled);
        // Who finishes sends what its filters hold back.
        w.barrier().unwrap();
        pulled
    })
}

pub fn exact_filters_change_no_bit(start: Start) {
    let plain = run(start, 1, 1, "", "");
    for (push, pull) in [
        ("zero,lz4", "zstd"),
        ("key-cache,zero,zstd:1", "zero,lz4"),
        ("kkt,zstd", "significant:0,zero"),
        ("zero,zero,lz4,zstd", "significant:0,zstd"),
    ] {
        for (workers, servers) in [(1, 1), (1, 3), (2, 2), (3, 1)] {
            let got = run(start, workers, servers, push, pull);
            assert!(got.iter().all(|g| *g == plain[0]), "{push} {pull} {workers}x{servers}");
        }
    }
}

pub fn lossy_filters_do_the_same_twice_and_rows_not_sent_are_not_pushed(start: Start) {
    for spec in ["fixed-point:1", "random-skip:0.5,zero,zstd", "error-feedback:fixed-point:1,lz4", "countmin:3"] {
        let once = run(start, 2, 2, spec, "");
        assert_eq!(once, run(start, 2, 2, spec, ""), "{spec}");
        assert_ne!(once, run(start, 2, 2, "", ""), "{spec}");
    }
    each(start(1, 2, PATIENT_MS), |w| {
        let filters = TableFilters::parse("zero:drop", "").unwrap();
        let t = w.create_table_with("w", "probe", &[], &filters).unwrap();
        let out = w.push_pull(t, &keys(&[1, 2, 3, 4]), vec![1i64, 0, 0, 0, 0, 2, 0, 0]).wait().unwrap();
        let applied: i64 = out.notes.iter().map(|n| i64::from_le_bytes(n[..].try_into().unwrap())).sum();
        assert_eq!((applied, f32s(out.pulled)[1]), (2, 0.5), "two rows came; all are answered");
        assert_eq!(out.spent, Some(vec![1i64, 0, 0, 0, 0, 2, 0, 0].into()), "the push buffer comes back");
    });
}

/// Pushes integers that are held back, and what a pull shows before and after a flush.
fn held(w: &mut Worker, spec: &str) -> [f64; 2] {
    let filters = TableFilters::parse(spec, "").unwrap();
    let t = w.create_table_with("w", "sum.f64", &[], &filters).unwrap();
    let k = keys(&(0..100).collect::<Vec<_>>());
    for _ in 0..5 {
        w.push(t, &k, (0..100).map(|i| 0.25 * f64::from(i)).collect::<Vec<_>>()).immediate().wait().unwrap();
    }
    w.barrier().unwrap();
    let sum = |w: &mut Worker| {
        let pulled = w.pull(t, &k).wait().unwrap().pulled;
        let sum = pulled.and_then(|v| v.into_vec::<f64>()).unwrap().iter().sum();
        w.barrier().unwrap();
        sum
    };
    let before = sum(w);
    w.flush(t).unwrap();
    w.barrier().unwrap();
    [before, sum(w)]
}

pub fn a_flush_sends_what_filters_held_back(start: Start) {
    for spec in ["significant:1e9", "error-feedback:countmin:9,zstd", "significant:20,lz4"] {
        let sums = each(start(2, 3, PATIENT_MS), |w| held(w, spec));
        let all = 2.0 * 5.0 * 0.25 * 4950.0;
        assert!(sums[0][0] < all && sums.iter().all(|s| s[1] == all), "{spec}: {sums:?}");
    }
}

pub fn an_unfiltered_push_arrives_as_it_is(start: Start) {
    each(start(1, 2, PATIENT_MS), |w| {
        let filters = TableFilters::parse("significant:1e9", "significant:1e9").unwrap();
        let t = w.create_table_with("w", "sum.f32", &[], &filters).unwrap();
        let k = keys(&[1, 2, 3]);
        w.push(t, &k, vec![1.0f32, 2.0, 3.0]).unfiltered().wait().unwrap();
        assert_eq!(f32s(w.pull(t, &k).wait().unwrap().pulled), [1.0, 2.0, 3.0]);
        w.push(t, &k, vec![1.0f32; 3]).unfiltered().wait().unwrap();
        assert_eq!(f32s(w.pull(t, &k).wait().unwrap().pulled), [1.0, 2.0, 3.0], "it changed less than the threshold");
        assert_eq!(f32s(w.pull(t, &k).unfiltered().wait().unwrap().pulled), [2.0, 3.0, 4.0]);
    });
}

pub fn what_a_filter_cannot_carry_passes_by_it(start: Start) {
    each(start(1, 2, PATIENT_MS), |w| {
        let filters = TableFilters::parse("fixed-point:1", "fixed-point:1").unwrap();
        let t = w.create_table_with("w", "assign.f32", &[], &filters).unwrap();
        let (k, odd) = (keys(&[1, 2, 3]), vec![1.0f32, f32::INFINITY, -1.0]);
        w.push(t, &k, odd.clone()).wait().unwrap();
        assert_eq!(f32s(w.pull(t, &k).wait().unwrap().pulled), odd);
    });
}

pub fn unknown_filters_are_refused_with_those_known(start: Start) {
    each(start(1, 2, PATIENT_MS), |w| {
        let text = |w: &mut Worker, push: &str, pull: &str| {
            let filters = TableFilters::parse(push, pull).unwrap();
            w.create_table_with("w", "sum.f32", &[], &filters).unwrap_err().to_string()
        };
        let e = text(w, "zip", "");
        assert!(e.starts_with("create_table: expected a filter among countmin, ") && e.ends_with("got \"zip\""), "{e}");
        let e = text(w, "fixed-point:9", "");
        assert!(e.contains("refused by server") && e.contains("expected bytes a number in 1..=4, got 9"), "{e}");
        let e = text(w, "", "random-skip:0.5");
        assert!(e.contains("filter random-skip: expected a chain for pushes, got one for pulls"), "{e}");
        w.create_table("w", "sum.f32", &[]).unwrap();
    });
}

pub fn a_filter_of_ones_own_works(start: Start) {
    each(start(1, 2, PATIENT_MS), |w| {
        let filters = TableFilters::parse("halve,zstd", "").unwrap();
        let t = w.create_table_with("w", "sum.f32", &[], &filters).unwrap();
        let k = keys(&[1, 2, 3]);
        w.push(t, &k, vec![1.0f32, 2.0, 3.0]).wait().unwrap();
        assert_eq!(f32s(w.pull(t, &k).wait().unwrap().pulled), [0.5, 1.0, 1.5]);
        let saved = w.stats().filters;
        let names: Vec<_> = saved.iter().map(|s| (s.name.as_str(), s.direction)).collect();
        assert_eq!(names, [("halve", Direction::Push), ("zstd", Direction::Push)]);
        assert!(saved.iter().all(|s| s.before > 0));
    });
}
