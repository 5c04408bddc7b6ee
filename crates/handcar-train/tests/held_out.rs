//! Early stopping, holdouts in time and cross-validation, against what the same rows give without them.

mod common;
use common::run;
use handcar_base::{Rng, Seed};
use handcar_data::Dataset;
use handcar_train::job::{self, FitOptions, Fitted, Fold, Folds, FoldsBy, Holdout, Silent, TrainInput};
use handcar_train::metric::{Metrics, Scored};
use handcar_train::model::Model;
use handcar_train::solver::{Solver, Solvers};
use std::ops::Range;

/// Few rows, many features and much noise: what is learned by heart soon harms other rows.
struct Rows {
    ids: Vec<Vec<u32>>,
    labels: Vec<f32>,
}

impl Rows {
    fn new(n: usize) -> Self {
        let mut r = Rng::new(Seed(11), 0);
        let ids: Vec<Vec<u32>> = (0..n).map(|_| (0..120).filter(|_| r.below(8) == 0).collect()).collect();
        let chance = |row: &Vec<u32>| 0.3 + 0.4 * row.contains(&3) as u8 as f64 - 0.2 * row.contains(&5) as u8 as f64;
        let labels = ids.iter().map(|row| if r.uniform() < chance(row) { 1.0 } else { -1.0 }).collect();
        Self { ids, labels }
    }

    fn dataset(&self, range: Range<usize>) -> Dataset {
        let mut offsets = vec![0u64];
        offsets.extend(self.ids[range.clone()].iter().scan(0, |sum, row| {
            *sum += row.len() as u64;
            Some(*sum)
        }));
        Dataset::from_csr(&self.labels[range.clone()], &offsets, &self.ids[range].concat(), None, None).unwrap()
    }

    /// A model's measures on some rows, by a plain sum a row.
    fn measured(&self, model: &Model, range: Range<usize>) -> Metrics {
        let margin =
            |row: &Vec<u32>| model.intercept + row.iter().map(|&id| model.weight(id as u64) as f64).sum::<f64>();
        let margins: Vec<f64> = self.ids[range.clone()].iter().map(margin).collect();
        Metrics::of(&Scored::new(&margins, &self.labels[range], None).unwrap())
    }
}

fn options(solver: &str) -> FitOptions {
    let solver: Solvers = solver.parse().unwrap();
    let l1 = if solver.any(|s| s == Solver::Emso) { 0.1 } else { 0.01 };
    FitOptions { l1, tol: 1e-9, passes: 30, solver, rate: Some(0.3), batch_rows: 32, ..FitOptions::default() }
}

fn fit_with(data: &Dataset, (workers, servers): (usize, usize), o: &FitOptions, holdout: Holdout) -> Fitted {
    run(data, workers, servers, |worker, input| {
        job::fit(worker, TrainInput { holdout: Some(holdout), ..input }, o, &mut Silent).unwrap()
    })
}

#[test]
fn patience_ends_a_solver_and_keeps_its_best_pass() {
    let data = Rows::new(300).dataset(0..300);
    let holdout = Holdout::Share(0.4);
    let mut early = 0;
    for solver in ["dbpg", "lbfgs", "sgd", "adagrad", "ftrl", "emso", "adadelay"] {
        let o = options(solver);
        let whole = fit_with(&data, (1, 1), &o, holdout);
        let losses: Vec<f64> = whole.trace.iter().map(|p| p.valid.unwrap().logloss.unwrap()).collect();
        // What patience of 2 passes makes of these, step by step.
        let (mut best, mut ended) = (0, losses.len());
        for pass in 1..losses.len() {
            if losses[pass] < losses[best] {
                best = pass;
            } else if pass - best == 2 {
                ended = pass + 1;
                break;
            }
        }
        let o = FitOptions { patience: Some(2), ..o };
        let fitted = fit_with(&data, (1, 1), &o, holdout);
        let kept = fitted.kept.unwrap();
        assert_eq!((fitted.trace.len(), kept.pass), (ended, best as u64 + 1), "{solver}: {losses:?}");
        assert_eq!(kept.early, ended - 1 - best == 2, "{solver}: {losses:?}");
        early += kept.early as u32;
        let loss = fitted.metrics.unwrap().metrics.logloss.unwrap();
        assert!((loss - losses[best]).abs() < 1e-5 && (kept.loss - losses[best]).abs() < 1e-12, "{solver}");
        assert!((fitted.model.facts.objective / whole.trace[best].objective - 1.0).abs() < 1e-5, "{solver}");
        // Minibatch solvers do the same up to a pass, however many come after.
        if o.solver.any(Solver::is_minibatch) {
            let o = FitOptions { passes: kept.pass as u32, patience: None, ..o };
            assert_eq!(fit_with(&data, (1, 1), &o, holdout).model.weights, fitted.model.weights, "{solver}");
        }
    }
    assert!(early >= 5, "{early} solvers were ended");
}

