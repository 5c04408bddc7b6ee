//! `handcar predict`: one probability a row, in any amount of data.

use super::output;
use crate::{
    args::{InputArgs, ReportArgs},
    command::rows::Rows,
    outcome::Outcome,
    progress::grouped,
};
use anyhow::{Result, ensure};
use clap::Args;
use handcar_train::{
    loss::LossKind,
    model::{Model, probability},
    report::Report,
};
use std::{path::PathBuf, time::Instant};

/// Write one probability a row.
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// The model
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    /// The file to write, one line a row; - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Write margins (log odds, of logistic loss) instead of probabilities
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
    let loss = &model.facts.loss_name;
    let probabilities = loss == LossKind::Logistic.name();
    ensure!(
        args.margin || probabilities,
        "predict: expected a model of logistic loss, got {loss}, whose margins are no log odds: add --margin"
    );
    let mut rows = Rows::open(&args.input, &model)?;
    output::write(&args.output, |out| {
        while let Some(scored) = rows.next_scored()? {
            for &m in scored.margins {
                // Shortest text that reads back as the same number, in the model's precision.
                let x = if args.margin { m as f32 } else { probability(m) as f32 };
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
