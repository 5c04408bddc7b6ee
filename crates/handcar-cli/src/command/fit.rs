//! `handcar fit`: trains a model.

mod result;
mod watch;

use super::General;
use crate::{
    args::{InputArgs, ReportArgs, SchemaArgs, TrainArgs},
    outcome::Outcome,
    progress::{Busy, Progress, bar::duration, grouped},
    signals::{self, Stop},
};
use anyhow::{Context, Result, ensure};
use clap::{Args, error::ErrorKind};
use handcar_data::{Dataset, LabelKind, Negatives, ReadOptions, ReadReport};
use handcar_ps::{Worker, driver::local};
use handcar_train::{
    job::{self, TrainInput},
    model::Model,
    solver::Solver,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};
use watch::Watch;

/// Train a model.
#[derive(Args, Debug)]
pub struct FitArgs {
    /// Where the model goes; required but with --folds-only
    #[arg(short, long, value_name = "MODEL", conflicts_with = "folds_only")]
    model: Option<PathBuf>,
    /// Also write the model as readable text: name, tab, weight
    #[arg(long, value_name = "FILE", conflicts_with = "folds_only")]
    text: Option<PathBuf>,
    /// What to read
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    train: TrainArgs,
    /// Learn from each row once, as it is read, and keep none: one pass in memory for the keys alone, past the cache. Minibatch
    /// solvers; penalties with ftrl
    #[arg(long, help_heading = "Training", conflicts_with_all = ["holdout", "holdout_last", "valid", "folds", "patience"])]
    stream: bool,
    #[command(flatten)]
    report: ReportArgs,
    /// How many times as long as it could each batch takes this process.
    #[arg(skip)]
    slow: Option<f64>,
}

/// Runs the command: one worker and one server inside this process.
pub fn run(args: FitArgs, general: &General) -> Result<Outcome> {
    args.check()?;
    let began = Instant::now();
    let mut worker = local::cluster(1, 1, &job::registry()).remove(0);
    let outcome = match args.stream {
        true => args.stream_on(&mut worker, general, began)?,
        false => args.train_on(&mut worker, general, began)?,
    };
    worker.finish()?;
    Ok(outcome)
}

