//! What late gradients cost, in the simulation: where AdaDelay gains, and where it does not.

use handcar_data::{CachePolicy, Dataset, ReadOptions, read};
use handcar_train::delay::{DelayRun, Delays, Team, simulate};
use handcar_train::solver::Solver;
use std::path::Path;

const PAIR: [Solver; 2] = [Solver::AsyncAdaGrad, Solver::AdaDelay];

/// The first rows of the census.
fn adult(rows: usize) -> Dataset {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/adult.csv.gz");
    let options = ReadOptions { label: Some("income".into()), cache: CachePolicy::off(), ..ReadOptions::default() };
    let all = read(&[path.display().to_string()], &options).unwrap();
    let (mut offsets, mut ids) = (vec![0u64], Vec::new());
    for row in 0..rows {
        ids.extend_from_slice(all.csr().row(row).0);
        offsets.push(ids.len() as u64);
    }
    Dataset::from_csr(&all.labels()[..rows], &offsets, &ids, None, None).unwrap()
}

fn delays(workers: usize, spread: f64, pushes: usize) -> Delays {
    let team = Team { workers, spread, seed: 0 };
    Delays { team, pushes, batch_rows: 32, beta: 0.1, look_every: 10, threads: 2 }
}

/// Pushes until the first of some runs is at the target.
fn soonest(runs: &[DelayRun], target: f64, look_every: usize) -> f64 {
    let all = runs.iter().filter_map(|r| r.pushes_to(target, look_every));
    all.min().map_or(f64::INFINITY, |pushes| pushes as f64)
}

#[test]
fn with_delays_as_long_as_the_story_adadelay_needs_at_most_four_fifths_of_the_pushes() {
    let data = adult(3000);
    let rates: Vec<f64> = (0..10).map(|i| 0.01 * 2f64.powf(0.25 * f64::from(i))).collect();
    let mut shares: Vec<f64> = (0..3)
        .map(|seed| {
            let mut delays = delays(1000, 1000.0, 2000);
            delays.team.seed = seed;
            let runs = simulate(&data, &delays, &PAIR, &rates).unwrap();
            let (plain, adadelay) = runs.split_at(rates.len());
            // What AsyncAdaGrad ends with at its best rate.
            let target = plain.iter().filter_map(|r| r.losses.last().copied()).fold(f64::INFINITY, f64::min);
            soonest(adadelay, target, delays.look_every) / soonest(plain, target, delays.look_every)
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    println!("adadelay's share of async-adagrad's pushes, three seeds: {shares:.3?}");
    assert!(shares[1] <= 0.8, "{shares:?}");
}

#[test]
fn with_one_worker_it_is_async_adagrad_to_the_bit_and_with_few_nearly() {
    let data = adult(500);
    let alone = simulate(&data, &delays(1, 1.0, 300), &PAIR, &[0.1]).unwrap();
    assert_eq!(alone[0].losses, alone[1].losses);
    let four = simulate(&data, &delays(4, 1.0, 2000), &PAIR, &[0.1]).unwrap();
    let [a, b] = [0, 1].map(|i| four[i].losses.last().copied().unwrap());
    println!("four workers of one pace after 2000 pushes: async-adagrad {a:.5}, adadelay {b:.5}");
    assert!((a / b - 1.0).abs() < 0.01, "{a} {b}");
}
