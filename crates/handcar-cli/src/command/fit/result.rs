//! What a finished fit tells: results on stdout, the report.

use crate::{signals, summary};
use handcar_data::{Dataset, ReadReport};
use handcar_ps::{Worker, filter::Saved};
use handcar_train::{
    job::{CrossValidated, Fitted, GridModel, OnlineTrace},
    report::{
        Bytes, CrossValidation, EarlyStopping, Fields, FilterSavings, FoldEntry, GridEntry, Kkt, OnlineEntry, Report,
        Seconds, TraceEntry,
    },
};
use std::{io::Write, path::Path};

/// Prints objective, certificate, measures and strongest features; warns if the tolerance was not reached.
///
/// `asked`: tolerance and passes at most, of solvers that go on to a tolerance.
pub fn tell(fitted: &Fitted, path: &Path, asked: Option<(f64, u32)>, signal: Option<i32>) {
    let model = &fitted.model;
    let mut text = String::new();
    if !fitted.grid.is_empty() {
        summary::grid(&mut text, &fitted.grid);
    }
    summary::facts(&mut text, model);
    if let Some(kept) = &fitted.kept {
        summary::kept(&mut text, kept, &fitted.trace);
    }
    if let Some(m) = &fitted.metrics {
        summary::metrics(&mut text, &m.on, m.rows, &m.metrics);
    }
    summary::strongest(&mut text, model);
    summary::item(&mut text, "model", &path.display().to_string());
    // The model is saved by now: a reader of stdout that has gone away is no failure of the fit.
    let _ = std::io::stdout().write_all(text.as_bytes());

    // Who keeps an earlier pass has not asked for the last one's tolerance.
    let last = fitted.trace.last().map(|p| (p.solver, p.pass));
    let early = fitted.kept.is_some_and(|kept| kept.early || last != Some((kept.solver, kept.pass)));
    let gap = model.facts.gap.map_or("no certificate yet".to_string(), |g| format!("certified gap {g:.1e}"));
    if let Some(signal) = signal {
        let name = signals::name(signal);
        tracing::warn!("{name}: ended after {} passes with the model so far ({gap})", model.facts.passes);
    } else if let Some((tol, most)) = asked.filter(|_| !model.facts.converged && !early) {
        let passes = model.facts.passes;
        let at = match fitted.trace.last() {
            Some(p) if p.pass < most as u64 => format!("after {passes} passes, where no step helps any more,"),
            _ => format!("at --passes {passes}"),
        };
        tracing::warn!("stopped {at} before the tolerance: {gap}, asked for {tol:.1e}");
    }
}

/// The report of the run.
pub fn report(fitted: &Fitted, read: &ReadReport, read_seconds: f64, worker: &Worker) -> Report {
    let facts = &fitted.model.facts;
    let train_seconds = fitted.trace.last().map_or(0.0, |p| p.seconds);
    let stats = worker.stats();
    let rows_done = facts.rows as f64 * facts.passes as f64;
    Report {
        objective: (!facts.progressive).then_some(facts.objective),
        loss: Some(facts.loss),
        nnz: Some(facts.nnz),
        rows: Some(facts.rows),
        rows_skipped: Some(read.skipped),
        features: Some(facts.features),
        fields: facts.fields.map(|all| Fields { all, kept: fitted.model.kept_fields().len() as u64 }),
        passes: Some(facts.passes),
        converged: Some(facts.converged),
        rows_per_second: (train_seconds > 0.0).then(|| rows_done / train_seconds),
        seconds: Seconds {
            read: Some(read_seconds),
            train: Some(train_seconds),
            waited: (!worker.embedded()).then_some(stats.waited.as_secs_f64()),
            total: 0.0,
        },
        metrics: fitted.metrics.as_ref().map(|m| m.metrics),
        kkt: facts.gap.map(|gap| Kkt { violation: facts.violation, gap_bound: Some(gap) }),
        bytes: (stats.bytes_sent > 0).then_some(Bytes { sent: stats.bytes_sent, received: stats.bytes_received }),
        filters: fitted.filters.iter().map(savings).collect(),
        staleness: Some(stats.staleness_max()),
        staleness_histogram: stats.staleness,
        seed: Some(facts.seed),
        trace: fitted.trace.iter().map(entry).collect(),
        online: fitted.online.iter().map(online).collect(),
        grid: fitted.grid.iter().map(tried).collect(),
        early_stopping: fitted.kept.map(|k| EarlyStopping {
            solver: k.solver,
            pass: k.pass,
            loss: k.loss,
            stopped: k.early,
        }),
        ..Report::new("fit")
    }
}

/// Prints the measures of each fold and of all.
pub fn tell_folds(found: &CrossValidated) {
    let mut text = String::new();
    summary::folds(&mut text, found);
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The report of a cross-validation alone.
pub fn folds_report(found: &CrossValidated, data: &Dataset, read_seconds: f64) -> Report {
    let report = Report {
        rows: Some(data.rows() as u64),
        rows_skipped: Some(data.report().skipped),
        features: Some(data.keys().len() as u64),
        seconds: Seconds { read: Some(read_seconds), ..Seconds::default() },
        ..Report::new("fit")
    };
    with_folds(report, Some(found))
}

/// A report that also tells of a cross-validation, if there was one.
pub fn with_folds(report: Report, found: Option<&CrossValidated>) -> Report {
    let Some(found) = found else { return report };
    let fold = |f: &handcar_train::job::FoldFit| FoldEntry {
        fold: f.fold as u64 + 1,
        rows: f.rows,
        passes: f.passes,
        objective: f.objective,
        rows_measured: f.measured.rows,
        metrics: f.measured.metrics,
    };
    let folds = found.folds.iter().map(fold).collect();
    let (mean, error) = (found.mean, found.error);
    Report { cross_validation: Some(CrossValidation { folds, mean, error }), ..report }
}

fn savings(s: &Saved) -> FilterSavings {
    let (name, direction) = (s.name.clone(), s.direction.to_string());
    FilterSavings { name, direction, before: s.before, after: s.after }
}

fn entry(p: &handcar_train::job::PassTrace) -> TraceEntry {
    TraceEntry {
        solver: Some(p.solver),
        pass: p.pass,
        seconds: p.seconds,
        objective: p.objective,
        nnz: p.nnz,
        active: p.active,
        violation: p.violation,
        gap: p.gap,
        logloss: p.valid.and_then(|m| m.logloss),
        auc: p.valid.and_then(|m| m.auc),
        rmse: p.valid.and_then(|m| m.rmse),
        rows_per_second: Some(p.rows_per_second),
        bytes_sent: Some(p.bytes_sent),
    }
}

fn online(o: &OnlineTrace) -> OnlineEntry {
    OnlineEntry {
        pass: o.pass,
        rows: o.rows,
        seconds: o.seconds,
        loss_since: o.loss_since,
        loss: o.loss,
        auc: o.auc,
        auc_error: o.auc_error,
        ne: o.ne,
        rows_per_second: o.rows_per_second,
    }
}

fn tried(m: &GridModel) -> GridEntry {
    GridEntry {
        l1: m.l1,
        l2: m.l2,
        rate: m.rate,
        beta: m.beta,
        progressive_loss: m.loss.is_finite().then_some(m.loss),
        nnz: m.nonzeros,
        metrics: m.metrics.as_ref().map(|m| m.metrics),
        chosen: m.chosen,
    }
}