impl FitArgs {
    /// Refuses outputs that cannot be written and options that do not apply, before hours of training rather than after.
    pub fn check(&self) -> Result<()> {
        if self.model.is_none() && !self.train.folds_only {
            let told = "--model: expected a file for the model, got none\n";
            return Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, told).into());
        }
        self.train.check()?;
        let takes = self.train.loss.labels();
        let given = self.schema.labels.unwrap_or(takes);
        ensure!(given == takes, "--labels: expected {takes}, which {} loss takes, got {given}", self.train.loss);
        for path in [self.model.as_ref(), self.text.as_ref(), self.report.report.as_ref()].into_iter().flatten() {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            ensure!(parent.is_dir(), "write {}: expected a directory {}, got none", path.display(), parent.display());
            ensure!(!path.is_dir(), "write {}: expected a file name, got a directory", path.display());
        }
        Ok(())
    }

    /// Refuses what a job of several processes cannot do.
    pub fn check_shared(&self) -> Result<()> {
        ensure!(!self.stream, "--stream: expected one process, got a job of several, which would each need their rows");
        Ok(())
    }

    /// How the input is read.
    fn options(&self) -> ReadOptions {
        let negatives = self.train.negatives.map(|rate| Negatives { rate, seed: self.train.seed });
        ReadOptions { labels: self.train.loss.labels(), negatives, ..self.schema.options(&self.input) }
    }

    /// Reads all inputs once so that they lie in the cache.
    pub fn warm_cache(&self, quiet: bool) -> Result<()> {
        let options = self.options();
        if options.cache.enabled {
            let _busy = Busy::start(&format!("reading {}", self.input.inputs.join(" ")), !quiet);
            handcar_data::read(&self.input.inputs, &options)?;
        }
        Ok(())
    }

    /// Lets this worker use a share of the cores, unless the number of threads was given.
    pub fn share_cores(&mut self, workers: usize) {
        self.input.share_cores(workers);
    }

    /// Makes this process slow, to measure what that does to the others.
    ///
    /// # Errors
    /// If no solver of the job goes batch by batch.
    pub fn slow_down(&mut self, factor: f64) -> Result<()> {
        let solver = &self.train.solver;
        ensure!(
            solver.any(Solver::is_minibatch),
            "--slow-worker: expected a minibatch solver ({}), got --solver {solver}",
            Solver::names(Solver::is_minibatch)
        );
        self.slow = Some(factor);
        Ok(())
    }

    /// Reads, trains as one worker of a job, and, as the first one, saves and tells the result.
    pub fn train_on(&self, worker: &mut Worker, general: &General, began: Instant) -> Result<Outcome> {
        let first = worker.rank() == 0;
        let mut progress = Progress::new(
            general.quiet || !first,
            self.train.held_out().is_some() || self.train.folds.is_some() || self.has_valid(),
            self.train.loss.labels() == LabelKind::Binary,
        );
        let init = self.train.init.as_deref().map(Model::load).transpose()?;
        let data = self.read(&mut progress)?;
        let valid = self.read_valid(&data)?;
        let read_seconds = began.elapsed().as_secs_f64();

        let stop = Stop::install()?;
        let rows = data.rows();
        let (rank, workers) = (worker.rank(), worker.workers());
        let part = rows * rank / workers..rows * (rank + 1) / workers;
        let input = TrainInput { data: &data, rows: part, holdout: self.train.held_out(), valid: valid.as_ref() };
        progress.begin();
        let mut options = self.train.options(self.input.thread_count(), init)?;
        options.slow = self.slow.unwrap_or(options.slow);
        let mut watch = Watch::new(&mut progress, stop.clone());
        let folds = self.train.folds();
        let found = folds.map(|folds| job::cross_validate(worker, input.clone(), &options, folds, &mut watch));
        let found = found.transpose()?;
        let whole = found.as_ref().zip(folds).is_none_or(|(found, folds)| found.folds.len() == folds.count as usize);
        let Some(model) = self.model.as_ref().filter(|_| whole) else {
            drop(progress);
            if let (true, Some(found)) = (first, &found) {
                result::tell_folds(found);
                if let (Some(signal), false) = (stop.signal(), whole) {
                    tracing::warn!(
                        "{}: ended after {} folds, without a model",
                        signals::name(signal),
                        found.folds.len()
                    );
                }
                self.report.save(result::folds_report(found, &data, read_seconds), began)?;
            }
            return Ok(stop.signal().map_or(Outcome::Done, Outcome::Stopped));
        };
        if found.is_some() {
            watch.section("all rows");
        }
        let fitted = job::fit(worker, input, &options, &mut watch)?;
        drop(progress);

        if first {
            fitted.model.save(model)?;
            if let Some(path) = &self.text {
                fitted.model.write_text(path)?;
            }
            let asked = (!options.solver.last().is_minibatch()).then_some((options.tol, options.passes));
            found.iter().for_each(result::tell_folds);
            result::tell(&fitted, model, asked, stop.signal());
            let report = result::report(&fitted, data.report(), read_seconds, worker);
            self.report.save(result::with_folds(report, found.as_ref()), began)?;
        }
        Ok(stop.signal().map_or(Outcome::Done, Outcome::Stopped))
    }

    /// Learns from rows as they are read.
    fn stream_on(&self, worker: &mut Worker, general: &General, began: Instant) -> Result<Outcome> {
        let Some(model) = &self.model else { unreachable!("checked before") };
        let classes = self.train.loss.labels() == LabelKind::Binary;
        let mut progress = Progress::new(general.quiet, false, classes);
        let init = self.train.init.as_deref().map(Model::load).transpose()?;
        let options = self.train.options(self.input.thread_count(), init)?;
        let stop = Stop::install()?;
        let asked = stop.clone();
        let until = Arc::new(move || asked.signal().is_some());
        let pieces = handcar_data::pieces_until(&self.input.inputs, &self.options(), until)?;
        progress.begin();
        let streamed = job::fit_stream(worker, pieces, &options, &mut Watch::new(&mut progress, stop.clone()))?;
        tell_of(&streamed.read, &mut progress);
        drop(progress);
        let fitted = &streamed.fitted;
        fitted.model.save(model)?;
        if let Some(path) = &self.text {
            fitted.model.write_text(path)?;
        }
        result::tell(fitted, model, None, stop.signal());
        self.report.save(result::report(fitted, &streamed.read, 0.0, worker), began)?;
        Ok(stop.signal().map_or(Outcome::Done, Outcome::Stopped))
    }

    fn has_valid(&self) -> bool {
        !self.train.valid.is_empty()
    }

    fn read(&self, progress: &mut Progress) -> Result<Dataset> {
        let busy = progress.busy(&format!("reading {}", self.input.inputs.join(" ")));
        let data = handcar_data::read(&self.input.inputs, &self.options())?;
        drop(busy);
        let r = data.report();
        let how = if r.from_cache { "from the cache" } else { "from text" };
        let (rows, features) = (grouped(r.rows), grouped(data.keys().len() as u64));
        let seconds = duration(r.seconds);
        progress.say(&format!("read {rows} rows, {features} features {how} in {seconds}"));
        tell_of(r, progress);
        Ok(data)
    }

    fn read_valid(&self, data: &Dataset) -> Result<Option<Dataset>> {
        if !self.has_valid() {
            return Ok(None);
        }
        let valid = handcar_data::read_with_schema(&self.train.valid, data.schema(), &self.options());
        valid.map(Some).context("read validation rows")
    }
}

/// Tells what a person should know of how rows were read.
fn tell_of(read: &ReadReport, progress: &mut Progress) {
    for note in &read.notes {
        progress.say(&format!("note: {note}"));
    }
    if read.skipped > 0 {
        let reasons = read.reasons.join("; ");
        tracing::warn!("skipped {} rows that could not be read; the first: {reasons}", read.skipped);
    }
}
