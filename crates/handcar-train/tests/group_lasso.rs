//! The group lasso against a slow reference on small random problems with fields: the optimum, the certificate's truth, where fields
//! vanish, equal bits, and what is refused.

mod common;
use common::fit;
use handcar_base::key::{compose, field_of};
use handcar_base::{Rng, Seed};
use handcar_data::{Dataset, FieldKind, FieldSpec, Schema};
use handcar_ps::filter::TableFilters;
use handcar_train::job::{self, FitOptions, Holdout, Silent, TrainInput};
use handcar_train::penalty::{Bounds, ElasticNet, GroupLasso, soft};
use handcar_train::solver::Solver;
use std::ops::Range;

/// Where the columns of each field begin and end: of one category a row, of several words a row, and of values.
const FIELDS: [Range<usize>; 5] = [0..2, 2..9, 9..24, 24..36, 36..40];
const COLUMNS: usize = 40;

/// A dense random problem whose first and fourth fields matter.
struct Problem {
    rows: Vec<Vec<f64>>,
    labels: Vec<f64>,
    weights: Vec<f64>,
}

impl Problem {
    fn new(seed: u64) -> Self {
        let mut r = Rng::new(Seed(seed), 31);
        let planted: Vec<f64> = (0..COLUMNS)
            .map(|k| if k < 2 || (24..36).contains(&k) { 3.0 * (r.uniform() - 0.5) } else { 0.0 })
            .collect();
        let mut out = Self { rows: Vec::new(), labels: Vec::new(), weights: Vec::new() };
        for _ in 0..150 + r.below(150) {
            let mut row = vec![0.0; COLUMNS];
            for field in &FIELDS[..3] {
                // Few have the last ones.
                row[field.start + (field.len() as f64 * r.uniform().powi(2)) as usize] = 1.0;
            }
            FIELDS[3].clone().for_each(|k| row[k] = (r.below(4) == 0) as u8 as f64);
            FIELDS[4].clone().for_each(|k| row[k] = (4.0 * (r.uniform() - 0.5)) as f32 as f64);
            let score: f64 = row.iter().zip(&planted).map(|(x, p)| x * p).sum();
            out.labels.push(if r.uniform() < 1.0 / (1.0 + (-score).exp()) { 1.0 } else { -1.0 });
            out.weights.push(if seed.is_multiple_of(2) { 1.0 } else { [0.5, 1.0, 3.0][r.below(3) as usize] });
            out.rows.push(row);
        }
        out
    }

    /// Column k is key k of field 1, 2, ...; all occur.
    fn dataset(&self) -> Dataset {
        let data = self.matrix();
        let key = |k: usize| compose(1 + FIELDS.iter().position(|f| f.contains(&k)).unwrap() as u16, k as u64);
        assert_eq!(data.keys().len(), COLUMNS);
        data.with_keys((0..COLUMNS).map(key).collect(), schema(&data)).unwrap()
    }

