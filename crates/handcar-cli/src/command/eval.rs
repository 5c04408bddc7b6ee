//! `handcar eval`: how good a model is on labelled rows.

use crate::{
    args::{InputArgs, ReportArgs},
    command::rows::Rows,
    outcome::Outcome,
    summary,
};
use anyhow::{Result, bail};
use clap::Args;
use handcar_train::{
    loss::LossKind,
    metric::{Metrics, Scored, calibration},
    model::Model,
    report::Report,
};
use std::{io::Write, path::PathBuf, time::Instant};

/// Measure a model on labelled rows.
#[derive(Args, Debug)]
pub struct EvalArgs {
    /// The model
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// Runs the command.
pub fn run(args: EvalArgs) -> Result<Outcome> {
    let began = Instant::now();
    let model = Model::load(&args.model)?;
    let mut rows = Rows::open(&args.input, &model)?;
    let (mut margins, mut labels, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(scored) = rows.next_scored()? {
        let Some(y) = scored.labels else { bail!("eval: expected rows with labels, got rows without") };
        margins.extend_from_slice(scored.margins);
        labels.extend_from_slice(y);
        // Rows before the first that has a weight of its own have 1.
        if let Some(w) = scored.weights {
            weights.resize(margins.len() - w.len(), 1.0);
            weights.extend_from_slice(w);
        }
    }
    rows.warn_skipped();
    let weights = (!weights.is_empty()).then_some(weights.as_slice());
    let Some(loss) = model.facts.loss_kind() else {
        bail!("eval: expected a loss that this version knows, got {}", model.facts.loss_name)
    };
    let metrics = Metrics::by(loss, &margins, &labels, weights)?;
    // Margins of other losses are no log odds.
    let deciles = match loss {
        LossKind::Logistic => calibration(&Scored::new(&margins, &labels, weights)?),
        _ => Vec::new(),
    };
    let mass: f64 = weights.map_or(rows.count() as f64, |w| w.iter().map(|&w| w as f64).sum());

    let mut text = String::new();
    summary::metrics(&mut text, "measured", rows.count(), &metrics);
    summary::calibration(&mut text, &deciles);
    summary::unseen(&mut text, &rows.unseen());
    std::io::stdout().write_all(text.as_bytes())?;

    let report = Report {
        rows: Some(rows.count()),
        rows_skipped: Some(rows.skipped()),
        unseen_values: Some(rows.unseen().values),
        loss: metrics.loss.or(metrics.logloss).map(|mean| mean * mass),
        rows_per_second: Some(rows.count() as f64 / began.elapsed().as_secs_f64()),
        metrics: Some(metrics),
        calibration: deciles,
        ..Report::new("eval")
    };
    args.report.save(report, began)?;
    Ok(Outcome::Done)
}
