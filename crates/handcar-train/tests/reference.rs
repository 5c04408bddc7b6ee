//! DBPG and L-BFGS against a slow reference on small random problems: the optimum, the certificate's truth, equal bits.

mod common;
use common::fit;
use handcar_base::{Rng, Seed};
use handcar_data::Dataset;
use handcar_train::job::FitOptions;
use handcar_train::penalty::{Bounds, ElasticNet, soft};
use handcar_train::solver::Solver;

/// A dense random problem; rows may have zero entries, which are not stored.
struct Problem {
    rows: Vec<Vec<f64>>,
    labels: Vec<f64>,
    weights: Vec<f64>,
}

impl Problem {
    /// `kind` 0: few categories, one of each of three fields a row; 1: real values of several sizes; 2: as 1 with columns
    /// whose mean is far from zero.
    fn new(seed: u64, kind: u64) -> Self {
        let mut r = Rng::new(Seed(seed), kind);
        let (n, columns) = (40 + r.below(60) as usize, 9);
        let mut normal = || (0..6).map(|_| r.uniform() - 0.5).sum::<f64>();
        let planted: Vec<f64> = (0..columns).map(|_| 2.0 * normal()).collect();
        let mut out = Self { rows: Vec::new(), labels: Vec::new(), weights: Vec::new() };
        for _ in 0..n {
            let row: Vec<f64> = match kind {
                0 => {
                    let pick: Vec<usize> = (0..3).map(|f| 3 * f + r.below(3) as usize).collect();
                    (0..columns).map(|k| pick.contains(&k) as u8 as f64).collect()
                }
                _ => (0..columns)
                    .map(|k| {
                        let x = (r.uniform() - 0.5) * [0.1, 1.0, 30.0][k % 3];
                        let mean = if kind == 2 && k < 3 { 50.0 } else { 0.0 };
                        if r.below(3) == 0 && mean == 0.0 { 0.0 } else { (x + mean) as f32 as f64 }
                    })
                    .collect(),
            };
            let score: f64 = row.iter().zip(&planted).map(|(x, p)| x.clamp(-1.0, 1.0) * p).sum();
            out.labels.push(if r.uniform() < 1.0 / (1.0 + (-score).exp()) { 1.0 } else { -1.0 });
            out.weights.push(if seed.is_multiple_of(2) { 1.0 } else { [0.5, 1.0, 3.0][r.below(3) as usize] });
            out.rows.push(row);
        }
        out
    }

    fn dataset(&self) -> Dataset {
        let (mut offsets, mut ids, mut values) = (vec![0u64], Vec::new(), Vec::new());
        for row in &self.rows {
            for (k, &x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                ids.push(k as u32);
                values.push(x as f32);
            }
            offsets.push(ids.len() as u64);
        }
        let narrow = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<f32>>();
        let weights = self.weights.iter().any(|&c| c != 1.0).then(|| narrow(&self.weights));
        Dataset::from_csr(&narrow(&self.labels), &offsets, &ids, Some(&values), weights.as_deref()).unwrap()
    }

    fn objective(&self, w: &[f64], ElasticNet { l1, l2, .. }: ElasticNet) -> f64 {
        let loss: f64 =
            (0..self.rows.len()).map(|i| self.weights[i] * log1p_exp(-self.labels[i] * self.margin(i, w))).sum();
        let columns = w.len() - 1;
        loss + w[..columns].iter().map(|w| l1 * w.abs() + 0.5 * l2 * w * w).sum::<f64>()
    }

    fn margin(&self, i: usize, w: &[f64]) -> f64 {
        self.rows[i].iter().zip(w).map(|(x, w)| x * w).sum::<f64>() + w[w.len() - 1]
    }

