//! Losses of regression: known solutions, measures, and labels of any size.

mod common;
use common::fit;
use handcar_base::{Rng, Seed};
use handcar_data::{Dataset, LabelKind};
use handcar_train::job::{self, FitOptions, Fitted, Holdout, Silent, TrainInput};
use handcar_train::loss::LossKind;
use handcar_train::solver::Solver;

const COLUMNS: usize = 6;

/// Rows of a few numbers and labels that are a line in them with noise, times `scale`.
struct Line {
    rows: Vec<[f32; COLUMNS]>,
    labels: Vec<f32>,
}

impl Line {
    fn new(n: usize, scale: f32) -> Self {
        let mut r = Rng::new(Seed(5), 0);
        let rows: Vec<[f32; COLUMNS]> =
            (0..n).map(|_| std::array::from_fn(|_| (r.uniform() * 2.0 - 1.0) as f32)).collect();
        let planted = [0.5f32, -1.0, 0.0, 0.25, 2.0, -0.125];
        let labels = rows.iter().map(|x| {
            let m: f32 = x.iter().zip(planted).map(|(x, w)| x * w).sum();
            scale * (m + 0.75 + 0.2 * (r.uniform() as f32 - 0.5))
        });
        Self { labels: labels.collect(), rows }
    }

    fn data(&self, kind: LabelKind) -> Dataset {
        let offsets: Vec<u64> = (0..=self.rows.len() as u64).map(|r| r * COLUMNS as u64).collect();
        let ids: Vec<u32> = (0..self.rows.len() as u32).flat_map(|_| 0..COLUMNS as u32).collect();
        Dataset::from_labelled_csr(kind, &self.labels, &offsets, &ids, Some(self.rows.as_flattened()), None).unwrap()
    }

    /// The weights, and last the intercept, that minimise `½Σ(m − y)² + ½·l2·‖w‖²`: the normal equations, by elimination.
    fn ridge(&self, l2: f64) -> [f64; COLUMNS + 1] {
        const N: usize = COLUMNS + 1;
        let mut a = [[0.0; N + 1]; N];
        for (x, &y) in self.rows.iter().zip(&self.labels) {
            let x: [f64; N] = std::array::from_fn(|k| x.get(k).map_or(1.0, |&x| x as f64));
            for i in 0..N {
                (0..N).for_each(|j| a[i][j] += x[i] * x[j]);
                a[i][N] += x[i] * y as f64;
            }
        }
        (0..COLUMNS).for_each(|k| a[k][k] += l2);
        for i in 0..N {
            for other in (0..N).filter(|&o| o != i) {
                let f = a[other][i] / a[i][i];
                let pivot = a[i];
                a[other].iter_mut().zip(pivot).for_each(|(to, p)| *to -= f * p);
            }
        }
        std::array::from_fn(|i| a[i][N] / a[i][i])
    }
}

fn options(loss: LossKind) -> FitOptions {
    let solver = Solver::AdaGrad.into();
    FitOptions { solver, loss, l1: 0.0, rate: Some(0.5), passes: 60, batch_rows: 50, ..FitOptions::default() }
}

fn alone(data: &Dataset, o: &FitOptions) -> handcar_train::Result<Fitted> {
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
    let input = TrainInput { holdout: Some(Holdout::Share(0.2)), ..TrainInput::new(data) };
    job::fit(&mut worker, input, o, &mut Silent)
}

#[test]
fn squared_loss_with_l2_is_ridge_regression_for_labels_of_any_size() {
    // Equal but for a power of two: so must be all that is learned, to the last digits, though sums are fixed point.
    let mut weights = Vec::new();
    for scale in [1.0f32, 1.0 / 256.0, 16384.0] {
        let line = Line::new(1000, scale);
        let want = line.ridge(5.0);
        let o = FitOptions { l2: 5.0, rate: Some(0.5 * scale as f64), ..options(LossKind::Squared) };
        // One batch a pass: each step is then a gradient step of the whole objective.
        let o = FitOptions { beta: scale as f64, batch_rows: 1000, passes: 600, ..o };
        let m = fit(&line.data(LabelKind::Real), 1, 1, &o).model;
        for (k, want) in want.iter().enumerate() {
            let got = if k == COLUMNS { m.intercept } else { m.weight(k as u64) as f64 };
            let near = 1e-4 * scale as f64;
            assert!((got - want).abs() < near, "{scale}: weight {k} is {got}, not {want}");
            weights.push(got / scale as f64);
        }
    }
    let (one, others) = weights.split_at(COLUMNS + 1);
    for (i, w) in others.iter().enumerate() {
        assert!((w - one[i % (COLUMNS + 1)]).abs() < 1e-5, "{w} {}", one[i % (COLUMNS + 1)]);
    }
}

