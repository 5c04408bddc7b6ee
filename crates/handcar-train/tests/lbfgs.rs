//! L-BFGS beyond what it shares with DBPG: losses without a certificate, solvers in turn, odd problems.

mod common;
use common::fit;
use handcar_base::{Rng, Seed};
use handcar_data::Dataset;
use handcar_train::job::{self, FitOptions, Holdout, Silent, TrainInput};
use handcar_train::loss::LossKind;
use handcar_train::solver::Solver;

/// Dense rows of a planted model, labels ±1.
struct Problem {
    rows: Vec<Vec<f64>>,
    labels: Vec<f64>,
}

impl Problem {
    fn new(seed: u64, n: usize, columns: usize) -> Self {
        let mut r = Rng::new(Seed(seed), 0);
        let mut out = Self { rows: Vec::new(), labels: Vec::new() };
        for _ in 0..n {
            let row: Vec<f64> = (0..columns).map(|k| ((r.uniform() - 0.5) * [1.0, 4.0][k % 2]) as f32 as f64).collect();
            let score: f64 = row.iter().enumerate().map(|(k, x)| x * ((k % 3) as f64 - 1.0)).sum();
            out.labels.push(if score + r.uniform() - 0.5 > 0.0 { 1.0 } else { -1.0 });
            out.rows.push(row);
        }
        out
    }

    fn dataset(&self) -> Dataset {
        let columns = self.rows[0].len();
        let offsets: Vec<u64> = (0..=self.rows.len()).map(|i| (i * columns) as u64).collect();
        let ids: Vec<u32> = self.rows.iter().flat_map(|_| 0..columns as u32).collect();
        let values: Vec<f32> = self.rows.iter().flatten().map(|&x| x as f32).collect();
        let labels: Vec<f32> = self.labels.iter().map(|&y| y as f32).collect();
        Dataset::from_csr(&labels, &offsets, &ids, Some(&values), None).unwrap()
    }

    /// The least objective of squared hinge loss, by proximal gradient steps; the last weight is the intercept.
    fn optimum(&self, l1: f64, l2: f64) -> f64 {
        let columns = self.rows[0].len();
        let curvature = 2.0 * self.rows.iter().map(|r| 1.0 + r.iter().map(|x| x * x).sum::<f64>()).sum::<f64>();
        let mut w = vec![0.0; columns + 1];
        let margin = |row: &[f64], w: &[f64]| row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() + w[columns];
        for _ in 0..60_000 {
            let mut g = vec![0.0; columns + 1];
            for (row, y) in self.rows.iter().zip(&self.labels) {
                let slope = -2.0 * y * (1.0 - y * margin(row, &w)).max(0.0);
                g.iter_mut().zip(row.iter().chain([&1.0])).for_each(|(g, x)| *g += slope * x);
            }
            for k in 0..=columns {
                let (l1, l2) = if k == columns { (0.0, 0.0) } else { (l1, l2) };
                w[k] = handcar_train::penalty::soft(curvature * w[k] - g[k], l1) / (curvature + l2);
            }
        }
        let loss = |(row, y): (&Vec<f64>, &f64)| (1.0 - y * margin(row, &w)).max(0.0).powi(2);
        let penalty: f64 = w[..columns].iter().map(|w| l1 * w.abs() + 0.5 * l2 * w * w).sum();
        self.rows.iter().zip(&self.labels).map(loss).sum::<f64>() + penalty
    }
}

fn options() -> FitOptions {
    FitOptions { solver: Solver::Lbfgs.into(), passes: 1000, ..FitOptions::default() }
}

