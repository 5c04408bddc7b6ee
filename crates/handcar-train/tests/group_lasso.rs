//! The group lasso against a slow reference on small random problems with fields: the optimum, the certificate's truth, where fields
//! vanish, equal bits, and what is refused.

mod common;
use common::fit;
use handcar_base::key::{compose, field_of};
use handcar_base::{Rng, Seed};
use handcar_data::{Dataset, FieldKind, FieldSpec, Schema};
use handcar_ps::filter::TableFilters;
use handcar_train::job::{self, FitOptions, Holdout, Silent, TrainInput};
use handcar_train::penalty::{ElasticNet, GroupLasso, soft};
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
        for _ in 0..60_000 {
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
                still = if last - now <= 1e-13 * now { still + 1 } else { 0 };
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
        let options =
            FitOptions { l1, l2, group_lasso, intercept, tol: 1e-6, passes: 500, ..FitOptions::default() };
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
