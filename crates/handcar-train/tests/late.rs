//! Solvers whose workers push without waiting for each other: against AdaGrad, and alone or several.

mod common;
use common::fit;
use handcar_base::{Rng, Seed};
use handcar_data::Dataset;
use handcar_train::job::{self, FitOptions, Observer, PassTrace, TrainInput};
use handcar_train::penalty::Bounds;
use handcar_train::solver::Solver;

const LATE: [Solver; 3] = [Solver::AdaDelay, Solver::AsyncAdaGrad, Solver::AdaptiveRevision];

/// Rows of some of `columns` ones, with labels of a planted model.
fn problem(seed: u64, rows: usize, columns: u32) -> Dataset {
    let mut r = Rng::new(Seed(seed), 0);
    let planted: Vec<f64> = (0..columns).map(|_| 3.0 * (r.uniform() - 0.5)).collect();
    let (mut offsets, mut ids, mut labels) = (vec![0u64], Vec::new(), Vec::new());
    for _ in 0..rows {
        let row: Vec<u32> = (0..columns).filter(|_| r.below(4) == 0).collect();
        let score: f64 = row.iter().map(|&k| planted[k as usize]).sum();
        labels.push(if r.uniform() < 1.0 / (1.0 + (-score).exp()) { 1.0 } else { -1.0 });
        ids.extend(row);
        offsets.push(ids.len() as u64);
    }
    Dataset::from_csr(&labels, &offsets, &ids, None, None).unwrap()
}

fn options(solver: Solver) -> FitOptions {
    FitOptions { solver: solver.into(), passes: 2, batch_rows: 16, rate: Some(0.2), l1: 0.0, ..FitOptions::default() }
}

#[test]
fn without_a_delay_they_are_adagrad_for_any_number_of_threads_workers_and_servers() {
    let data = problem(1, 500, 30);
    let adagrad = fit(&data, 1, 1, &options(Solver::AdaGrad));
    for solver in LATE {
        let one = fit(&data, 1, 1, &options(solver));
        for k in 0..30 {
            let (a, b) = (one.model.weight(k), adagrad.model.weight(k));
            let near = if solver == Solver::AdaptiveRevision { 1e-4 } else { 0.0 };
            assert!((a - b).abs() <= near, "{solver} {k}: {a} {b}");
        }
        assert_eq!(one.model, fit(&data, 1, 1, &FitOptions { threads: 3, ..options(solver) }).model);
        assert_eq!(one.model, fit(&data, 3, 2, &options(solver)).model);
    }
}

#[test]
fn one_worker_with_a_delay_gives_equal_bits_whatever_the_servers() {
    let data = problem(2, 500, 30);
    for solver in LATE {
        let o = FitOptions { delay: 5, ..options(solver) };
        let one = fit(&data, 1, 1, &o);
        assert_eq!(one.model, fit(&data, 1, 1, &o).model, "{solver}");
        assert_eq!(one.model, fit(&data, 1, 3, &o).model, "{solver}");
        assert_ne!(one.model.weight(3), fit(&data, 1, 1, &options(solver)).model.weight(3));
    }
}

/// Plain rules in f64, one worker, each gradient at weights `delay` pushes old.
fn reference(data: &Dataset, solver: Solver, o: &FitOptions) -> Vec<f64> {
    let columns = data.keys().len();
    let (n, b, alpha) = (data.rows(), o.batch_rows as usize, o.rate.unwrap());
    let batches = n.div_ceil(b);
    let soft = |a: f64, t: f64| a.signum() * (a.abs() - t).max(0.0);
    // Weights and sums of gradients after each push; one more column for the intercept.
    let (mut w, mut sum) = (vec![vec![0.0; columns + 1]], vec![vec![0.0; columns + 1]]);
    let (mut a, mut most) = (vec![0.0f64; columns + 1], vec![0.0f64; columns + 1]);
    for batch in 0..batches {
        let t = batch + 1;
        let delay = (o.delay as usize).min(batch);
        let mut g = vec![0.0; columns + 1];
        for i in batch * b..((batch + 1) * b).min(n) {
            let (ids, y) = (data.csr().row(i).0, data.labels()[i] as f64);
            let at = &w[batch - delay];
            let m = at[columns] + ids.iter().map(|&k| at[k as usize]).sum::<f64>();
            let slope = -y / (1.0 + (y * m).exp());
            ids.iter().for_each(|&k| g[k as usize] += slope);
            g[columns] += slope;
        }
        let (mut next, mut next_sum) = (w[batch].clone(), sum[batch].clone());
        for k in 0..=columns {
            let r = 1.0 + delay as f64 / t as f64;
            let missed = sum[batch][k] - sum[batch - delay][k];
            let before = alpha / (o.beta + most[k].sqrt());
            let (p1, p2) = if k == columns { (0.0, 0.0) } else { (o.l1 / batches as f64, o.l2 / batches as f64) };
            next_sum[k] += g[k];
            let e = match solver {
                Solver::AdaDelay => {
                    a[k] += g[k] * g[k] / r;
                    // The penalty of a batch without the key is one on time.
                    alpha / (o.beta + (if g[k] == 0.0 { a[k] } else { r * a[k] }).sqrt())
                }
                Solver::AsyncAdaGrad => {
                    a[k] += g[k] * g[k];
                    alpha / (o.beta + a[k].sqrt())
                }
                _ => {
                    a[k] += if g[k] == 0.0 { 0.0 } else { g[k] * g[k] + 2.0 * g[k] * missed };
                    most[k] = most[k].max(a[k]);
                    alpha / (o.beta + most[k].sqrt())
                }
            };
            next[k] = soft(next[k] - e * g[k], e * p1) / (1.0 + e * p2);
            if solver == Solver::AdaptiveRevision && g[k] != 0.0 {
                next[k] += (before - e) * missed;
            }
            if k < columns {
                next[k] = o.bounds.clip(next[k]);
            }
        }
        w.push(next);
        sum.push(next_sum);
    }
    w.pop().unwrap()
}

