//! Many models in one pass: each has the bits that it would have alone.

mod common;
use common::fit;
use handcar_base::{Rng, Seed};
use handcar_data::{CachePolicy, Dataset, ReadOptions};
use handcar_train::job::{self, FitOptions, Fitted, Holdout, Silent, TrainInput};
use handcar_train::loss::LossKind;
use handcar_train::penalty::Bounds;
use handcar_train::solver::Solver;

/// Rows with fields of few keys and of many.
fn census() -> Dataset {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/adult.csv.gz");
    let options = ReadOptions { label: Some("income".into()), cache: CachePolicy::off(), ..ReadOptions::default() };
    handcar_data::read(&[path.to_string()], &options).unwrap()
}

/// Rows of several keys each, with values and example weights.
fn valued() -> Dataset {
    let mut r = Rng::new(Seed(4), 0);
    let (mut offsets, mut ids, mut values) = (vec![0u64], Vec::new(), Vec::new());
    let (mut labels, mut weights) = (Vec::new(), Vec::new());
    for _ in 0..700 {
        for id in (0..40u32).filter(|_| r.below(5) == 0).collect::<Vec<_>>() {
            ids.push(id);
            values.push((r.uniform() * 4.0 - 2.0) as f32);
        }
        offsets.push(ids.len() as u64);
        labels.push(if r.below(3) == 0 { 1.0 } else { -1.0 });
        weights.push([0.5f32, 1.0, 3.0][r.below(3) as usize]);
    }
    Dataset::from_csr(&labels, &offsets, &ids, Some(&values), Some(&weights)).unwrap()
}

fn options(solver: Solver, grid: &str) -> FitOptions {
    let grid = (!grid.is_empty()).then(|| grid.parse().unwrap());
    FitOptions { solver: solver.into(), passes: 1, grid, batch_rows: 64, ..FitOptions::default() }
}

fn with(
    data: &Dataset,
    input: impl Fn(TrainInput<'_>) -> TrainInput<'_>,
    o: &FitOptions,
) -> handcar_train::Result<Fitted> {
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
    job::fit(&mut worker, input(TrainInput::new(data)), o, &mut Silent)
}

#[test]
fn every_model_has_the_bits_that_it_has_alone() {
    for (data, axes) in [(census(), "l1=0,3 rate=0.1,1"), (valued(), "l1=0,1,5 l2=0,2 rate=0.05,0.5,1 beta=0.5,1")] {
        for solver in [Solver::Ftrl, Solver::AdaGrad] {
            for loss in [LossKind::Logistic, LossKind::SquaredHinge] {
                let o = FitOptions { loss, ..options(solver, axes) };
                let grid = fit(&data, 1, 1, &o);
                assert_eq!(grid.model, fit(&data, 1, 1, &FitOptions { threads: 2, ..o.clone() }).model);
                let best = grid.grid.iter().find(|m| m.chosen).unwrap();
                assert!(grid.grid.iter().all(|m| m.loss >= best.loss));
                for m in grid.grid.iter().step_by(5).chain([best]) {
                    let (rate, beta, l1, l2) = (Some(m.rate), m.beta, m.l1, m.l2);
                    let alone = fit(&data, 1, 1, &FitOptions { loss, rate, beta, l1, l2, ..options(solver, "") });
                    let told = alone.online.last().unwrap().loss;
                    assert!((told / m.loss - 1.0).abs() < 1e-9, "{solver} {m:?}: {told}");
                    assert_eq!(alone.model.nnz() as u64, m.nonzeros);
                    if m.chosen {
                        assert_eq!(alone.model.weights, grid.model.weights);
                        assert_eq!(alone.model.facts.objective, grid.model.facts.objective);
                    }
                }
            }
        }
    }
}

#[test]
fn with_bounds_every_model_has_the_bits_that_it_has_alone() {
    let data = valued();
    for solver in [Solver::Ftrl, Solver::AdaGrad] {
        let bounds = Bounds::new(0.0, 0.15).unwrap();
        let grid = fit(&data, 1, 1, &FitOptions { bounds, ..options(solver, "l1=0,1 rate=0.1,0.5") });
        let best = grid.grid.iter().find(|m| m.chosen).unwrap();
        let (rate, l1) = (Some(best.rate), best.l1);
        let alone = fit(&data, 1, 1, &FitOptions { bounds, rate, l1, ..options(solver, "") });
        assert_eq!(alone.model.weights, grid.model.weights);
        assert!(grid.model.weights.contains(&bounds.upper()) && grid.model.weights.iter().all(|w| *w > 0.0));
    }
}

#[test]
fn held_out_rows_choose_where_there_are_some() {
    let data = census();
    let o = FitOptions { passes: 3, ..options(Solver::Ftrl, "l1=0.5,5,50 rate=0.1,1") };
    let fitted = with(&data, |i| TrainInput { holdout: Some(Holdout::Share(0.2)), ..i }, &o).unwrap();
    let of = |m: &job::GridModel| m.metrics.as_ref().unwrap().metrics.logloss.unwrap();
    let best = fitted.grid.iter().find(|m| m.chosen).unwrap();
    assert!(fitted.grid.iter().all(|m| of(m) >= of(best)) && fitted.metrics == best.metrics);
    assert_eq!((fitted.trace.len(), fitted.model.facts.l1), (3, best.l1));
    let other = valued();
    let valid =
        with(&other, |i| TrainInput { valid: Some(i.data), ..i }, &options(Solver::Ftrl, "rate=0.1,1")).unwrap();
    assert!(valid.grid.iter().all(|m| m.metrics.as_ref().is_some_and(|m| m.on == "validation")));
}

#[test]
fn a_model_that_diverges_is_told_and_not_kept() {
    let o = FitOptions { loss: LossKind::SquaredHinge, ..options(Solver::AdaGrad, "rate=0.1,1e30 l1=0") };
    let fitted = fit(&valued(), 1, 1, &o);
    assert!(fitted.grid[0].chosen && !fitted.grid[1].chosen, "{:?}", fitted.grid);
}

#[test]
fn grids_that_nobody_can_choose_from_are_refused() {
    let data = valued();
    for (o, told) in [
        (options(Solver::Dbpg, "l1=1,2"), "expected grid solver ftrl or adagrad, got l1=1,2 for dbpg"),
        (
            FitOptions { solver: "ftrl+dbpg".parse().unwrap(), ..options(Solver::Ftrl, "l1=1,2") },
            "got l1=1,2 for ftrl+dbpg",
        ),
        (FitOptions { hogwild: true, ..options(Solver::Ftrl, "l1=1,2") }, "without hogwild, delay and filters"),
        (FitOptions { passes: 2, ..options(Solver::Ftrl, "l1=1,2") }, "expected grid one pass, or rows to choose by"),
    ] {
        let error = with(&data, |i| i, &o).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
