//! Options on what a run writes beside its main result.

use anyhow::Result;
use clap::Args;
use handcar_train::report::{Report, peak_memory_bytes};
use std::{path::PathBuf, time::Instant};

/// The JSON report.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// Write a JSON report of the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl ReportArgs {
    /// Completes the report with total time and peak memory and writes it, if one was asked for.
    pub fn save(&self, mut report: Report, began: Instant) -> Result<()> {
        let Some(path) = &self.report else { return Ok(()) };
        report.seconds.total = began.elapsed().as_secs_f64();
        report.peak_memory_bytes = peak_memory_bytes();
        Ok(report.save(path)?)
    }
}