#[test]
fn each_equals_a_plain_reference_of_its_delay() {
    let data = problem(3, 400, 20);
    for solver in LATE {
        let low = Bounds::new(-0.1, 0.2).unwrap();
        let all = Bounds::NONE;
        for (delay, l1, l2, bounds) in
            [(1, 0.0, 0.0, all), (7, 0.0, 0.0, all), (4, 2.0, 1.0, all), (3, 0.0, 0.0, low), (5, 1.0, 0.5, low)]
        {
            if (l1 > 0.0 || bounds != all) && solver == Solver::AdaptiveRevision {
                continue;
            }
            let o = FitOptions { delay, l1, l2, bounds, passes: 1, ..options(solver) };
            let (got, want) = (fit(&data, 1, 2, &o).model, reference(&data, solver, &o));
            for (k, &b) in want[..20].iter().enumerate() {
                let a = got.weight(k as u64) as f64;
                assert!((a - b).abs() < 2e-3 * b.abs().max(0.05), "{solver} {delay} {l1} {k}: {a} {b}");
            }
            assert!((got.intercept - want[20]).abs() < 1e-3, "{solver} {delay}: {} {}", got.intercept, want[20]);
        }
    }
}

#[test]
fn several_workers_learn_from_every_row_once_a_pass() {
    let data = problem(4, 4000, 30);
    for solver in LATE {
        let o = FitOptions { passes: 3, ..options(solver) };
        let calm = fit(&data, 1, 1, &o);
        for (workers, servers, delay) in [(2, 1, 1), (4, 2, 3), (3, 2, 100)] {
            let fitted = fit(&data, workers, servers, &FitOptions { delay, rate: Some(0.1), ..o.clone() });
            let rows: Vec<u64> = fitted.online.iter().map(|l| l.rows).collect();
            assert_eq!(rows, [4000; 3], "{solver}: a line a pass, of all rows");
            let (a, b) = (calm.model.facts.objective, fitted.model.facts.objective);
            // With a delay of 100 every batch of a pass is under way at once.
            let bound = if delay == 100 { f64::INFINITY } else { 1.3 * a };
            assert!(b < bound, "{solver} {workers} {servers} {delay}: {a} {b}");
        }
    }
}

#[test]
fn a_slow_worker_takes_fewer_batches_and_holds_nobody_up() {
    /// Hears of every 64 batches that this worker has taken in a pass.
    struct Batches(u64);
    impl Observer for Batches {
        fn pass(&mut self, _pass: &PassTrace) {}
        fn progress(&mut self, _done: f64) {
            self.0 += 64;
        }
    }
    let data = problem(5, 16_000, 20);
    let o = FitOptions { delay: 1, ..options(Solver::AdaDelay) };
    let cluster = handcar_ps::driver::local::cluster(3, 1, &job::registry());
    let fitted: Vec<_> = std::thread::scope(|scope| {
        let work = |mut worker: handcar_ps::Worker| {
            let rank = worker.rank();
            let options = FitOptions { slow: if rank == 2 { 50.0 } else { 1.0 }, ..o.clone() };
            let input = TrainInput { rows: 16_000 * rank / 3..16_000 * (rank + 1) / 3, ..TrainInput::new(&data) };
            let mut batches = Batches(0);
            let fitted = job::fit(&mut worker, input, &options, &mut batches).unwrap();
            worker.finish().unwrap();
            (fitted, batches.0)
        };
        let running: Vec<_> = cluster.into_iter().map(|w| scope.spawn(move || work(w))).collect();
        running.into_iter().map(|r| r.join().unwrap()).collect()
    });
    assert_eq!(fitted[0].0.model, fitted[2].0.model);
    assert_eq!(fitted[0].0.online.last().map(|l| l.rows), Some(16_000));
    // The two others take what it leaves: far more than its share of the batches.
    let taken: Vec<u64> = fitted.iter().map(|f| f.1).collect();
    assert!(taken[2] < taken[0].max(taken[1]) && taken[0] + taken[1] > 1000, "{taken:?}");
}

#[test]
fn whoever_has_enough_ends_the_pass_for_all() {
    struct Enough(bool);
    impl Observer for Enough {
        fn pass(&mut self, _pass: &PassTrace) {}
        fn stop(&self) -> bool {
            self.0
        }
    }
    let data = problem(6, 4000, 10);
    let o = FitOptions { delay: 2, passes: 1000, ..options(Solver::AdaDelay) };
    let cluster = handcar_ps::driver::local::cluster(3, 2, &job::registry());
    std::thread::scope(|scope| {
        for mut worker in cluster {
            let (data, o) = (&data, &o);
            scope.spawn(move || {
                let input = TrainInput {
                    rows: 4000 * worker.rank() / 3..4000 * (worker.rank() + 1) / 3,
                    ..TrainInput::new(data)
                };
                let mut enough = Enough(worker.rank() == 1);
                let fitted = job::fit(&mut worker, input, o, &mut enough).unwrap();
                assert_eq!(fitted.trace.len(), 1);
                worker.finish().unwrap();
            });
        }
    });
}

#[test]
fn an_asynchronous_pass_starts_a_batch_solver() {
    let data = problem(7, 800, 20);
    let o = FitOptions {
        solver: "adadelay+dbpg".parse().unwrap(),
        passes: 100,
        l1: 1.0,
        delay: 2,
        ..options(Solver::Dbpg)
    };
    let fitted = fit(&data, 2, 2, &o);
    assert!(fitted.model.facts.converged);
}