#[test]
fn patience_gives_equal_bits_for_any_number_of_threads_workers_and_servers() {
    let data = Rows::new(300).dataset(0..300);
    for solver in ["dbpg", "lbfgs", "ftrl", "ftrl+dbpg", "adadelay"] {
        let o = FitOptions { patience: Some(2), ..options(solver) };
        let one = fit_with(&data, (1, 1), &o, Holdout::Last(0.3));
        for (workers, servers, threads) in [(1, 1, 2), (3, 2, 1)] {
            let o = FitOptions { threads, ..o.clone() };
            let other = fit_with(&data, (workers, servers), &o, Holdout::Last(0.3));
            assert_eq!((&one.model, one.kept), (&other.model, other.kept), "{solver} {workers} {threads}");
        }
    }
}

#[test]
fn a_solver_goes_on_from_the_best_pass_of_the_one_before() {
    let data = Rows::new(300).dataset(0..300);
    for solvers in ["ftrl+dbpg", "adagrad+adagrad", "ftrl+ftrl+lbfgs"] {
        let o = FitOptions { patience: Some(1), ..options(solvers) };
        let fitted = fit_with(&data, (1, 1), &o, Holdout::Share(0.4));
        let loss = |m: &Metrics| m.logloss.unwrap();
        let best =
            fitted.trace.iter().min_by(|a, b| loss(&a.valid.unwrap()).total_cmp(&loss(&b.valid.unwrap()))).unwrap();
        let kept = fitted.kept.unwrap();
        assert_eq!((best.solver, best.pass), (kept.solver, kept.pass), "{solvers}");
        // Minibatch solvers before the last make one pass, as without patience.
        let first = solvers.split('+').count() - 1;
        assert!(fitted.trace[..first].iter().all(|p| p.pass == 1), "{solvers}");
        assert_eq!(fitted.trace[first].pass, 1, "{solvers}");
        let measured = loss(&fitted.metrics.unwrap().metrics);
        assert!((measured - loss(&best.valid.unwrap())).abs() < 1e-5, "{solvers}: {measured}");
    }
}

#[test]
fn rows_held_out_at_the_end_are_those_and_the_model_knows_nothing_of_them() {
    let rows = Rows::new(500);
    let o = FitOptions { l1: 1.0, tol: 1e-6, ..FitOptions::default() };
    let before = run(&rows.dataset(0..400), 1, 1, |worker, input| job::fit(worker, input, &o, &mut Silent).unwrap());
    for cluster in [(1, 1), (3, 2)] {
        let fitted = fit_with(&rows.dataset(0..500), cluster, &o, Holdout::Last(0.2));
        assert_eq!(fitted.model.facts.rows, 400);
        assert!((fitted.model.facts.objective / before.model.facts.objective - 1.0).abs() < 3e-6);
        let measured = fitted.metrics.unwrap();
        assert_eq!((measured.rows, &*measured.on), (100, "holdout"));
        let plain = rows.measured(&before.model, 400..500);
        assert!((measured.metrics.logloss.unwrap() - plain.logloss.unwrap()).abs() < 2e-3);
    }
}