#[test]
fn squared_hinge_reaches_the_references_optimum_without_a_certificate() {
    for (seed, l1, l2) in [(1, 0.0, 1.0), (2, 1.0, 0.0), (3, 0.5, 0.5)] {
        let problem = Problem::new(seed, 60, 6);
        let (data, best) = (problem.dataset(), problem.optimum(l1, l2));
        let options = FitOptions { loss: LossKind::SquaredHinge, l1, l2, tol: 1e-8, ..options() };
        let fitted = fit(&data, 1, 1, &options);
        let facts = &fitted.model.facts;
        let off = facts.objective / best - 1.0;
        assert!((-1e-7..=1e-5).contains(&off) && facts.converged && facts.gap.is_none(), "{off:.1e} {facts:?}");
        assert!(fitted.trace.windows(2).all(|p| p[1].objective <= p[0].objective));
        for (threads, workers, servers) in [(2, 1, 1), (1, 2, 2)] {
            let other = fit(&data, workers, servers, &FitOptions { threads, ..options.clone() });
            assert_eq!(fitted.model, other.model, "{threads} threads, {workers} workers, {servers} servers");
        }
    }
}

#[test]
fn solvers_before_and_after_agree_with_dbpg() {
    let data = Problem::new(4, 80, 6).dataset();
    let alone = fit(&data, 1, 1, &FitOptions { tol: 1e-6, ..FitOptions::default() }).model.facts.objective;
    for solvers in ["lbfgs", "ftrl+lbfgs", "lbfgs+dbpg", "dbpg+lbfgs", "lbfgs+lbfgs"] {
        let options = FitOptions { solver: solvers.parse().unwrap(), tol: 1e-6, ..options() };
        let fitted = fit(&data, 1, 1, &options);
        let facts = &fitted.model.facts;
        assert!(facts.converged && (facts.objective / alone - 1.0).abs() < 2e-6, "{solvers}: {facts:?}");
        assert_eq!(fitted.model, fit(&data, 2, 2, &options).model, "{solvers}");
    }
}

#[test]
fn any_length_of_history_reaches_the_optimum() {
    let data = Problem::new(5, 80, 6).dataset();
    for history in [1, 3, 11, 40] {
        let facts = fit(&data, 1, 1, &FitOptions { history, ..options() }).model.facts;
        assert!(facts.converged, "{history}: {facts:?}");
    }
}

#[test]
fn a_warm_start_at_the_optimum_is_certified_at_once_and_rises_nowhere() {
    let data = Problem::new(6, 80, 6).dataset();
    let cold = fit(&data, 1, 1, &FitOptions { tol: 1e-6, ..options() });
    let warm = fit(&data, 1, 1, &FitOptions { init: Some(cold.model.clone()), tol: 1e-5, ..options() });
    assert!(warm.trace.len() == 1 && warm.model.facts.converged, "{:?}", warm.trace);
    assert!(warm.model.facts.objective <= cold.model.facts.objective * (1.0 + 1e-9));
}

#[test]
fn problems_without_a_key_are_solved() {
    let data = Problem::new(7, 60, 3).dataset();
    for intercept in [true, false] {
        let fitted = fit(&data, 2, 1, &FitOptions { l1: 1e6, intercept, tol: 1e-9, ..options() });
        let dbpg = fit(&data, 2, 1, &FitOptions { l1: 1e6, intercept, tol: 1e-9, ..FitOptions::default() });
        let (a, b) = (fitted.model.facts, dbpg.model.facts);
        assert!(a.nnz == 0 && a.converged && (a.objective / b.objective - 1.0).abs() < 1e-9, "{a:?} {b:?}");
    }
}

#[test]
fn where_no_step_helps_any_more_the_solver_ends_with_what_it_has() {
    let data = Problem::new(8, 40, 3).dataset();
    let fitted = fit(&data, 1, 1, &FitOptions { l1: 0.0, l2: 1.0, tol: 0.0, passes: 100_000, ..options() });
    assert!(fitted.trace.len() < 1000 && fitted.model.facts.gap.unwrap() < 1e-8, "{:?}", fitted.model.facts);
}

#[test]
fn held_out_rows_are_measured_and_not_learned_from() {
    let data = Problem::new(9, 200, 4).dataset();
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
    let input = TrainInput { holdout: Some(Holdout::Share(0.25)), ..TrainInput::new(&data) };
    let fitted = job::fit(&mut worker, input, &options(), &mut Silent).unwrap();
    let measured = fitted.metrics.unwrap();
    assert_eq!(measured.rows + fitted.model.facts.rows, 200);
    assert!(measured.metrics.auc.unwrap() > 0.9 && fitted.model.facts.converged);
}
