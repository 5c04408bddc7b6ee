//! A fit goes on where another ended.

use handcar_base::{Rng, Seed};
use handcar_data::{Dataset, LabelKind};
use handcar_train::job::{self, FitOptions, Fitted, Resume, Silent, TrainInput};
use handcar_train::loss::LossKind;
use handcar_train::metric::Metrics;
use handcar_train::model::Model;
use handcar_train::penalty::Bounds;
use handcar_train::solver::{Solver, minibatch::OptimizerState};

const SOLVERS: [Solver; 6] =
    [Solver::Sgd, Solver::AdaGrad, Solver::Ftrl, Solver::AdaDelay, Solver::AsyncAdaGrad, Solver::AdaptiveRevision];

/// Labels, and keys of each row; later rows have keys that earlier ones have not, and the other way round.
struct Rows(Vec<f32>, Vec<Vec<u32>>);

impl Rows {
    fn new(rows: usize) -> Self {
        let mut r = Rng::new(Seed(5), 0);
        let keys: Vec<Vec<u32>> = (0..rows)
            .map(|row| {
                let near = |r: &mut Rng| row as u32 / 40 * 10 + r.below(40) as u32;
                let mut keys = vec![near(&mut r), near(&mut r), near(&mut r)];
                keys.sort_unstable();
                keys.dedup();
                keys
            })
            .collect();
        let labels = keys.iter().map(|k| if (k[0] % 3 == 0) == (r.uniform() < 0.8) { 1.0 } else { -1.0 });
        Self(labels.collect(), keys)
    }

    fn data(&self, rows: std::ops::Range<usize>) -> Dataset {
        let mut offsets = vec![0];
        for row in &self.1[rows.clone()] {
            offsets.push(offsets[offsets.len() - 1] + row.len() as u64);
        }
        let ids = self.1[rows.clone()].concat();
        Dataset::from_csr(&self.0[rows], &offsets, &ids, None, None).unwrap()
    }
}

fn fit(data: &Dataset, options: &FitOptions) -> handcar_train::Result<Fitted> {
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
    job::fit(&mut worker, TrainInput::new(data), options, &mut Silent)
}

fn options(solver: Solver) -> FitOptions {
    let (l1, l2) = if solver == Solver::AdaptiveRevision { (0.0, 0.0) } else { (0.3, 0.2) };
    FitOptions { solver: solver.into(), passes: 1, batch_rows: 16, rate: Some(0.5), l1, l2, ..FitOptions::default() }
}

fn going_on(o: &FitOptions, from: Option<OptimizerState>, rows_total: Option<u64>) -> FitOptions {
    FitOptions { resume: Some(Resume { from, rows_total }), ..o.clone() }
}

#[test]
fn fits_of_pieces_have_the_bits_of_one_fit() {
    let rows = Rows::new(800);
    for solver in SOLVERS {
        for threads in [1, 3] {
            let o = FitOptions { threads, ..options(solver) };
            let whole = fit(&rows.data(0..800), &o).unwrap().model;
            let mut state = None;
            let mut model = None;
            for piece in [0..160, 160..176, 176..640, 640..800] {
                let fitted = fit(&rows.data(piece), &going_on(&o, state, Some(800))).unwrap();
                // A program may end between two pieces.
                state = fitted.state.map(|s| OptimizerState::from_bytes(&s.to_bytes()).unwrap());
                model = Some(fitted.model);
            }
            let model: Model = model.unwrap();
            assert_eq!((&model.keys, &model.weights), (&whole.keys, &whole.weights), "{solver} {threads}");
            assert_eq!(model.intercept, whole.intercept);
            assert_eq!((model.facts.features, model.facts.nnz), (whole.facts.features, whole.facts.nnz));
            assert_eq!(state.unwrap().batches(), 50);
        }
    }
}

#[test]
fn passes_that_go_on_have_the_bits_of_one_fit() {
    let data = Rows::new(333).data(0..333);
    for solver in SOLVERS {
        let o = options(solver);
        let whole = fit(&data, &FitOptions { passes: 3, ..o.clone() }).unwrap();
        let first = fit(&data, &going_on(&o, None, None)).unwrap();
        let rest = FitOptions { passes: 2, ..going_on(&o, first.state, None) };
        let rest = fit(&data, &rest).unwrap();
        assert_eq!(rest.model.weights, whole.model.weights, "{solver}");
        assert_eq!(rest.trace.last().unwrap().objective, whole.trace.last().unwrap().objective);
    }
}