#[test]
fn each_fold_is_measured_by_a_model_of_other_rows() {
    let rows = Rows::new(300);
    let (data, o) = (rows.dataset(0..300), FitOptions { l1: 1.0, tol: 1e-6, ..FitOptions::default() });
    let of = |cluster: (usize, usize), by| {
        let folds = Folds { count: 3, by };
        run(&data, cluster.0, cluster.1, |worker, input| {
            let found = job::cross_validate(worker, input.clone(), &o, folds, &mut Silent).unwrap();
            (found, job::fit(worker, input, &o, &mut Silent).unwrap())
        })
    };
    let (found, after) = of((1, 1), FoldsBy::Time);
    for (i, fold) in found.folds.iter().enumerate() {
        let (from, to) = (75 * (i + 1), 75 * (i + 2));
        let plain =
            run(&rows.dataset(0..from), 1, 1, |worker, input| job::fit(worker, input, &o, &mut Silent).unwrap());
        let plain = rows.measured(&plain.model, from..to);
        assert_eq!((fold.rows, fold.measured.rows, &*fold.measured.on), (from as u64, 75, "fold"));
        assert!((fold.measured.metrics.logloss.unwrap() - plain.logloss.unwrap()).abs() < 2e-3, "fold {i}");
    }
    let alone = run(&data, 1, 1, |worker, input| job::fit(worker, input, &o, &mut Silent).unwrap());
    assert_eq!(alone.model, after.model);

    let (drawn, _) = of((1, 1), FoldsBy::Seed);
    assert_eq!(drawn.folds.iter().map(|f| (f.rows, f.measured.rows)).collect::<Vec<_>>(), [(200, 100); 3]);
    let mean = drawn.folds.iter().map(|f| f.measured.metrics.auc.unwrap()).sum::<f64>() / 3.0;
    assert!((drawn.mean.auc.unwrap() - mean).abs() < 1e-15 && drawn.error.auc.unwrap() > 0.0);
    assert_eq!(of((3, 2), FoldsBy::Seed).0, drawn);
}

#[test]
fn what_cannot_be_stopped_or_parted_is_refused() {
    let data = Rows::new(30).dataset(0..30);
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
    let input = TrainInput::new(&data);
    let patient = FitOptions { patience: Some(3), ..FitOptions::default() };
    let told = job::fit(&mut worker, input.clone(), &patient, &mut Silent).unwrap_err().to_string();
    assert!(told.contains("expected patience with rows to measure on (holdout or validation)"), "{told}");
    let held = TrainInput { holdout: Some(Holdout::Share(1e-9)), ..input.clone() };
    let told = job::fit(&mut worker, held.clone(), &patient, &mut Silent).unwrap_err().to_string();
    assert!(told.contains("expected rows to measure on, for patience, got none"), "{told}");
    let grid = Some("l1=1,2".parse().unwrap());
    let gridded = FitOptions { grid: grid.clone(), solver: Solver::Ftrl.into(), ..FitOptions::default() };
    let told = job::fit(&mut worker, held.clone(), &FitOptions { patience: Some(1), ..gridded.clone() }, &mut Silent);
    assert!(told.unwrap_err().to_string().contains("expected patience without a grid"));
    let two = Folds { count: 2, by: FoldsBy::Seed };
    for (input, o, count, part) in [
        (input.clone(), FitOptions::default(), 1, "expected folds at least 2, got 1"),
        (input.clone(), FitOptions::default(), 31, "expected at least 31 rows for 31 folds, got 30"),
        (held, FitOptions::default(), 2, "expected folds without other rows to measure on"),
        (input.clone(), patient, 2, "expected folds without patience"),
        (input.clone(), gridded, 2, "expected folds without a grid"),
    ] {
        let folds = Folds { count, ..two };
        let told = job::cross_validate(&mut worker, input, &o, folds, &mut Silent).unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
    }
    let fold = Holdout::Fold(Fold { number: 0, of: Folds { count: 40, ..two } });
    let told = job::fit(&mut worker, TrainInput { holdout: Some(fold), ..input }, &FitOptions::default(), &mut Silent);
    assert!(told.unwrap_err().to_string().contains("at least 40 rows"));
}
