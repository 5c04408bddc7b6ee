//! How far a simulation is, on stderr: a line that changes on a terminal, now and then a new one elsewhere.

use crate::progress::{ClearLine, Redrawn};
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// Lines that stay come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// A line that changes, at most this often.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// Counts to a known number.
pub struct Watch {
    shown: bool,
    redrawn: Option<Redrawn>,
    of: u64,
    what: &'static str,
    began: Instant,
    told: Instant,
}

impl Watch {
    /// Begins to count `what` up to `of`, in silence if `quiet`.
    pub fn new(quiet: bool, of: u64, what: &'static str) -> Self {
        let now = Instant::now();
        Self { shown: !quiet, redrawn: Redrawn::stderr(), of, what, began: now, told: now }
    }

    /// So many are done; `more` is said behind it.
    pub fn done(&mut self, count: u64, more: impl FnOnce() -> String) {
        let every = if self.redrawn.is_some() { DRAW_EVERY } else { LINE_EVERY };
        if !self.shown || self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let seconds = self.began.elapsed().as_secs_f64();
        let line = format!("{count} of {} {}, {seconds:.0} s  {}", self.of, self.what, more());
        match &self.redrawn {
            Some(line_of) => line_of.draw(line.trim_end()),
            None => {
                // A courtesy, as all progress is.
                let _ = writeln!(ClearLine, "{}", line.trim_end());
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Wipes the line that changes.
        let _ = ClearLine.write_all(b"");
    }
}
