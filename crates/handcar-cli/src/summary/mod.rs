//! Results for people, on stdout.

mod slices;

pub use slices::slices;

use crate::progress::{grouped, significant};
use handcar_train::{
    job::{CrossValidated, GridModel, Kept, PassTrace},
    metric::{Decile, Metrics},
    model::{Model, Unseen},
};
use std::fmt::Write;

/// Dropped fields listed by name.
const DROPPED: usize = 20;
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
    if f.progressive {
        let of_row = f.loss / (f.rows as f64).max(1.0);
        item(out, "loss", &format!("{} a row, before it was learned from", num(of_row)));
    } else {
        let parts = format!("{} = loss {} + penalty {}", significant(f.objective, 10), num(f.loss), num(penalty));
        item(out, "objective", &parts);
    }
    if let Some(gap) = f.gap {
        let verdict = if gap <= f.tol { "at most the" } else { "ABOVE the" };
        item(out, "gap", &format!("{gap:.2e} certified, {verdict} tolerance {:e}", f.tol));
    }
    item(out, "nonzeros", &format!("{} of {} features", grouped(f.nnz), grouped(f.features)));
    if let Some(fields) = f.fields {
        let kept = format!("{} of {} have weights", model.kept_fields().len(), fields);
        item(out, "fields", &(kept + &dropped(&model.dropped_fields())));
    }
    let rows = format!("{} rows", grouped(f.rows));
    item(out, "trained", &format!("{} passes over {rows}, {} by {}", f.passes, f.loss_name, f.solver));
}

fn dropped(names: &[String]) -> String {
    let more = match names.len().saturating_sub(DROPPED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let some = names.iter().take(DROPPED).cloned().collect::<Vec<_>>().join(", ");
    if names.is_empty() { String::new() } else { format!("; dropped: {some}{more}") }
}

fn num(x: f64) -> String {
    significant(x, 8)
}

/// The models of a grid, the best first.
pub fn grid(out: &mut String, models: &[GridModel]) {
    let measure = |m: &GridModel| m.metrics.as_ref().map(|m| (m.metrics.logloss.or(m.metrics.loss), m.metrics.auc));
    let of = |m: &GridModel| match measure(m) {
        _ if m.loss.is_infinite() => f64::INFINITY,
        Some((loss, _)) => loss.unwrap_or(m.loss),
        None => m.loss,
    };
    let mut sorted: Vec<&GridModel> = models.iter().collect();
    sorted.sort_by(|a, b| (!a.chosen).cmp(&!b.chosen).then(of(a).total_cmp(&of(b))));
    let held = models.iter().any(|m| m.metrics.is_some());
    let titles = ["l1", "l2", "rate", "beta"].map(|t| format!("{t:>9}")).join("");
    let on = if held { format!("{:>11}{:>9}", "held out", "AUC") } else { String::new() };
    item(out, "grid", &format!("{titles}{:>13}{on}{:>12}", "progressive", "nonzeros"));
    for m in sorted {
        let numbers = [m.l1, m.l2, m.rate, m.beta].map(|x| format!("{x:>9}")).join("");
        let loss = if m.loss.is_finite() { format!("{:.5}", m.loss) } else { "diverged".into() };
        let show = |x: Option<f64>| x.map_or("-".to_string(), |x| format!("{x:.5}"));
        let (held_loss, auc) = measure(m).unwrap_or_default();
        let on = if held { format!("{:>11}{:>9}", show(held_loss), show(auc)) } else { String::new() };
        let kept = if m.chosen { "  kept" } else { "" };
        item(out, "", &format!("{numbers}{loss:>13}{on}{:>12}{kept}", grouped(m.nonzeros)));
    }
}

/// The pass that a fit with patience has kept.
pub fn kept(out: &mut String, kept: &Kept, trace: &[PassTrace]) {
    let last = trace.last().map_or(0, |p| p.pass);
    let end = if kept.early { format!("stopped early, after pass {last}; ") } else { String::new() };
    let loss = significant(kept.loss, 6);
    item(
        out,
        "kept",
        &format!("{end}the weights are those of pass {} of {}, with loss {loss}", kept.pass, kept.solver),
    );
}

/// The measures of each fold, and their mean with its standard error.
pub fn folds(out: &mut String, found: &CrossValidated) {
    for fold in &found.folds {
        metrics(out, &format!("fold {}", fold.fold + 1), fold.measured.rows, &fold.measured.metrics);
    }
    let (mean, error) = (&found.mean, &found.error);
    let all = [
        ("AUC", mean.auc, error.auc),
        ("logloss", mean.logloss, error.logloss),
        ("NE", mean.ne, error.ne),
        ("accuracy", mean.accuracy, error.accuracy),
        ("loss", mean.loss, error.loss),
        ("RMSE", mean.rmse, error.rmse),
        ("MAE", mean.mae, error.mae),
        ("R2", mean.r2, error.r2),
        ("deviance", mean.deviance, error.deviance),
        ("calibration", mean.calibration, error.calibration),
        ("ECE", mean.ece, error.ece),
    ];
    let told = all.into_iter().filter_map(|(name, mean, error)| Some((name, mean?, error)));
    for (n, (name, mean, error)) in told.enumerate() {
        let error = error.map_or(String::new(), |e| format!(" +- {}", significant(e, 6)));
        let title = format!("mean of {}", found.folds.len());
        item(out, if n == 0 { &title } else { "" }, &format!("{name:<11} {}{error}", significant(mean, 6)));
    }
}

/// The measures on `rows` rows of `what`.
pub fn metrics(out: &mut String, what: &str, rows: u64, m: &Metrics) {
    let rows = grouped(rows);
    let show = |name: &str, x: Option<f64>| format!("{name} {}  ", x.map_or("-".to_string(), |x| significant(x, 6)));
    let some = |name: &str, x: Option<f64>| x.map_or(String::new(), |x| show(name, Some(x)));
    let calibration = some("calibration", m.calibration) + &some("ECE", m.ece);
    let measures = match m.rmse {
        Some(_) => {
            let deviance = some("deviance", m.deviance);
            [show("loss", m.loss), show("RMSE", m.rmse), show("MAE", m.mae), show("R2", m.r2), deviance, calibration]
                .concat()
        }
        None => {
            let (auc, logloss) = (show("AUC", m.auc), show("logloss", m.logloss));
            [auc, logloss, show("NE", m.ne), show("accuracy", m.accuracy), some("loss", m.loss), calibration].concat()
        }
    };
    item(out, what, &format!("{measures}({rows} rows)"));
}

/// The strongest features by name.
pub fn strongest(out: &mut String, model: &Model) {
    if model.facts.intercept {
        item(out, "intercept", &format!("{:+.4}", model.intercept));
    }
    for (n, i) in model.strongest(STRONGEST).into_iter().enumerate() {
        let title = if n == 0 { "strongest" } else { "" };
        item(out, title, &format!("{:+.4}  {}", model.weights[i], model.name(i)));
    }
}

/// Predicted and observed rates by decile.
pub fn calibration(out: &mut String, deciles: &[Decile]) {
    for (n, d) in deciles.iter().enumerate() {
        let title = if n == 0 { "decile" } else { "" };
        let range = format!("{:.5}..{:.5}", d.from, d.to);
        let rates = format!("predicted {:.5}  observed {:.5}", d.predicted, d.observed);
        item(out, title, &format!("{:>2}  {range:<17} {rates}  ({} rows)", n + 1, grouped(d.rows)));
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
