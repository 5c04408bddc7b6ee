//! What one of the solvers is given, and what it gives.

use super::evaluation::Evaluation;
use super::patience::Patience;
use super::{Measured, OnlineTrace, PassTrace};
use crate::solver::minibatch::OptimizerState;
use handcar_ps::filter::Saved;
use std::time::Instant;

/// Weights of every key of the data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'s> {
    pub weights: &'s [f32],
    pub intercept: f64,
    /// The objective there, if a solver before has found it.
    pub objective: Option<f64>,
}

/// What a solver is given beside data and options.
pub(super) struct Stage<'s> {
    /// When the job began.
    pub began: Instant,
    pub evaluation: &'s Evaluation<'s>,
    /// Example weights of all rows of the data, if they are not all one.
    pub weights: Option<&'s [f32]>,
    /// Which of the job's solvers this is, from 0.
    pub number: usize,
    /// Passes at most.
    pub passes: u32,
    pub start: Option<Start<'s>>,
    pub patience: Option<&'s mut Patience>,
}

/// What a solver has found.
pub(super) struct Solved {
    /// Of every key of the data.
    pub weights: Vec<f32>,
    pub intercept: f64,
    pub objective: f64,
    pub loss: f64,
    /// Rows of all workers with a positive weight.
    pub rows: u64,
    /// Certified relative gap.
    pub gap: Option<f64>,
    pub violation: Option<f64>,
    /// Whether it came to the tolerance, of solvers that have one.
    pub converged: bool,
    pub trace: Vec<PassTrace>,
    pub online: Vec<OnlineTrace>,
    pub metrics: Option<Measured>,
    pub filters: Vec<Saved>,
    /// The solver's state, of a fit that is to be resumed.
    pub state: Option<OptimizerState>,
}
