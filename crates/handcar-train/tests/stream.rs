//! Learning from rows as they are read: the bits of the same pass over packed data, and what a stream cannot do.

use handcar_base::{Rng, Seed};
use handcar_data::{CachePolicy, Dataset, LabelKind, ReadOptions, pieces, read, synth};
use handcar_ps::driver::local;
use handcar_train::job::{self, FitOptions, Fitted, Observer, OnlineTrace, PassTrace, Silent, Streamed, TrainInput};
use handcar_train::loss::LossKind;
use handcar_train::model::Model;
use handcar_train::solver::Solver;
use std::cell::Cell;
use std::io::Write;

struct Text {
    _dir: tempfile::TempDir,
    input: [String; 1],
    options: ReadOptions,
}

impl Text {
    fn new(name: &str, text: &[u8], labels: LabelKind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text).unwrap();
        let options = ReadOptions { labels, cache: CachePolicy::off(), threads: 1, ..Default::default() };
        Self { _dir: dir, input: [path.display().to_string()], options }
    }

    fn packed(&self) -> Dataset {
        read(&self.input, &self.options).unwrap()
    }

    fn fit(&self, options: &FitOptions) -> Fitted {
        let mut worker = local::cluster(1, 1, &job::registry()).remove(0);
        job::fit(&mut worker, TrainInput::new(&self.packed()), options, &mut Silent).unwrap()
    }

    fn stream(&self, options: &FitOptions) -> handcar_train::Result<Streamed> {
        self.watched(options, &mut Silent)
    }

    fn watched(&self, options: &FitOptions, observer: &mut dyn Observer) -> handcar_train::Result<Streamed> {
        let mut worker = local::cluster(1, 1, &job::registry()).remove(0);
        let read = ReadOptions { threads: options.threads, ..self.options.clone() };
        job::fit_stream(&mut worker, pieces(&self.input, &read)?, options, observer)
    }
}

/// Rows of two namespaces. `valued`: values and example weights of several sizes that grow from row to row.
fn vw(rows: usize, valued: bool, labels: LabelKind) -> Text {
    let mut r = Rng::new(Seed(9), 0);
    let mut text = String::new();
    for row in 0..rows {
        let size = 1.0 + row as f64 / 400.0;
        let (user, ad) = (r.below(200), r.below(30));
        let score = (user as f64 / 100.0 - 1.0) + (ad as f64 / 10.0 - 1.5);
        let label = match labels {
            LabelKind::Binary => (r.uniform() < 1.0 / (1.0 + (-score).exp())) as u8 as f64,
            LabelKind::Real => size * score,
            LabelKind::Count => (size * score.exp()).floor().min(9.0),
        };
        let weight = if valued && r.below(3) == 0 { format!("{} ", 0.5 * size) } else { String::new() };
        let x = if valued { format!(":{}", size * (r.uniform() - 0.5)) } else { String::new() };
        text += &format!("{label} {weight}|u u{user} all |a a{ad}{x} a{}\n", r.below(4));
    }
    Text::new("x.vw", text.as_bytes(), labels)
}

fn options(solver: Solver) -> FitOptions {
    FitOptions { solver: solver.into(), l1: 0.0, passes: 1, ..FitOptions::default() }
}

/// Keys with the bits of their weights.
fn bits(model: &Model) -> (Vec<(u64, u32)>, u64, Vec<String>) {
    let weights = model.keys.iter().zip(&model.weights).map(|(&k, w)| (k, w.to_bits())).collect();
    (weights, model.intercept.to_bits(), (0..model.nnz()).map(|i| model.name(i).into_owned()).collect())
}

#[test]
fn a_stream_gives_the_bits_of_a_pass_over_packed_data() {
    let mut criteo = Vec::new();
    synth::synth_criteo(0..3000, Seed(3), 1, &mut criteo).unwrap();
    let cases = [vw(5000, false, LabelKind::Binary), Text::new("x.tsv", &criteo, LabelKind::Binary)];
    let penalised = FitOptions { l1: 0.7, l2: 0.3, ..options(Solver::Ftrl) };
    let odd = FitOptions { batch_rows: 77, loss: LossKind::Hinge, intercept: false, ..options(Solver::AdaGrad) };
    for text in &cases {
        let all = [Solver::Sgd, Solver::AdaGrad, Solver::Ftrl, Solver::AdaDelay].map(options);
        for options in all.into_iter().chain([penalised.clone(), odd.clone()]) {
            let packed = text.fit(&options);
            for threads in [1, 2, 3] {
                let streamed = text.stream(&FitOptions { threads, ..options.clone() }).unwrap();
                let model = &streamed.fitted.model;
                assert!(bits(model) == bits(&packed.model), "{options:?}");
                assert_eq!((model.facts.features, &model.seen), (packed.model.facts.features, &packed.model.seen));
                let lines = |f: &Fitted| {
                    f.online.iter().map(|o| (o.rows, o.loss.to_bits(), o.auc.map(f64::to_bits))).collect::<Vec<_>>()
                };
                assert_eq!(lines(&streamed.fitted), lines(&packed));
                assert!(model.facts.progressive && !packed.model.facts.progressive);
            }
        }
    }
}

