//! `handcar eval`: how good a model is on labelled rows.

use crate::{
    args::{InputArgs, ReportArgs},
    command::rows::Rows,
    outcome::Outcome,
    summary,
};
use anyhow::Result;
use clap::Args;
use handcar_train::{evaluate::Evaluator, model::Model, report::Report};
use std::{io::Write, path::PathBuf, time::Instant};

/// Measure a model on labelled rows.
#[derive(Args, Debug)]
pub struct EvalArgs {
    /// The model
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    /// Also measure the rows with each value of this field (a column, a cross such as a*b, or a VW namespace); may be given again
    #[arg(long, value_name = "FIELD")]
    slice: Vec<String>,
    /// Values of a --slice that are told, those with the most rows; the rest is told as one
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    slice_values: u32,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// Runs the command.
pub fn run(args: EvalArgs) -> Result<Outcome> {
    let began = Instant::now();
    let model = Model::load(&args.model)?;
    let mut evaluator = Evaluator::new(&model, &args.slice)?;
    let mut rows = Rows::open(&args.input, &model)?;
    rows.note_texts(&evaluator.fields());
    while let Some(scored) = rows.next_scored()? {
        evaluator.add(scored.batch, scored.margins)?;
    }
    rows.warn_skipped();
    let found = evaluator.finish(args.slice_values as usize, |key| rows.text_of(key))?;

    let mut text = String::new();
    summary::metrics(&mut text, "measured", found.rows, &found.metrics);
    summary::calibration(&mut text, &found.calibration);
    found.slices.iter().for_each(|table| summary::slices(&mut text, table));
    summary::unseen(&mut text, &rows.unseen());
    std::io::stdout().write_all(text.as_bytes())?;

    let report = Report {
        rows_skipped: Some(rows.skipped()),
        unseen_values: Some(rows.unseen().values),
        rows_per_second: Some(found.rows as f64 / began.elapsed().as_secs_f64()),
        ..Report::of_evaluation(found)
    };
    args.report.save(report, began)?;
    Ok(Outcome::Done)
}
