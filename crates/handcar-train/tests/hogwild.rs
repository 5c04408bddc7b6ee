//! Threads that race on the weights: what one of them gives exactly, and several nearly.

mod common;
use common::fit;
use handcar_base::{Rng, Seed};
use handcar_data::{CachePolicy, Dataset, ReadOptions};
use handcar_train::job::{self, FitOptions, Silent, TrainInput};
use handcar_train::loss::LossKind;
use handcar_train::penalty::Bounds;
use handcar_train::solver::Solver;

const MINIBATCH: [Solver; 3] = [Solver::Sgd, Solver::AdaGrad, Solver::Ftrl];

/// The census in fields: few keys, many, and numbers.
fn census() -> Dataset {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/adult.csv.gz");
    let options = ReadOptions { label: Some("income".into()), cache: CachePolicy::off(), ..ReadOptions::default() };
    handcar_data::read(&[path.to_string()], &options).unwrap()
}

/// Rows of several keys each, with values and example weights.
fn valued(rows: usize) -> Dataset {
    let mut r = Rng::new(Seed(9), 0);
    let (mut offsets, mut ids, mut values) = (vec![0u64], Vec::new(), Vec::new());
    let (mut labels, mut weights) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let mut score = 0.0;
        for id in (0..50u32).filter(|_| r.below(4) == 0).collect::<Vec<_>>() {
            let x = (r.uniform() * 2.0 - 1.0) as f32;
            score += x as f64 * (id as f64 - 25.0) * 0.2;
            ids.push(id);
            values.push(x);
        }
        offsets.push(ids.len() as u64);
        labels.push(if r.uniform() < 1.0 / (1.0 + (-score).exp()) { 1.0 } else { -1.0 });
        weights.push([0.5f32, 1.0, 2.0][r.below(3) as usize]);
    }
    Dataset::from_csr(&labels, &offsets, &ids, Some(&values), Some(&weights)).unwrap()
}

fn options(solver: Solver) -> FitOptions {
    FitOptions { solver: solver.into(), passes: 2, l1: 1.0, l2: 0.5, hogwild: true, ..FitOptions::default() }
}

#[test]
fn one_thread_learns_as_batches_of_one_row_do() {
    let both = [LossKind::Logistic, LossKind::SquaredHinge];
    for (data, name, solvers, losses) in
        [(census(), "census", &MINIBATCH[2..], &both[..1]), (valued(800), "valued", &MINIBATCH[..], &both[..])]
    {
        for &solver in solvers {
            for &loss in losses {
                let o = FitOptions { loss, rate: Some(0.05), ..options(solver) };
                let racing = fit(&data, 1, 1, &o);
                let rows = fit(&data, 1, 1, &FitOptions { hogwild: false, batch_rows: 1, ..o.clone() });
                let (a, b) = (racing.model.facts.objective, rows.model.facts.objective);
                // Sums in f32 here, in fixed point there.
                assert!((a / b - 1.0).abs() < 1e-4, "{name} {solver} {loss}: {a} {b}");
                let (a, b) = (racing.online.last().unwrap(), rows.online.last().unwrap());
                assert!((a.loss / b.loss - 1.0).abs() < 1e-4 && a.rows == b.rows, "{name} {solver}: {a:?} {b:?}");
                assert_eq!(racing.model, fit(&data, 1, 1, &o).model);
            }
        }
    }
}

#[test]
fn racing_threads_come_near_and_tell_of_every_row() {
    let data = census();
    for solver in MINIBATCH {
        let one = fit(&data, 1, 1, &options(solver));
        // How near depends on how the system schedules threads: each race comes near, and some come nearer.
        let off = [(); 4].map(|()| {
            let two = fit(&data, 1, 1, &FitOptions { threads: 2, ..options(solver) });
            assert_eq!(two.online.last().map(|l| l.rows), Some(data.rows() as u64));
            (two.model.facts.objective / one.model.facts.objective - 1.0).abs()
        });
        assert!(off.iter().all(|off| *off < 0.1) && off.iter().any(|off| *off < 0.02), "{solver}: {off:?}");
    }
}

#[test]
fn racing_threads_leave_no_weight_out_of_bounds() {
    let bounds = Bounds::new(0.0, 0.3).unwrap();
    for (data, solver) in MINIBATCH.into_iter().flat_map(|s| [(census(), s), (valued(800), s)]) {
        let model = fit(&data, 1, 1, &FitOptions { bounds, threads: 2, ..options(solver) }).model;
        assert!(
            model.nnz() > 5 && model.weights.iter().all(|w| *w > 0.0 && *w <= 0.3),
            "{solver}: {:?}",
            model.weights
        );
    }
}

#[test]
fn racing_is_refused_where_there_is_nothing_to_race_on() {
    let data = valued(50);
    let alone = |o: FitOptions| {
        let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
        job::fit(&mut worker, TrainInput::new(&data), &o, &mut Silent).unwrap_err().to_string()
    };
    let told = alone(FitOptions { delay: 1, ..options(Solver::Ftrl) });
    assert!(told.contains("expected hogwild without delay and filters"), "{told}");
    let mut workers = handcar_ps::driver::local::cluster(2, 1, &job::registry());
    let told = job::fit(&mut workers[0], TrainInput::new(&data), &options(Solver::Ftrl), &mut Silent).unwrap_err();
    assert!(told.to_string().contains("expected hogwild one process that has the weights, got 2 workers"), "{told}");
}

#[test]
fn a_racing_pass_ends_when_who_listens_says_so() {
    struct Impatient(std::cell::Cell<u32>);
    impl job::Observer for Impatient {
        fn pass(&mut self, _: &job::PassTrace) {}
        fn stop(&self) -> bool {
            self.0.set(self.0.get() + 1);
            true
        }
    }
    let data = census();
    for threads in [1, 2] {
        let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
        let mut observer = Impatient(0.into());
        let o = FitOptions { threads, passes: 50, ..options(Solver::Ftrl) };
        let fitted = job::fit(&mut worker, TrainInput::new(&data), &o, &mut observer).unwrap();
        assert!(fitted.trace.len() == 1 && observer.0.get() > 0);
    }
}
