//! A fit goes on where another ended.

use handcar_base::{Rng, Seed};
use handcar_data::Dataset;
use handcar_train::job::{self, FitOptions, Fitted, Resume, Silent, TrainInput};
use handcar_train::metric::Metrics;
use handcar_train::model::Model;
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
