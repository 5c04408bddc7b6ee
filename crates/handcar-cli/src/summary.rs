//! Results for people, on stdout.

use crate::progress::{grouped, significant};
use handcar_train::{
    metric::{Decile, Metrics},
    model::{Model, Unseen},
};
use std::fmt::Write;

/// Features listed as the strongest.
const STRONGEST: usize = 10;

/// Appends `name  text`, the names in one column.
pub fn item(out: &mut String, name: &str, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{name:<10} {text}");
}

/// The facts of a model's training.
pub fn facts(out: &mut String, model: &Model) {
    let f = &model.facts;
    let penalty = f.objective - f.loss;
    let parts = format!("{} = loss {} + penalty {}", significant(f.objective, 10), num(f.loss), num(penalty));
    item(out, "objective", &parts);
    if let Some(gap) = f.gap {
        let verdict = if gap <= f.tol { "at most the" } else { "ABOVE the" };
        item(out, "gap", &format!("{gap:.2e} certified, {verdict} tolerance {:e}", f.tol));
    }
    item(out, "nonzeros", &format!("{} of {} features", grouped(f.nnz), grouped(f.features)));
    let rows = format!("{} rows", grouped(f.rows));
    item(out, "trained", &format!("{} passes over {rows}, {} by {}", f.passes, f.loss_name, f.solver));
}

fn num(x: f64) -> String {
    significant(x, 8)
}

/// The measures on `rows` rows of `what`.
pub fn metrics(out: &mut String, what: &str, rows: u64, m: &Metrics) {
    let show = |x: Option<f64>| x.map_or("-".to_string(), |x| format!("{x:.5}"));
    let (auc, logloss, ne, accuracy) = (show(m.auc), show(m.logloss), show(m.ne), show(m.accuracy));
    let rows = grouped(rows);
    item(out, what, &format!("AUC {auc}  logloss {logloss}  NE {ne}  accuracy {accuracy}  ({rows} rows)"));
}

/// The strongest features by name.
pub fn strongest(out: &mut String, model: &Model) {
    if model.facts.intercept {
        item(out, "intercept", &format!("{:+.4}", model.intercept));
    }
    for (n, i) in model.strongest().into_iter().take(STRONGEST).enumerate() {
        let title = if n == 0 { "strongest" } else { "" };
        item(out, title, &format!("{:+.4}  {}", model.weights[i], model.name(i)));
    }
}

/// Predicted and observed rates by decile.
pub fn calibration(out: &mut String, deciles: &[Decile]) {
    for (n, d) in deciles.iter().enumerate() {
        let title = if n == 0 { "decile" } else { "" };
        let range = format!("{:.4}..{:.4}", d.from, d.to);
        let rates = format!("predicted {:.4}  observed {:.4}", d.predicted, d.observed);
        item(out, title, &format!("{:>2}  {range:<15} {rates}  ({} rows)", n + 1, grouped(d.rows)));
    }
}

/// What the model never saw, if there was any.
pub fn unseen(out: &mut String, u: &Unseen) {
    if u.values > 0 {
        let (values, all, rows) = (grouped(u.values), grouped(u.of_values), grouped(u.rows));
        item(
            out,
            "unseen",
            &format!("{values} of {all} values, in {rows} rows, were not in the training data: weight 0"),
        );
    }
}
