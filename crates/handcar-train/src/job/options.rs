//! Options of a training job.

use crate::error::{Result, TrainError};
use crate::model::Model;

/// Options of a training job. Losses are summed over rows, not averaged: `l1` and `l2` weigh against that sum.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Weight of `‖w‖₁`; default 1.
    pub l1: f64,
    /// Weight of `‖w‖²/2`; default 0.
    pub l2: f64,
    /// Whether to fit an unpenalised intercept; default yes.
    pub intercept: bool,
    /// τ: how many blocks may be under way when one starts; default 0, which gives equal bits for any number of
    /// threads, workers and servers.
    pub delay: u32,
    /// Passes at most; default 200.
    pub passes: u32,
    /// Stop when the certified relative gap `(F - D)/F` is at most this; default 1e-4.
    pub tol: f64,
    /// Threads; default 1.
    pub threads: usize,
    /// Seed of the block order and of the holdout; default 0.
    pub seed: u64,
    /// Whether keys at zero whose gradient is small stay at home until a certificate asks for all; default yes.
    pub kkt_filter: bool,
    /// Weights to begin with.
    pub init: Option<Model>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            l1: 1.0,
            l2: 0.0,
            intercept: true,
            delay: 0,
            passes: 200,
            tol: 1e-4,
            threads: 1,
            seed: 0,
            kkt_filter: true,
            init: None,
        }
    }
}

/// Blocks under way at most: more than there are blocks in most data, and a bound on memory.
const DELAY_MAX: u32 = 1024;
/// Threads at most.
const THREADS_MAX: usize = 4096;

impl FitOptions {
    /// Refuses options outside their ranges.
    pub(super) fn check(&self) -> Result<()> {
        let option = |what, expected, got: &dyn std::fmt::Display| {
            Err(TrainError::Option { what, expected, got: got.to_string() })
        };
        if !(self.l1 >= 0.0 && self.l1.is_finite()) {
            return option("l1", "a finite number of at least 0", &self.l1);
        }
        if !(self.l2 >= 0.0 && self.l2.is_finite()) {
            return option("l2", "a finite number of at least 0", &self.l2);
        }
        if !(self.tol >= 0.0 && self.tol.is_finite()) {
            return option("tol", "a finite number of at least 0", &self.tol);
        }
        if self.passes == 0 {
            return option("passes", "at least 1", &self.passes);
        }
        if self.delay > DELAY_MAX {
            return option("delay", "at most 1024", &self.delay);
        }
        if self.threads == 0 || self.threads > THREADS_MAX {
            return option("threads", "from 1 to 4096", &self.threads);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_outside_their_range_are_refused_by_name() {
        let d = FitOptions::default;
        for (o, name) in [
            (FitOptions { l1: -1.0, ..d() }, "l1"),
            (FitOptions { l2: f64::NAN, ..d() }, "l2"),
            (FitOptions { tol: f64::INFINITY, ..d() }, "tol"),
            (FitOptions { passes: 0, ..d() }, "passes"),
            (FitOptions { delay: 4096, ..d() }, "delay"),
            (FitOptions { threads: 0, ..d() }, "threads"),
        ] {
            assert!(o.check().unwrap_err().to_string().contains(name));
        }
        d().check().unwrap();
    }
}