    /// Without fields.
    fn matrix(&self) -> Dataset {
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

    /// The loss and its gradient; the last weight is the intercept.
    fn loss(&self, w: &[f64]) -> (f64, Vec<f64>) {
        let (mut loss, mut g) = (0.0, vec![0.0; COLUMNS + 1]);
        for ((row, y), c) in self.rows.iter().zip(&self.labels).zip(&self.weights) {
            let m = y * (row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() + w[COLUMNS]);
            loss += c * ((-m).max(0.0) + (-m.abs()).exp().ln_1p());
            let slope = -c * y / (1.0 + m.exp());
            g.iter_mut().zip(row.iter().chain([&1.0])).for_each(|(g, x)| *g += slope * x);
        }
        (loss, g)
    }

    /// Plain accelerated proximal gradient with one step length for all weights, found by halving, and restarts; long.
    fn optimum(&self, penalty: ElasticNet, group_lasso: f64, intercept: bool) -> (f64, Vec<f64>) {
        let groups = FIELDS.map(|f| GroupLasso::of_field(penalty, group_lasso, f.len()));
        let value = |w: &[f64]| {
            let elastic: f64 = w[..COLUMNS].iter().map(|w| penalty.l1 * w.abs() + 0.5 * penalty.l2 * w * w).sum();
            let norm = |(g, f): (&GroupLasso, &Range<usize>)| {
                g.strength * w[f.clone()].iter().map(|w| w * w).sum::<f64>().sqrt()
            };
            elastic + groups.iter().zip(&FIELDS).map(norm).sum::<f64>()
        };
        // The closed form of equal curvature.
        let prox = |at: &[f64], g: &[f64], u: f64| {
            let mut next: Vec<f64> = at.iter().zip(g).map(|(w, g)| soft(u * w - g, penalty.l1)).collect();
            for (group, field) in groups.iter().zip(&FIELDS) {
                let size = next[field.clone()].iter().map(|s| s * s).sum::<f64>().sqrt();
                let share = (1.0 - group.strength / size).max(0.0) / (u + penalty.l2);
                next[field.clone()].iter_mut().for_each(|s| *s = if share > 0.0 { *s * share } else { 0.0 });
            }
            next[COLUMNS] = if intercept { at[COLUMNS] - g[COLUMNS] / u } else { 0.0 };
            next
        };
        let (mut w, mut ahead, mut t, mut u) = (vec![0.0; COLUMNS + 1], vec![0.0; COLUMNS + 1], 1.0f64, 1.0);
        let mut last = f64::INFINITY;
        let mut still = 0;
        for _ in 0..20_000 {
            let (loss, g) = self.loss(&ahead);
            let next = loop {
                let next = prox(&ahead, &g, u);
                let d: Vec<f64> = next.iter().zip(&ahead).map(|(n, a)| n - a).collect();
                let model = loss + d.iter().zip(&g).map(|(d, g)| d * g + 0.5 * u * d * d).sum::<f64>();
                if self.loss(&next).0 <= model + 1e-12 * loss {
                    break next;
                }
                u *= 2.0;
            };
            let now = self.loss(&next).0 + value(&next);
            if now > last {
                (t, ahead) = (1.0, w.clone());
            } else {
                let t_next = 0.5 * (1.0 + (1.0 + 4.0 * t * t).sqrt());
                ahead = next.iter().zip(&w).map(|(n, w)| n + (t - 1.0) / t_next * (n - w)).collect();
                (t, w) = (t_next, next);
                still = if last - now <= 1e-12 * now { still + 1 } else { 0 };
                last = now;
                if still > 50 {
                    break;
                }
            }
        }
        (last, w)
    }
}

fn schema(data: &Dataset) -> Schema {
    let field = |id: usize| FieldSpec { id: id as u16, name: format!("f{id}"), kind: FieldKind::Text };
    Schema { fields: (1..=FIELDS.len()).map(field).collect(), ..data.schema().clone() }
}

fn fields_of(model: &handcar_train::model::Model) -> Vec<u16> {
    let mut fields: Vec<u16> = model.keys.iter().map(|&k| field_of(k)).collect();
    fields.dedup();
    fields
}

#[test]
fn optima_agree_with_the_reference_and_no_certificate_claims_more() {
    let mut kept = [0; 6];
    for seed in 0..12 {
        let problem = Problem::new(seed);
        let data = problem.dataset();
        let intercept = seed % 3 != 0;
        let (l1, l2, group_lasso) =
            [(0.0, 0.0, 1.5), (0.5, 0.0, 1.0), (0.0, 1.0, 2.0), (0.3, 0.2, 0.05)][(seed % 4) as usize];
        let (best, w) = problem.optimum(ElasticNet::new(l1, l2), group_lasso, intercept);
        let options = FitOptions { l1, l2, group_lasso, intercept, tol: 1e-6, passes: 500, ..FitOptions::default() };
        let fitted = fit(&data, 1, 1, &options);
        let facts = &fitted.model.facts;
        let off = facts.objective / best - 1.0;
        let what = format!("seed {seed} l1 {l1} l2 {l2} group {group_lasso}: {off:.1e} off, {facts:?}");
        println!("{what}");
        assert!(facts.converged && off <= 1.1e-6, "{what}");
        assert!(off >= -1e-7, "below the optimum: {what}");
        for pass in &fitted.trace {
            let claimed = pass.gap.map_or(f64::NEG_INFINITY, |g| pass.objective * (1.0 - g));
            assert!(claimed <= best * (1.0 + 1e-7), "pass {} claims {claimed} > {best}: {what}", pass.pass);
        }
        let fields = fields_of(&fitted.model);
        let of_reference =
            FIELDS.iter().zip(1..).filter(|(f, _)| w[(*f).clone()].iter().any(|w| *w != 0.0)).map(|(_, id)| id);
        assert_eq!(fields, of_reference.collect::<Vec<u16>>(), "{what}");
        kept[fields.len()] += 1;
    }
    assert!(kept[1..5].iter().sum::<i32>() >= 4, "some fields are dropped and some are not: {kept:?}");
}

/// The least group lasso for which every field is zero, by the formula: at no weights but the best intercept.
fn least_that_drops_all(problem: &Problem, l1: f64) -> (f64, u16) {
    let mass = |sign: f64| {
        problem.labels.iter().zip(&problem.weights).filter(|(y, _)| **y == sign).map(|(_, c)| c).sum::<f64>()
    };
    let mut w = vec![0.0; COLUMNS + 1];
    w[COLUMNS] = (mass(1.0) / mass(-1.0)).ln();
    let g = problem.loss(&w).1;
    let of_field = |f: &Range<usize>| {
        g[f.clone()].iter().map(|g| soft(*g, l1).powi(2)).sum::<f64>().sqrt() / (f.len() as f64).sqrt()
    };
    FIELDS.iter().map(of_field).zip(1..).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

#[test]
fn fields_vanish_exactly_from_where_the_formula_says() {
    for (seed, l1) in [(0, 0.0), (1, 0.0), (2, 0.5), (5, 1.0)] {
        let problem = Problem::new(seed);
        let data = problem.dataset();
        let (most, last) = least_that_drops_all(&problem, l1);
        let at = |group_lasso: f64| {
            let options = FitOptions { l1, group_lasso, tol: 1e-7, passes: 300, ..FitOptions::default() };
            fit(&data, 1, 1, &options).model
        };
        let (above, below) = (at(most * 1.01), at(most * 0.98));
        assert!(above.keys.is_empty() && above.facts.converged, "seed {seed}: {:?}", above.facts);
        assert_eq!(fields_of(&below), [last], "seed {seed}: {:?}", below.facts);
        assert_eq!((below.kept_fields(), below.dropped_fields().len(), below.facts.fields), (vec![last], 4, Some(5)));
    }
}

#[test]
fn a_group_lasso_of_zero_is_the_elastic_net_to_the_bit_and_a_small_one_is_near() {
    let data = Problem::new(3).dataset();
    let plain = FitOptions { l1: 0.7, l2: 0.3, tol: 1e-7, ..FitOptions::default() };
    let one = fit(&data, 1, 1, &plain).model;
    assert_eq!(one, fit(&data, 1, 1, &FitOptions { group_lasso: 0.0, ..plain.clone() }).model);
    let near = fit(&data, 1, 1, &FitOptions { group_lasso: 1e-9, ..plain }).model;
    let (a, b) = (one.facts.objective, near.facts.objective);
    assert!(near.facts.converged && (a / b - 1.0).abs() < 2e-7, "{a} {b}");
}

#[test]
fn equal_bits_for_any_number_of_threads_workers_and_servers() {
    for (seed, l1, l2, intercept) in [(1, 0.0, 0.0, true), (2, 0.5, 0.0, true), (3, 0.2, 0.4, false)] {
        let data = Problem::new(seed).dataset();
        let options =
            FitOptions { l1, l2, intercept, group_lasso: 1.0, tol: 1e-7, passes: 60, ..FitOptions::default() };
        let one = fit(&data, 1, 1, &options).model;
        assert!(one.facts.converged && one.facts.nnz > 0, "{:?}", one.facts);
        let filters = TableFilters::parse("zero,zstd:1", "lz4").unwrap();
        for (threads, workers, servers) in [(2, 1, 1), (3, 1, 1), (1, 2, 2), (2, 3, 2), (1, 1, 3)] {
            let other = FitOptions { threads, filters: filters.clone(), ..options.clone() };
            let other = fit(&data, workers, servers, &other).model;
            assert_eq!(one, other, "seed {seed}: {threads} threads, {workers} workers, {servers} servers");
        }
    }
}

#[test]
fn the_filter_changes_traffic_and_not_the_optimum() {
    let data = Problem::new(4).dataset();
    let tight = |kkt_filter| FitOptions {
        l1: 0.3,
        group_lasso: 1.0,
        kkt_filter,
        tol: 1e-8,
        passes: 300,
        ..FitOptions::default()
    };
    let (on, off) = (fit(&data, 1, 1, &tight(true)).model.facts, fit(&data, 1, 1, &tight(false)).model.facts);
    assert!(on.converged && off.converged && (on.objective / off.objective - 1.0).abs() < 2e-8, "{on:?} {off:?}");
}

#[test]
fn a_warm_start_at_the_optimum_is_certified_at_once_and_one_from_elsewhere_gets_there() {
    let data = Problem::new(6).dataset();
    let options = FitOptions { l1: 0.0, group_lasso: 1.5, tol: 1e-6, ..FitOptions::default() };
    let cold = fit(&data, 1, 1, &options).model;
    let warm = fit(&data, 1, 1, &FitOptions { init: Some(cold.clone()), ..options.clone() });
    assert_eq!(warm.trace.len(), 1);
    let plain = fit(&data, 1, 1, &FitOptions { group_lasso: 0.0, l1: 0.01, ..options.clone() }).model;
    let far = fit(&data, 1, 1, &FitOptions { init: Some(plain), ..options }).model;
    assert_eq!(fields_of(&far), fields_of(&cold));
    assert!(far.facts.converged && (far.facts.objective / cold.facts.objective - 1.0).abs() < 2e-6);
}

#[test]
fn weights_of_an_earlier_pass_are_told_with_their_norms() {
    let problem = Problem::new(8);
    let data = problem.dataset();
    let options = FitOptions { l1: 0.1, l2: 0.2, group_lasso: 0.02, patience: Some(1), ..FitOptions::default() };
    let fitted = common::run(&data, 1, 1, |worker, input| {
        let holdout = Some(Holdout::Share(0.4));
        job::fit(worker, TrainInput { holdout, ..input }, &options, &mut Silent).unwrap()
    });
    let kept = fitted.kept.unwrap();
    assert!(kept.pass < fitted.trace.len() as u64, "the weights are not the last pass's: {kept:?}");
    let of = |w: &[f32]| w.iter().map(|&w| w as f64).collect::<Vec<f64>>();
    let facts = &fitted.model.facts;
    let mut penalty = 0.0;
    for (field, id) in FIELDS.iter().zip(1..) {
        let w: Vec<f32> = field.clone().map(|k| fitted.model.weight(compose(id, k as u64))).collect();
        let group = GroupLasso::of_field(ElasticNet::new(0.1, 0.2), 0.02, field.len());
        penalty += of(&w).iter().map(|w| 0.1 * w.abs() + 0.1 * w * w).sum::<f64>() + group.norm(of(&w).into_iter());
    }
    let told = facts.objective - facts.loss;
    assert!((told / penalty - 1.0).abs() < 1e-9, "{told} {penalty} {:?}", fitted.kept);
}

#[test]
fn what_does_not_go_with_a_group_lasso_is_refused() {
    let problem = Problem::new(1);
    let refused = |data: &Dataset, options: FitOptions| {
        common::run(data, 1, 1, |worker, input| {
            job::fit(worker, input, &options, &mut Silent).map(|_| ()).unwrap_err().to_string()
        })
    };
    let o = || FitOptions { group_lasso: 1.0, ..FitOptions::default() };
    let told = refused(&problem.matrix(), o());
    assert!(told.contains("expected data with fields (columns of CSV or Criteo, "), "{told}");
    let data = problem.dataset();
    for (options, said) in [
        (FitOptions { solver: Solver::Ftrl.into(), ..o() }, "expected group_lasso solver dbpg alone"),
        (FitOptions { solver: "ftrl+dbpg".parse().unwrap(), ..o() }, "got 1 with solver ftrl+dbpg"),
        (FitOptions { solver: Solver::Lbfgs.into(), ..o() }, "got 1 with solver lbfgs"),
        (FitOptions { bounds: Bounds::new(0.0, 1.0).unwrap(), ..o() }, "expected bounds none with a group lasso"),
        (FitOptions { group_lasso: -1.0, ..o() }, "expected group_lasso a finite number of at least 0, got -1"),
        (FitOptions { group_lasso: f64::NAN, ..o() }, "expected group_lasso a finite number of at least 0, got NaN"),
        (FitOptions { delay: 1, ..o() }, "expected delay 0 with a group lasso"),
        (
            FitOptions { group_lasso: f64::INFINITY, ..o() },
            "expected group_lasso a finite number of at least 0, got inf",
        ),
        (
            FitOptions { filters: TableFilters::parse("fixed-point:2", "").unwrap(), ..o() },
            "expected filters that are exact (key-cache, zero, lz4, zstd) with a group lasso",
        ),
    ] {
        let told = refused(&data, options);
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn values_of_one_field_that_are_too_far_apart_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.vw").display().to_string();
    let row = |i: u32| format!("{} |a y{} x:1e13\n", (i % 4 < 2) as u32, i % 4);
    std::fs::write(&path, (0..400).map(row).collect::<String>()).unwrap();
    let read = handcar_data::ReadOptions { cache: handcar_data::CachePolicy::off(), ..Default::default() };
    let data = handcar_data::read(&[path], &read).unwrap();
    let options = FitOptions { group_lasso: 3.0, ..FitOptions::default() };
    let told = common::run(&data, 1, 1, |worker, input| {
        job::fit(worker, input, &options, &mut Silent).map(|_| ()).unwrap_err().to_string()
    });
    assert!(told.contains("within a factor of 4096 of each other, for a group lasso"), "{told}");
}
