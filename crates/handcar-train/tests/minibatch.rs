//! Minibatch solvers against slow, dense references, and their bits over threads, workers and servers.

mod common;
use common::fit;
use handcar_base::{Rng, Seed};
use handcar_data::{Dataset, LabelKind};
use handcar_train::job::{FitOptions, Fitted};
use handcar_train::loss::LossKind;
use handcar_train::model::Model;
use handcar_train::penalty::Bounds;
use handcar_train::solver::{Solver, Solvers};

const MINIBATCH: [Solver; 3] = [Solver::Sgd, Solver::AdaGrad, Solver::Ftrl];

/// Rows of `columns` numbers, some of them absent, with labels of a planted model.
struct Problem {
    rows: Vec<Vec<f32>>,
    /// The planted model's margins.
    scores: Vec<f64>,
    kind: LabelKind,
    labels: Vec<f32>,
    weights: Option<Vec<f32>>,
}

impl Problem {
    /// `kind` 0: ones and zeros; 1: real values of several sizes, example weights.
    fn new(seed: u64, kind: u64, n: usize, columns: usize) -> Self {
        let mut r = Rng::new(Seed(seed), kind);
        let planted: Vec<f64> = (0..columns).map(|_| 3.0 * (r.uniform() - 0.5)).collect();
        let (rows, scores, labels, weights) = (Vec::new(), Vec::new(), Vec::new(), (kind == 1).then(Vec::new));
        let mut out = Self { rows, scores, kind: LabelKind::Binary, labels, weights };
        for _ in 0..n {
            let row: Vec<f32> = (0..columns)
                .map(|k| match r.below(3) {
                    0 if kind == 0 => 1.0,
                    0 => ((r.uniform() - 0.5) * [0.5, 2.0, 6.0][k % 3]) as f32,
                    _ => 0.0,
                })
                .collect();
            let score: f64 = row.iter().zip(&planted).map(|(&x, p)| x as f64 * p).sum();
            out.labels.push(if r.uniform() < 1.0 / (1.0 + (-score).exp()) { 1.0 } else { -1.0 });
            if let Some(w) = &mut out.weights {
                w.push([0.5, 1.0, 3.0][r.below(3) as usize]);
            }
            out.rows.push(row);
            out.scores.push(score);
        }
        out
    }

    /// With labels that this loss takes.
    fn with_labels_for(self, loss: LossKind) -> Self {
        let mut r = Rng::new(Seed(17), 0);
        let kind = loss.labels();
        let labels = match kind {
            LabelKind::Binary => self.labels,
            LabelKind::Real => self.scores.iter().map(|s| (s + 0.7 + r.uniform() - 0.5) as f32).collect(),
            LabelKind::Count => {
                self.scores.iter().map(|s| (s.min(4.0) / 2.0 + r.uniform()).exp().floor() as f32).collect()
            }
        };
        Self { kind, labels, ..self }
    }

    fn dataset(&self) -> Dataset {
        let (mut offsets, mut ids, mut values) = (vec![0u64], Vec::new(), Vec::new());
        for row in &self.rows {
            for (k, &x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                ids.push(k as u32);
                values.push(x);
            }
            offsets.push(ids.len() as u64);
        }
        let values = values.iter().any(|&x| x != 1.0).then_some(values);
        let (values, weights) = (values.as_deref(), self.weights.as_deref());
        Dataset::from_labelled_csr(self.kind, &self.labels, &offsets, &ids, values, weights).unwrap()
    }

