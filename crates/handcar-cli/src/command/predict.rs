//! `handcar predict`: one probability or mean a row, in any amount of data.

use super::output;
use crate::{
    args::{InputArgs, ReportArgs},
    command::rows::Rows,
    outcome::Outcome,
    progress::grouped,
};
use anyhow::{Result, ensure};
use clap::Args;
use handcar_train::{model::Model, report::Report};
use std::{path::PathBuf, time::Instant};

/// Write one probability a row, or the mean of a regression.
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// The model
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    /// The file to write, one line a row; - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Write margins (log odds, of logistic loss; logarithms, of poisson) instead of probabilities or means
    #[arg(long)]
    margin: bool,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// Runs the command.
pub fn run(args: PredictArgs) -> Result<Outcome> {
    let began = Instant::now();
    let model = Model::load(&args.model)?;
    let loss = model.facts.loss_kind().filter(|loss| loss.mean(0.0).is_some());
    ensure!(
        args.margin || loss.is_some(),
        "predict: expected a model of logistic loss or of a regression, got {}, whose margins are no log odds: add --margin",
        model.facts.loss_name
    );
    let loss = loss.filter(|_| !args.margin);
    let mut rows = Rows::open(&args.input, &model)?;
    output::write(&args.output, |out| {
        while let Some(scored) = rows.next_scored()? {
            for &m in scored.margins {
                // Shortest text that reads back as the same number, in the model's precision.
                let x = loss.and_then(|loss| loss.mean(m)).unwrap_or(m) as f32;
                writeln!(out, "{x}")?;
            }
        }
        Ok(())
    })?;
    let (n, unseen) = (rows.count(), rows.unseen());
    rows.warn_skipped();
    if unseen.values > 0 {
        let (values, all, in_rows) = (grouped(unseen.values), grouped(unseen.of_values), grouped(unseen.rows));
        tracing::warn!("{values} of {all} values, in {in_rows} rows, were not in the training data: they got weight 0");
    }
    let report = Report {
        rows: Some(n),
        rows_skipped: Some(rows.skipped()),
        unseen_values: Some(unseen.values),
        rows_per_second: Some(n as f64 / began.elapsed().as_secs_f64()),
        ..Report::new("predict")
    };
    args.report.save(report, began)?;
    Ok(Outcome::Done)
}
