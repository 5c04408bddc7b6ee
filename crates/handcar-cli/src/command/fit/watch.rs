//! What the solver tells while it runs, and the question whether to stop.

use crate::{
    progress::{Line, Online, Progress},
    signals::Stop,
};
use handcar_train::job::{Observer, OnlineTrace, PassTrace};

/// Shows each pass, draws the bar, and asks the solver to end once a signal has come.
pub struct Watch<'a> {
    progress: &'a mut Progress,
    stop: Stop,
}

impl<'a> Watch<'a> {
    /// Watches through `progress`, stops on `stop`.
    pub fn new(progress: &'a mut Progress, stop: Stop) -> Self {
        Self { progress, stop }
    }
}

impl Watch<'_> {
    /// The table of another model begins.
    pub fn section(&mut self, title: &str) {
        self.progress.section(title);
    }
}

impl Observer for Watch<'_> {
    fn fold(&mut self, fold: u32, of: u32) {
        self.section(&format!("fold {} of {of}", fold + 1));
    }

    fn pass(&mut self, p: &PassTrace) {
        self.progress.line(&Line {
            pass: p.pass,
            objective: Some(p.objective),
            relative_change: p.relative_change.is_finite().then_some(p.relative_change),
            nnz: Some(p.nnz),
            active: p.active,
            violation: p.violation,
            gap: p.gap,
            logloss: p.valid.and_then(|m| m.logloss),
            auc: p.valid.and_then(|m| m.auc),
            rmse: p.valid.and_then(|m| m.rmse),
            rows_per_second: p.rows_per_second,
            bytes_sent: p.bytes_sent,
            seconds: p.seconds,
            online: p.online.as_ref().map(cells),
        });
    }

    fn online(&mut self, so_far: &OnlineTrace) {
        self.progress.line(&Line {
            pass: so_far.pass,
            rows_per_second: so_far.rows_per_second,
            seconds: so_far.seconds,
            online: Some(cells(so_far)),
            ..Line::default()
        });
    }

    fn newton(&mut self, step: u64, gap: f64) {
        self.progress.newton(step, gap);
    }

    fn progress(&mut self, done: f64) {
        self.progress.within(done);
    }

    fn stop(&self) -> bool {
        self.stop.signal().is_some()
    }
}

fn cells(o: &OnlineTrace) -> Online {
    Online { rows: o.rows, since: o.loss_since, average: o.loss, auc: o.auc, auc_error: o.auc_error, ne: o.ne }
}