    /// The solver as its equations say, in f64, over all coordinates in every batch; the last weight is the intercept.
    fn reference(&self, solver: Solver, o: &FitOptions) -> Vec<f64> {
        let columns = self.rows[0].len();
        let (n, b) = (self.rows.len(), o.batch_rows as usize);
        let rate = o.rate.unwrap_or(solver.default_rate());
        let batches = n.div_ceil(b);
        let (mut w, mut g2, mut z) = (vec![0.0; columns + 1], vec![0.0f64; columns + 1], vec![0.0; columns + 1]);
        let soft = |a: f64, t: f64| a.signum() * (a.abs() - t).max(0.0);
        let mut t = 0;
        for _ in 0..o.passes {
            for batch in 0..batches {
                let mut g = vec![0.0; columns + 1];
                for i in batch * b..((batch + 1) * b).min(n) {
                    let (x, y) = (&self.rows[i], self.labels[i] as f64);
                    let m = x.iter().zip(&w).map(|(&x, w)| x as f64 * w).sum::<f64>() + w[columns];
                    let slope = match o.loss {
                        LossKind::Logistic => -y / (1.0 + (y * m).exp()),
                        LossKind::Hinge => {
                            if y * m < 1.0 {
                                -y
                            } else {
                                0.0
                            }
                        }
                        LossKind::SquaredHinge => -2.0 * y * (1.0 - y * m).max(0.0),
                        LossKind::Squared => m - y,
                        LossKind::Huber { delta } => (m - y).clamp(-delta as f64, delta as f64),
                        LossKind::Poisson => m.exp() - y,
                    };
                    let slope = slope * self.weights.as_ref().map_or(1.0, |c| c[i] as f64);
                    g.iter_mut().zip(x).for_each(|(g, &x)| *g += slope * x as f64);
                    g[columns] += slope;
                }
                t += 1;
                for k in 0..=columns {
                    let (l1, l2) = if k == columns { (0.0, 0.0) } else { (o.l1, o.l2) };
                    let (p1, p2) = (l1 / batches as f64, l2 / batches as f64);
                    match solver {
                        Solver::Sgd => {
                            let e = rate / (b as f64 * (o.beta + (t as f64).sqrt()));
                            w[k] = soft(w[k] - e * g[k], e * p1) / (1.0 + e * p2);
                        }
                        Solver::AdaGrad => {
                            g2[k] += g[k] * g[k];
                            let e = rate / (o.beta + g2[k].sqrt());
                            w[k] = soft(w[k] - e * g[k], e * p1) / (1.0 + e * p2);
                        }
                        Solver::Ftrl => {
                            let sigma = ((g2[k] + g[k] * g[k]).sqrt() - g2[k].sqrt()) / rate;
                            z[k] += g[k] - sigma * w[k];
                            g2[k] += g[k] * g[k];
                            let passes = (t as f64 / batches as f64).max(1.0);
                            w[k] = -soft(z[k], passes * l1) / ((o.beta + g2[k].sqrt()) / rate + passes * l2);
                        }
                        _ => unreachable!("not of those here"),
                    }
                    if k < columns {
                        w[k] = o.bounds.clip(w[k]);
                    }
                }
            }
        }
        w
    }
}

fn weights(fitted: &Fitted, columns: usize) -> Vec<f64> {
    let m = &fitted.model;
    (0..columns as u64).map(|k| m.weight(k) as f64).chain([m.intercept]).collect()
}

fn options(solver: impl Into<Solvers>) -> FitOptions {
    FitOptions { solver: solver.into(), passes: 2, batch_rows: 16, rate: Some(0.5), l1: 0.0, ..FitOptions::default() }
}