#[test]
fn pieces_of_any_length_may_each_carry_the_penalty() {
    let rows = Rows::new(800);
    for solver in SOLVERS {
        let o = FitOptions { l1: 0.0, l2: 10.0 * options(solver).l2, ..options(solver) };
        let (mut state, mut norms) = (None, Vec::new());
        for piece in [0..600, 600..610, 610..615, 615..800] {
            let fitted = fit(&rows.data(piece), &going_on(&o, state, None)).unwrap();
            state = fitted.state;
            norms.push(fitted.model.weights.iter().map(|w| w * w).sum::<f32>());
            assert_eq!(fitted.model.facts.features as usize, state.as_ref().unwrap().keys().len());
        }
        // Pieces of one batch carry the penalty once, and not as often as the first had batches.
        assert!(norms[2] > 0.1 * norms[0] && norms.iter().all(|n| n.is_finite()), "{solver} {norms:?}");
    }
}

#[test]
fn a_model_is_gone_on_from_with_all_its_weights() {
    let rows = Rows::new(800);
    let o = options(Solver::AdaGrad);
    let before = fit(&rows.data(0..400), &o).unwrap().model;
    let given = FitOptions { init: Some(before.clone()), ..going_on(&o, None, None) };
    let after = fit(&rows.data(600..800), &given).unwrap().model;
    let absent: Vec<usize> = (0..before.nnz()).filter(|&i| before.keys[i] < 100).collect();
    assert!(!absent.is_empty());
    for i in absent {
        // The penalty shrinks them, by 0.5·0.3 at most where the key's gradients are forgotten, and a little for L2.
        assert!(after.weight(before.keys[i]) != 0.0 || before.weights[i].abs() < 0.2);
    }
    assert!(after.nnz() > before.nnz());
}

#[test]
fn measures_on_other_rows_know_the_weights_of_earlier_pieces() {
    let rows = Rows::new(800);
    let valid = rows.data(0..800);
    for solver in SOLVERS {
        let o = options(solver);
        let (mut state, mut model) = (None, None);
        for piece in [0..300, 300..700, 700..800] {
            let o = FitOptions { init: model, ..going_on(&o, state, Some(800)) };
            let data = rows.data(piece);
            let input = TrainInput { valid: Some(&valid), ..TrainInput::new(&data) };
            let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
            let fitted = job::fit(&mut worker, input, &o, &mut Silent).unwrap();
            let csr = valid.csr();
            let mut margins = Vec::new();
            fitted.model.margins(csr.offsets, csr.ids, csr.values, valid.keys(), &mut margins);
            let expected = Metrics::by(o.loss, &margins, valid.labels(), None).unwrap().logloss.unwrap();
            let last = fitted.trace.last().unwrap().valid.unwrap().logloss.unwrap();
            assert!((last - expected).abs() < 1e-9 * expected, "{solver}: {last} {expected}");
            assert_eq!(fitted.metrics.unwrap().metrics.logloss, Some(last));
            // A model alone is gone on from as well.
            state = fitted.state.filter(|s| s.batches() < 30);
            model = Some(fitted.model);
        }
    }
}

#[test]
fn pieces_between_bounds_have_the_bits_of_one_fit() {
    let rows = Rows::new(800);
    for solver in SOLVERS.into_iter().filter(|s| *s != Solver::AdaptiveRevision) {
        let o = FitOptions { bounds: Bounds::new(-0.1, 0.2).unwrap(), ..options(solver) };
        let whole = fit(&rows.data(0..800), &o).unwrap().model;
        let first = fit(&rows.data(0..160), &going_on(&o, None, Some(800))).unwrap();
        let rest = fit(&rows.data(160..800), &going_on(&o, first.state, Some(800))).unwrap().model;
        assert_eq!((&rest.keys, &rest.weights), (&whole.keys, &whole.weights), "{solver}");
        assert!(rest.weights.iter().all(|w| (-0.1..=0.2).contains(w)), "{solver}");
    }
}

