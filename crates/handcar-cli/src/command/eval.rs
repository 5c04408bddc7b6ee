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
    metric::{Metrics, Scored, calibration, logloss_sum},
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
        weights.extend_from_slice(scored.weights.unwrap_or_default());
    }
    rows.warn_skipped();
    let weights = (!weights.is_empty()).then_some(weights.as_slice());
    let scored = Scored::new(&margins, &labels, weights)?;
    // Margins of other losses say who is likelier to click, and not how likely.
    let logistic = model.facts.loss_name == LossKind::Logistic.name();
    let (metrics, deciles) = match logistic {
        true => (Metrics::of(&scored), calibration(&scored)),
        false => (Metrics::of(&scored).of_order(), Vec::new()),
    };

    let mut text = String::new();
    summary::metrics(&mut text, "measured", rows.count(), &metrics);
    summary::calibration(&mut text, &deciles);
    summary::unseen(&mut text, &rows.unseen());
    std::io::stdout().write_all(text.as_bytes())?;

    let report = Report {
        rows: Some(rows.count()),
        rows_skipped: Some(rows.skipped()),
        unseen_values: Some(rows.unseen().values),
        loss: logistic.then(|| logloss_sum(&scored).value()),
        rows_per_second: Some(rows.count() as f64 / began.elapsed().as_secs_f64()),
        metrics: Some(metrics),
        calibration: deciles,
        ..Report::new("eval")
    };
    args.report.save(report, began)?;
    Ok(Outcome::Done)
}