#[test]
fn huber_shrugs_off_labels_that_are_far_away() {
    let mut line = Line::new(1000, 1.0);
    let clean = line.ridge(0.0);
    for y in line.labels.iter_mut().step_by(20) {
        *y += 50.0;
    }
    let far = |loss| {
        let m = fit(&line.data(LabelKind::Real), 1, 1, &options(loss)).model;
        (m.intercept - clean[COLUMNS]).abs()
    };
    let (squared, huber) = (far(LossKind::Squared), far(LossKind::Huber { delta: 0.1 }));
    assert!(squared > 1.0 && huber < 0.1, "{squared} {huber}");
}

#[test]
fn poisson_finds_the_rates_that_counts_were_drawn_with() {
    let mut r = Rng::new(Seed(8), 0);
    // Two kinds of rows of mean 1 and 9: the intercept is ln 1, the weight ln 9.
    let ids: Vec<u32> = vec![0; 2000];
    let offsets: Vec<u64> = (0..=4000u64).map(|i| i / 2).collect();
    let draw = |mean: f64, r: &mut Rng| {
        let (mut k, mut p) = (0, r.uniform());
        while p > (-mean).exp() {
            (k, p) = (k + 1, p * r.uniform());
        }
        k as f32
    };
    let labels: Vec<f32> = (0..4000).map(|i| draw(if i % 2 == 1 { 9.0 } else { 1.0 }, &mut r)).collect();
    let data = Dataset::from_labelled_csr(LabelKind::Count, &labels, &offsets, &ids, None, None).unwrap();
    let m = alone(&data, &options(LossKind::Poisson)).unwrap();
    assert!(m.model.intercept.abs() < 0.1, "{}", m.model.intercept);
    assert!((m.model.intercept + m.model.weight(0) as f64 - 9f64.ln()).abs() < 0.05, "{}", m.model.weight(0));
    let metrics = m.metrics.unwrap().metrics;
    assert!((metrics.deviance.unwrap() - 2.0 * metrics.loss.unwrap()).abs() < 1e-9 && metrics.auc.is_none());
    assert!(metrics.r2.unwrap() > 0.6, "{metrics:?}");
}

#[test]
fn regressions_are_measured_as_such() {
    let data = Line::new(1000, 1.0).data(LabelKind::Real);
    let fitted = alone(&data, &FitOptions { passes: 2, ..options(LossKind::Squared) }).unwrap();
    assert!(fitted.online.iter().all(|o| o.auc.is_none() && o.ne.is_none() && o.loss > 0.0));
    assert!(fitted.online[0].loss > fitted.online.last().unwrap().loss);
    let m = fitted.metrics.unwrap().metrics;
    assert!((m.rmse.unwrap().powi(2) - 2.0 * m.loss.unwrap()).abs() < 1e-12);
    assert!(m.r2.unwrap() > 0.9 && m.logloss.is_none() && m.accuracy.is_none(), "{m:?}");
    assert_eq!(fitted.model.schema.label.kind, LabelKind::Real);
    assert_eq!(fitted.model.facts.loss_kind(), Some(LossKind::Squared));
}

#[test]
fn huber_s_threshold_stays_with_the_model() {
    let data = Line::new(200, 1.0).data(LabelKind::Real);
    let loss = LossKind::Huber { delta: 0.3 };
    let model = alone(&data, &FitOptions { passes: 1, ..options(loss) }).unwrap().model;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    model.save(&path).unwrap();
    let back = handcar_train::model::Model::load(&path).unwrap();
    assert_eq!((back.facts.loss_kind(), &back), (Some(loss), &model));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let data = Line::new(100, 1.0).data(LabelKind::Real);
    for (o, told) in [
        (FitOptions { loss: LossKind::Logistic, ..options(LossKind::Squared) }, "labels of the kind binary"),
        (options(LossKind::Poisson), "labels of the kind count"),
        (FitOptions { solver: Solver::Dbpg.into(), ..options(LossKind::Squared) }, "logistic, the only one"),
        (options(LossKind::Huber { delta: 0.0 }), "expected huber_delta a number from 1e-6 to 1e6, got 0"),
    ] {
        let error = alone(&data, &o).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_rate_that_is_too_large_for_a_regression_is_told() {
    let data = Line::new(300, 100.0).data(LabelKind::Real);
    let o = FitOptions { solver: Solver::Sgd.into(), rate: Some(1e6), ..options(LossKind::Squared) };
    assert!(alone(&data, &o).unwrap_err().to_string().contains("with rate 1e6"));
}