    /// Cyclic coordinate descent with one-dimensional Newton steps, cut at the bounds and halved until the objective falls; the
    /// last weight is the intercept.
    fn optimum(&self, penalty: ElasticNet, intercept: bool) -> f64 {
        let columns = self.rows[0].len();
        let mut w = vec![0.0; columns + 1];
        // Centred columns for the search only: the intercept takes up the means, so the problem is the same one.
        let mean = |k: usize| match intercept {
            true => self.rows.iter().map(|r| r[k]).sum::<f64>() / self.rows.len() as f64,
            false => 0.0,
        };
        let means: Vec<f64> = (0..columns).map(mean).collect();
        let mut margins = vec![0.0; self.rows.len()];
        let loss =
            |m: &[f64]| -> f64 { (0..m.len()).map(|i| self.weights[i] * log1p_exp(-self.labels[i] * m[i])).sum() };
        for _ in 0..3000 {
            let mut moved = 0.0f64;
            for k in 0..columns + intercept as usize {
                let x = |i: usize| if k == columns { 1.0 } else { self.rows[i][k] - means[k] };
                let ElasticNet { l1, l2, bounds } = if k == columns { ElasticNet::NONE } else { penalty };
                let (mut g, mut h) = (l2 * w[k], l2);
                for (i, m) in margins.iter().enumerate() {
                    let q = 1.0 / (1.0 + (self.labels[i] * m).exp());
                    g -= self.weights[i] * self.labels[i] * q * x(i);
                    h += self.weights[i] * q * (1.0 - q) * x(i) * x(i);
                }
                if h <= 1e-12 {
                    continue;
                }
                let target = bounds.clip(soft(h * w[k] - g, l1) / h);
                let value = |w: f64, m: &[f64]| loss(m) + l1 * w.abs() + 0.5 * l2 * w * w;
                let now = value(w[k], &margins);
                let mut by = target - w[k];
                for _ in 0..30 {
                    let next: Vec<f64> = (0..margins.len()).map(|i| margins[i] + by * x(i)).collect();
                    if value(w[k] + by, &next) <= now {
                        margins = next;
                        w[k] += by;
                        moved = moved.max(by.abs());
                        break;
                    }
                    by *= 0.5;
                }
            }
            if moved < 1e-12 {
                break;
            }
        }
        let shift: f64 = w.iter().zip(&means).map(|(w, m)| w * m).sum();
        w[columns] -= shift;
        assert!(w[..columns].iter().all(|w| penalty.bounds.contain(*w)));
        self.objective(&w, penalty)
    }
}