#[test]
fn weights_of_a_model_are_brought_between_the_bounds_before_anything_is_learned() {
    let rows = Rows::new(800);
    let bounds = Bounds::new(-0.002, 0.004).unwrap();
    for solver in SOLVERS.into_iter().filter(|s| *s != Solver::AdaptiveRevision) {
        let o = FitOptions { l1: 0.0, l2: 0.0, ..options(solver) };
        let before = fit(&rows.data(0..400), &o).unwrap().model;
        assert!(before.weights.iter().any(|w| w.abs() > 0.006), "{solver}");
        let within =
            Model { weights: before.weights.iter().map(|w| w.clamp(-0.002, 0.004)).collect(), ..before.clone() };
        // Other rows have other keys as well.
        let [after, same] = [before, within].map(|model| {
            let o = FitOptions { bounds, init: Some(model), ..o.clone() };
            fit(&rows.data(300..600), &going_on(&o, None, None)).unwrap()
        });
        assert_eq!(after.state, same.state, "{solver}");
        assert!(after.model.weights.iter().all(|w| (-0.002..=0.004).contains(w)), "{solver}");
    }
}

#[test]
fn a_regression_goes_on_row_by_row_through_zeros_and_small_labels() {
    let mut r = Rng::new(Seed(11), 0);
    let o = FitOptions {
        loss: LossKind::Squared,
        l1: 0.0,
        l2: 0.0,
        rate: Some(0.3),
        batch_rows: 1,
        ..options(Solver::Sgd)
    };
    let (mut state, mut model) = (None, None::<Model>);
    for row in 0..3000 {
        let key = r.below(4) as u32;
        // About one label in four is zero, and another far below the others' size.
        let label = [0.0, 3.0, 60.0, 1e-4][key as usize];
        let data = Dataset::from_labelled_csr(LabelKind::Real, &[label], &[0, 1], &[key], None, None);
        // Whoever begins with a small label is told to scale all of them.
        if row == 0 && label == 1e-4 {
            continue;
        }
        let o = FitOptions { init: model, ..going_on(&o, state, Some(1)) };
        let fitted = fit(&data.unwrap(), &o).unwrap();
        (state, model) = (fitted.state, Some(fitted.model));
    }
    let model = model.unwrap();
    for (key, label) in [(0, 0.0), (1, 3.0), (2, 60.0), (3, 1e-4)] {
        let mean = model.weight(key) as f64 + model.intercept;
        assert!((mean - label).abs() < 1.0, "{key}: {mean} for {label}");
    }
}

#[test]
fn a_model_of_another_loss_is_not_gone_on_from() {
    let data = Dataset::from_labelled_csr(LabelKind::Count, &[1.0, 3.0], &[0, 1, 2], &[0u32, 1], None, None).unwrap();
    let huber = |delta| LossKind::Huber { delta };
    for (before, after, told) in [
        (LossKind::Squared, LossKind::Poisson, "resume the loss that the model is of, got poisson after squared"),
        (huber(1.0), huber(2.0), "got huber with delta 2 after huber with delta 1"),
    ] {
        let o = FitOptions { loss: before, l1: 0.0, ..options(Solver::AdaGrad) };
        let first = fit(&data, &going_on(&o, None, None)).unwrap();
        let o = FitOptions { init: Some(first.model), ..going_on(&o, first.state, None) };
        assert!(fit(&data, &o).is_ok());
        let error = fit(&data, &FitOptions { loss: after, ..o }).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_state_of_other_options_is_refused() {
    let data = Rows::new(100).data(0..100);
    let o = options(Solver::Ftrl);
    let state = fit(&data, &going_on(&o, None, None)).unwrap().state;
    for (other, told) in [
        (
            FitOptions { solver: Solver::Sgd.into(), ..o.clone() },
            "resume the solver that the state is of, got sgd after ftrl",
        ),
        (FitOptions { rate: Some(0.1), ..o.clone() }, "resume rate, beta, penalty and batch size as they were"),
        (FitOptions { l1: 9.0, ..o.clone() }, "resume rate, beta, penalty and batch size as they were"),
        (FitOptions { intercept: false, ..o.clone() }, "resume an intercept if and only if there was one"),
        (FitOptions { solver: Solver::Dbpg.into(), ..o.clone() }, "resume one solver that learns in minibatches"),
        (FitOptions { hogwild: true, ..o.clone() }, "resume without hogwild"),
    ] {
        let error = fit(&data, &going_on(&other, state.clone(), None)).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let error = fit(&data, &going_on(&o, None, Some(0))).unwrap_err().to_string();
    assert!(error.contains("rows_total at least 1"), "{error}");
}