#[test]
fn values_weights_and_labels_that_grow_agree_with_packed_data_to_rounding() {
    for (loss, solver) in [
        (LossKind::Logistic, Solver::Ftrl),
        (LossKind::Squared, Solver::AdaGrad),
        (LossKind::Huber { delta: 2.0 }, Solver::Ftrl),
        (LossKind::Poisson, Solver::AdaGrad),
    ] {
        let text = vw(4000, true, loss.labels());
        let options = FitOptions { loss, ..options(solver) };
        let (packed, streamed) = (text.fit(&options), text.stream(&options).unwrap().fitted);
        let largest = packed.model.weights.iter().fold(0f32, |most, w| most.max(w.abs()));
        for (&key, &w) in packed.model.keys.iter().zip(&packed.model.weights) {
            assert!((streamed.model.weight(key) - w).abs() <= 1e-4 * largest, "{loss} {key}: {w}");
        }
        let last = |f: &Fitted| f.online.last().copied().unwrap();
        let (a, b) = (last(&packed), last(&streamed));
        assert_eq!(a.rows, b.rows);
        assert!((a.loss - b.loss).abs() <= 1e-4 * a.loss, "{loss}: {} {}", a.loss, b.loss);
        assert_eq!(a.auc.is_some(), b.auc.is_some());
        assert!(a.auc.zip(b.auc).is_none_or(|(a, b)| (a - b).abs() < 1e-4));
    }
}

#[test]
fn one_large_value_does_not_stop_a_stream_from_learning() {
    let mut r = Rng::new(Seed(2), 0);
    let mut text = String::new();
    for row in 0..6000 {
        let (word, x) = (r.below(50), 0.5 + r.uniform());
        let label = ((word < 25) == (r.uniform() < 0.85)) as u32;
        let stamp = if row == 0 { " |b ts:1e15" } else { "" };
        text += &format!("{label} |a w{word}:{x}{stamp}\n");
    }
    let text = Text::new("x.vw", text.as_bytes(), LabelKind::Binary);
    let options = options(Solver::Ftrl);
    let (packed, streamed) = (text.fit(&options), text.stream(&options).unwrap().fitted);
    let loss = |f: &Fitted| f.online.last().unwrap().loss;
    assert!((loss(&packed) - loss(&streamed)).abs() < 1e-3, "{} {}", loss(&packed), loss(&streamed));
    assert_eq!(streamed.model.nnz(), packed.model.nnz());
}

#[test]
fn a_stream_starts_from_the_weights_of_a_model() {
    let text = vw(3000, false, LabelKind::Binary);
    let first = text.fit(&FitOptions { l1: 1.0, ..options(Solver::Ftrl) }).model;
    let options = FitOptions { init: Some(first), ..options(Solver::AdaGrad) };
    assert_eq!(bits(&text.stream(&options).unwrap().fitted.model), bits(&text.fit(&options).model));
}

#[test]
fn a_stream_ends_when_it_is_told_to_with_the_model_so_far() {
    struct Once(Cell<u64>);
    impl Observer for Once {
        fn pass(&mut self, _: &PassTrace) {}
        fn online(&mut self, so_far: &OnlineTrace) {
            self.0.set(so_far.rows);
        }
        fn stop(&self) -> bool {
            self.0.get() > 0
        }
    }
    let text = vw(60_000, false, LabelKind::Binary);
    for threads in [1, 2] {
        let options = FitOptions { threads, ..options(Solver::Ftrl) };
        let fitted = text.watched(&options, &mut Once(Cell::new(0))).unwrap().fitted;
        let rows = fitted.model.facts.rows;
        assert!((1000..60_000).contains(&rows) && rows.is_multiple_of(256) && fitted.model.nnz() > 0, "{rows}");
    }
}

#[test]
fn what_a_stream_cannot_do_is_refused() {
    let text = vw(10, false, LabelKind::Binary);
    let of = |solver| options(solver);
    for (options, said) in [
        (of(Solver::Dbpg), "stream one solver that learns in minibatches, and not emso, got dbpg"),
        (FitOptions { solver: "ftrl+dbpg".parse().unwrap(), ..of(Solver::Ftrl) }, "one solver"),
        (of(Solver::Emso), "and not emso, got emso"),
        (FitOptions { passes: 2, ..of(Solver::Ftrl) }, "one pass, as the rows are not kept, got 2"),
        (FitOptions { hogwild: true, ..of(Solver::Ftrl) }, "got hogwild"),
        (FitOptions { delay: 1, ..of(Solver::Ftrl) }, "got delay"),
        (FitOptions { group_lasso: 1.0, ..of(Solver::Ftrl) }, "got group_lasso"),
        (FitOptions { l1: 1.0, ..of(Solver::AdaGrad) }, "no penalty, or ftrl"),
        (FitOptions { loss: LossKind::Squared, ..of(Solver::Ftrl) }, "which squared loss takes"),
        (FitOptions { rate: Some(-1.0), ..of(Solver::Ftrl) }, "rate a finite number above 0"),
    ] {
        let told = text.stream(&options).unwrap_err().to_string();
        assert!(told.contains(said), "{told}");
    }
    let large = Text::new("x.vw", b"1e9 |a x\n2e9 |a y\n", LabelKind::Real);
    let told = large.stream(&FitOptions { loss: LossKind::Squared, ..options(Solver::Ftrl) }).unwrap_err().to_string();
    assert!(told.contains("a largest label between 0.001 and 131072"), "{told}");
    let bad = Text::new("x.vw", b"1 |a x\n1 |a x:y\n", LabelKind::Binary);
    let told = bad.stream(&options(Solver::Ftrl)).unwrap_err().to_string();
    assert!(told.contains("x.vw, line 2") && told.contains("expected a finite number, got \"y\""), "{told}");
}

#[test]
fn a_stream_that_diverges_names_its_step_size() {
    let text = vw(3000, true, LabelKind::Real);
    let options = FitOptions { loss: LossKind::Squared, rate: Some(1e9), ..options(Solver::Sgd) };
    let told = text.stream(&options).unwrap_err().to_string();
    assert!(told.contains("sgd: objective became") && told.contains("with rate 1e9"), "{told}");
}