fn log1p_exp(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[test]
fn optima_agree_with_the_reference_and_no_certificate_claims_more() {
    for seed in 0..12 {
        for kind in 0..3 {
            let problem = Problem::new(seed, kind);
            let data = problem.dataset();
            let intercept = kind == 2 || seed % 3 == 0;
            let (l1, l2) = [(1.0, 0.0), (0.5, 1.0), (0.0, 2.0), (3.0, 0.1)][(seed % 4) as usize];
            let best = problem.optimum(ElasticNet::new(l1, l2), intercept);
            for (solver, delay, passes) in [(Solver::Dbpg, 0, 500), (Solver::Dbpg, 3, 500), (Solver::Lbfgs, 0, 3000)] {
                let solver = solver.into();
                let options =
                    FitOptions { solver, l1, l2, intercept, delay, tol: 1e-5, passes, ..FitOptions::default() };
                let fitted = fit(&data, 1, 1, &options);
                let facts = &fitted.model.facts;
                let off = facts.objective / best - 1.0;
                let what = format!(
                    "seed {seed} kind {kind} {} delay {delay} l1 {l1} l2 {l2}: {off:.1e} off, {facts:?}",
                    facts.solver
                );
                assert!(facts.converged && off <= 1.1e-5, "{what}");
                assert!(off >= -1e-7, "below the optimum: {what}");
                assert!(
                    facts.solver != "lbfgs" || fitted.trace.windows(2).all(|p| p[1].objective <= p[0].objective),
                    "{what}"
                );
                for pass in &fitted.trace {
                    let claimed = pass.gap.map_or(f64::NEG_INFINITY, |g| pass.objective * (1.0 - g));
                    assert!(claimed <= best * (1.0 + 1e-7), "pass {} claims {claimed} > {best}: {what}", pass.pass);
                }
            }
        }
    }
}

#[test]
fn with_bounds_optima_agree_with_the_reference_and_no_certificate_claims_more() {
    let mut on_bounds = 0;
    for seed in 0..10 {
        for kind in 0..3 {
            let problem = Problem::new(seed, kind);
            let data = problem.dataset();
            let intercept = kind == 2 || seed % 3 == 0;
            let infinite = f64::INFINITY;
            let (l1, l2, lower, upper) = [
                (1.0, 0.0, 0.0, infinite),
                (0.5, 1.0, -0.2, 0.1),
                (0.0, 2.0, 0.0, infinite),
                (0.0, 0.0, -0.3, 0.3),
                (0.3, 0.0, -infinite, 0.05),
            ][(seed % 5) as usize];
            let penalty = ElasticNet { l1, l2, bounds: Bounds::new(lower, upper).unwrap() };
            let (bounds, best) = (penalty.bounds, problem.optimum(penalty, intercept));
            for delay in [0, 3] {
                let options =
                    FitOptions { l1, l2, bounds, intercept, delay, tol: 1e-5, passes: 500, ..FitOptions::default() };
                let fitted = fit(&data, 1, 1, &options);
                let facts = &fitted.model.facts;
                let off = facts.objective / best - 1.0;
                let what =
                    format!("seed {seed} kind {kind} delay {delay} l1 {l1} l2 {l2} {bounds}: {off:.1e} off, {facts:?}");
                assert!(facts.converged && off <= 1.1e-5, "{what}");
                assert!(off >= -1e-7, "below the optimum: {what}");
                assert!(fitted.model.weights.iter().all(|w| (lower..=upper).contains(&(*w as f64))), "{what}");
                on_bounds += fitted.model.weights.iter().filter(|w| bounds.are_met_by(**w as f64)).count();
                for pass in &fitted.trace {
                    let claimed = pass.gap.map_or(f64::NEG_INFINITY, |g| pass.objective * (1.0 - g));
                    assert!(claimed <= best * (1.0 + 1e-7), "pass {} claims {claimed} > {best}: {what}", pass.pass);
                }
            }
        }
    }
    assert!(on_bounds > 50, "{on_bounds} weights on a bound");
}

#[test]
fn with_bounds_bits_are_equal_for_any_number_of_threads_workers_and_servers() {
    for (seed, kind, lower, upper) in [(1, 1, 0.0, f64::INFINITY), (2, 2, -0.2, 0.1), (3, 0, -0.5, 0.4)] {
        let data = Problem::new(seed, kind).dataset();
        let bounds = Bounds::new(lower, upper).unwrap();
        let options = FitOptions { l1: 0.5, bounds, tol: 1e-7, passes: 60, ..FitOptions::default() };
        let one = fit(&data, 1, 1, &options).model;
        assert!(one.facts.converged, "{:?}", one.facts);
        for (threads, workers, servers) in [(2, 1, 1), (1, 2, 2), (2, 3, 2)] {
            let other = fit(&data, workers, servers, &FitOptions { threads, ..options.clone() }).model;
            assert_eq!(one, other, "kind {kind}: {threads} threads, {workers} workers, {servers} servers");
        }
    }
}

#[test]
fn a_warm_start_out_of_bounds_comes_to_the_optimum_between_them() {
    let problem = Problem::new(4, 0);
    let data = problem.dataset();
    let bounds = Bounds::new(-0.1, 0.2).unwrap();
    let free = FitOptions { l1: 0.2, tol: 1e-6, ..FitOptions::default() };
    let init = Some(fit(&data, 1, 1, &free).model);
    let best = problem.optimum(ElasticNet { bounds, ..ElasticNet::new(0.2, 0.0) }, true);
    for solver in ["dbpg", "ftrl+dbpg"] {
        let solver = solver.parse().unwrap();
        let fitted = fit(&data, 1, 1, &FitOptions { solver, bounds, init: init.clone(), ..free.clone() }).model;
        assert!(fitted.facts.converged && (fitted.facts.objective / best - 1.0).abs() < 2e-6, "{:?}", fitted.facts);
    }
}

#[test]
fn equal_bits_for_any_number_of_threads_workers_and_servers_whatever_the_values() {
    for (seed, kind, l2) in [(1, 1, 0.0), (2, 2, 0.5), (3, 0, 0.0)] {
        let data = Problem::new(seed, kind).dataset();
        for (solver, l1) in [(Solver::Dbpg, 0.5), (Solver::Lbfgs, 0.5), (Solver::Lbfgs, 0.0)] {
            let solver = solver.into();
            let options = FitOptions { solver, l1, l2, tol: 1e-7, passes: 60, ..FitOptions::default() };
            let one = fit(&data, 1, 1, &options).model;
            for (threads, workers, servers) in [(2, 1, 1), (1, 2, 2), (2, 3, 2)] {
                let other = fit(&data, workers, servers, &FitOptions { threads, ..options.clone() }).model;
                assert_eq!(one, other, "kind {kind}: {threads} threads, {workers} workers, {servers} servers");
            }
        }
    }
}

#[test]
fn a_warm_start_at_the_optimum_is_certified_at_once() {
    let problem = Problem::new(4, 0);
    let data = problem.dataset();
    let options = FitOptions { l1: 1.0, tol: 1e-5, ..FitOptions::default() };
    let cold = fit(&data, 1, 1, &options);
    let warm = fit(&data, 1, 1, &FitOptions { init: Some(cold.model.clone()), ..options });
    assert!(warm.trace[0].objective <= cold.model.facts.objective * (1.0 + 1e-5));
    assert_eq!(warm.trace.len(), 1);
}