#[test]
fn every_solver_equals_its_slow_reference() {
    for kind in [0, 1] {
        for loss in LossKind::ALL {
            let problem = Problem::new(3 + kind, kind, 203, 12).with_labels_for(loss);
            let data = problem.dataset();
            for solver in MINIBATCH {
                for (l1, l2) in [(0.0, 0.0), (3.0, 0.0), (0.0, 5.0), (2.0, 1.0)] {
                    let o = FitOptions { l1, l2, loss, ..options(solver) };
                    let want = problem.reference(solver, &o);
                    let got = weights(&fit(&data, 1, 1, &o), 12);
                    for (k, (got, want)) in got.iter().zip(&want).enumerate() {
                        // Where a hinge or a threshold is met one way in f32 and the other in f64, paths part a little.
                        let near = 2e-3 * want.abs().max(0.02) + 1e-5;
                        assert!((got - want).abs() <= near, "{solver} {loss} {kind} {l1} {l2} {k}: {got} {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn with_bounds_every_solver_equals_its_slow_reference_and_keeps_them() {
    let mut met = 0;
    for (lower, upper) in [(0.0, f64::INFINITY), (-0.2, 0.1), (f64::NEG_INFINITY, 0.0)] {
        let bounds = Bounds::new(lower, upper).unwrap();
        for kind in [0, 1] {
            let problem = Problem::new(3 + kind, kind, 203, 12);
            let data = problem.dataset();
            for solver in MINIBATCH {
                for (l1, l2) in [(0.0, 0.0), (2.0, 1.0)] {
                    let o = FitOptions { l1, l2, bounds, ..options(solver) };
                    let fitted = fit(&data, 1, 1, &o);
                    let (got, want) = (weights(&fitted, 12), problem.reference(solver, &o));
                    let what = format!("{solver} {bounds} {kind} {l1} {l2}");
                    for (got, want) in got.iter().zip(&want) {
                        let near = 2e-3 * want.abs().max(0.02) + 1e-5;
                        assert!((got - want).abs() <= near, "{what}: {got} {want}");
                    }
                    assert!(got[..12].iter().all(|w| (lower..=upper).contains(w)), "{what}: {got:?}");
                    met += got[..12].iter().any(|w| bounds.are_met_by(*w)) as u32;
                    let facts = &fitted.model.facts;
                    assert_eq!(facts.lower, lower.is_finite().then_some(bounds.lower() as f64));
                    for threads in [2, 5] {
                        assert_eq!(
                            fitted.model,
                            fit(&data, 1, 1, &FitOptions { threads, ..o.clone() }).model,
                            "{what}"
                        );
                    }
                    assert_eq!(fitted.model, fit(&data, 3, 2, &o).model, "{what}");
                }
            }
        }
    }
    assert!(met > 24, "a bound is met in {met} of 36 cases only");
}

#[test]
fn a_model_to_begin_with_is_brought_between_the_bounds() {
    let data = Problem::new(6, 1, 203, 12).dataset();
    for solver in MINIBATCH {
        let free = fit(&data, 1, 1, &FitOptions { passes: 20, ..options(solver) }).model;
        assert!(free.weights.iter().any(|w| w.abs() > 0.2));
        let bounds = Bounds::new(-0.05, 0.05).unwrap();
        let o = FitOptions { bounds, init: Some(free), passes: 1, ..options(solver) };
        let fitted = fit(&data, 1, 1, &o).model;
        assert!(fitted.weights.iter().all(|w| w.abs() <= 0.05) && fitted.nnz() > 3, "{solver}");
        assert_eq!(fitted, fit(&data, 2, 2, &o).model);
    }
}

#[test]
fn any_number_of_threads_workers_and_servers_gives_equal_bits() {
    for kind in [0, 1] {
        for (solver, loss) in MINIBATCH.into_iter().flat_map(|s| LossKind::ALL.map(|l| (s, l))) {
            let data = Problem::new(11, kind, 301, 40).with_labels_for(loss).dataset();
            let o = FitOptions { l1: 1.5, l2: 0.5, loss, rate: Some(0.1), ..options(solver) };
            let one = fit(&data, 1, 1, &o);
            for threads in [2, 3, 7] {
                let many = fit(&data, 1, 1, &FitOptions { threads, ..o.clone() });
                assert_eq!(one.model, many.model, "{solver} {loss} {threads} threads");
            }
            for (workers, servers) in [(2, 1), (3, 2), (1, 3)] {
                let many = fit(&data, workers, servers, &o);
                assert_eq!(one.model, many.model, "{solver} {loss} {workers} x {servers}");
                let last = |f: &Fitted| f.online.last().map(|l| (l.rows, l.loss, l.auc));
                assert_eq!(last(&one), last(&many));
            }
        }
    }
}

#[test]
fn a_delay_is_allowed_and_still_learns() {
    let data = Problem::new(5, 0, 400, 30).dataset();
    let o = options(Solver::Ftrl);
    let (now, later) = (fit(&data, 2, 2, &o), fit(&data, 2, 2, &FitOptions { delay: 2, ..o }));
    let (a, b) = (now.model.facts.objective, later.model.facts.objective);
    assert!((b / a - 1.0).abs() < 0.1, "{a} {b}");
}

#[test]
fn progressive_loss_is_measured_before_each_update() {
    let problem = Problem::new(8, 0, 64, 10);
    // One batch holds all rows: every one is predicted by weights of zero.
    let o = FitOptions { batch_rows: 64, passes: 1, ..options(Solver::Ftrl) };
    let fitted = fit(&problem.dataset(), 1, 1, &o);
    assert!((fitted.online[0].loss - std::f64::consts::LN_2).abs() < 1e-6);
    assert!(fitted.model.facts.loss < 64.0 * std::f64::consts::LN_2);
}

#[test]
fn nonzeros_fall_as_l1_rises() {
    let data = Problem::new(21, 0, 2000, 60).dataset();
    for solver in MINIBATCH {
        let nnz = |l1| fit(&data, 1, 1, &FitOptions { l1, ..options(solver) }).model.nnz();
        let all = [0.0, 5.0, 20.0, 80.0].map(nnz);
        assert!(all.is_sorted_by(|a, b| a >= b) && all[0] > all[3], "{solver} {all:?}");
    }
}

#[test]
fn solvers_in_turn_reaches_the_optimum_that_the_batch_solver_reaches() {
    let data = Problem::new(31, 0, 1500, 50).dataset();
    let alone = FitOptions { l1: 2.0, tol: 1e-6, passes: 100, ..options(Solver::Dbpg) };
    let both: Solvers = "ftrl+dbpg".parse().unwrap();
    let (a, b) = (fit(&data, 1, 1, &alone), fit(&data, 1, 1, &FitOptions { solver: both, ..alone.clone() }));
    let (fa, fb) = (a.model.facts.objective, b.model.facts.objective);
    assert!(a.model.facts.converged && b.model.facts.converged && (fa / fb - 1.0).abs() < 2e-6, "{fa} {fb}");
    assert_eq!((b.trace[0].solver, b.trace[1].solver), (Solver::Ftrl, Solver::Dbpg));
    assert_eq!(b.model.facts.solver, "ftrl+dbpg");
    // The batch solver begins where the other one ended.
    assert!(b.trace[1].objective <= b.trace[0].objective * (1.0 + 1e-9));
    for (workers, servers) in [(2, 2), (1, 2)] {
        let o = FitOptions { solver: "ftrl+dbpg".parse().unwrap(), ..alone.clone() };
        assert_eq!(b.model, fit(&data, workers, servers, &o).model);
    }
}

#[test]
fn training_goes_on_from_a_model() {
    let data = Problem::new(41, 1, 800, 20).dataset();
    for solver in MINIBATCH {
        let o = FitOptions { passes: 3, ..options(solver) };
        let first: Model = fit(&data, 1, 1, &o).model;
        let again = FitOptions { init: Some(first.clone()), passes: 1, rate: Some(1e-9), ..o.clone() };
        let kept = fit(&data, 1, 1, &again).model;
        for k in 0..20 {
            assert!(
                (kept.weight(k) - first.weight(k)).abs() <= 1e-3,
                "{solver}: {} {}",
                kept.weight(k),
                first.weight(k)
            );
        }
        assert_eq!(kept, fit(&data, 2, 2, &again).model);
    }
}

#[test]
fn a_rate_that_is_too_large_is_told_with_its_pass() {
    let data = Problem::new(2, 1, 300, 10).dataset();
    let o = FitOptions { rate: Some(1e30), loss: LossKind::SquaredHinge, ..options(Solver::Sgd) };
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &handcar_train::job::registry()).remove(0);
    let input = handcar_train::job::TrainInput::new(&data);
    let error = handcar_train::job::fit(&mut worker, input, &o, &mut handcar_train::job::Silent).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("in pass 2") && text.contains("rate 1e30"), "{text}");
}

/// A job of one worker whose data and options should be refused, or are to be looked at whole.
fn alone(data: &Dataset, o: &FitOptions) -> handcar_train::Result<Fitted> {
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &handcar_train::job::registry()).remove(0);
    let input = handcar_train::job::TrainInput::new(data);
    handcar_train::job::fit(&mut worker, input, o, &mut handcar_train::job::Silent)
}

#[test]
fn a_solver_may_come_twice() {
    let data = Problem::new(51, 0, 500, 20).dataset();
    for solver in ["dbpg+ftrl+dbpg", "ftrl+ftrl"] {
        let o = FitOptions { solver: solver.parse().unwrap(), ..options(Solver::Ftrl) };
        let one = alone(&data, &o).unwrap().model;
        assert_eq!(one, fit(&data, 2, 2, &o).model, "{solver}");
    }
}

#[test]
fn filters_that_change_what_is_pulled_are_refused_for_every_solver() {
    let data = Problem::new(52, 0, 100, 5).dataset();
    let filters = handcar_ps::filter::TableFilters::parse("", "fixed-point:1").unwrap();
    for solver in MINIBATCH {
        let error = alone(&data, &FitOptions { filters: filters.clone(), ..options(solver) }).unwrap_err();
        assert!(error.to_string().contains("pull_filters that are exact"), "{error}");
    }
}

#[test]
fn filters_of_pushes_that_hold_back_are_flushed() {
    let data = Problem::new(53, 0, 400, 10).dataset();
    for spec in ["zstd:1", "error-feedback:fixed-point:2"] {
        let filters = handcar_ps::filter::TableFilters::parse(spec, "").unwrap();
        let plain = fit(&data, 2, 2, &options(Solver::Ftrl)).model.facts.objective;
        let through = fit(&data, 2, 2, &FitOptions { filters, ..options(Solver::Ftrl) }).model.facts.objective;
        assert!((plain / through - 1.0).abs() < 0.02, "{spec}: {plain} {through}");
    }
}

#[test]
fn a_beta_of_zero_and_weights_of_any_size_are_fine() {
    let mut problem = Problem::new(54, 0, 300, 10);
    let plain = alone(&problem.dataset(), &FitOptions { beta: 0.0, ..options(Solver::Ftrl) }).unwrap();
    assert!(plain.model.facts.objective.is_finite() && plain.model.nnz() > 0);
    let last = |f: &Fitted| f.online.last().map(|o| (o.loss, o.auc.unwrap(), o.ne.unwrap())).unwrap();
    let want = last(&alone(&problem.dataset(), &FitOptions { passes: 1, ..options(Solver::Ftrl) }).unwrap());
    for weight in [1e-6f32, 1.0 / 300.0, 1e7] {
        problem.weights = Some(vec![weight; 300]);
        // Gradients are as many times as large: so must be what divides the step size.
        let o = FitOptions { passes: 1, beta: weight as f64, ..options(Solver::Ftrl) };
        let got = last(&alone(&problem.dataset(), &o).unwrap());
        assert!((got.0 / want.0 - 1.0).abs() < 1e-3 && (got.1 - want.1).abs() < 0.01, "{weight}: {got:?} {want:?}");
    }
}

#[test]
fn a_key_learns_beside_one_of_huge_values() {
    // Both in one block: no row has both.
    let (mut ids, mut values, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..2000u32 {
        ids.push(i % 2);
        values.push(if i == 777 {
            2e9
        } else if i % 2 == 1 {
            1e-3
        } else {
            1.0f32
        });
        labels.push(if i % 20 == 0 { -1.0 } else { 1.0f32 });
    }
    let offsets: Vec<u64> = (0..=2000).collect();
    let data = Dataset::from_csr(&labels, &offsets, &ids, Some(&values), None).unwrap();
    let o = FitOptions { intercept: false, ..options(Solver::Ftrl) };
    assert!(alone(&data, &o).unwrap().model.weight(0) > 1.0);
}
