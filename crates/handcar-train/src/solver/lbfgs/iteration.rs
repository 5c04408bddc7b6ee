//! An iteration: direction, step, gradient.

use super::line_search::{Verdict, Wolfe, falls};
use super::note::DirectionNote;
use super::request::Function;
use super::trial::Trial;
use super::two_loop::Coefficients;
use super::{Lbfgs, Point};
use crate::error::Result;

/// Trials of one direction at most.
const TRIALS_MAX: usize = 100;
/// What a step that went too far is multiplied by; the first of all is a guess, and may be far off.
const BACKTRACK: f64 = 0.5;
const BACKTRACK_FIRST: f64 = 0.1;

/// What a direction promises.
struct Direction {
    /// `⟨pg,D⟩`.
    slope: f64,
    /// `‖D‖`.
    norm: f64,
    /// Over penalised keys `⟨w,D⟩` and `‖D‖²`.
    penalised: [f64; 2],
    /// Whether it was made without a history.
    steepest: bool,
}

impl Lbfgs<'_> {
    /// Goes a step. Whether there was one that lowered the objective: not at the optimum, nor where numbers end.
    pub fn iterate(&mut self) -> Result<bool> {
        let direction = match self.direct()? {
            d if d.slope < 0.0 && d.norm.is_finite() => d,
            d if d.steepest => return Ok(false),
            // No descent: the history has lost its curvature.
            _ => return self.begin_anew(),
        };
        let found = match self.settings.penalty.l1 > 0.0 {
            true => self.backtrack(&direction)?,
            false => self.wolfe(&direction)?,
        };
        match found {
            Some(trial) => {
                self.at = trial.point;
                self.accept();
                self.commit(Some(trial.reach))?;
                Ok(true)
            }
            None if direction.steepest => self.give_up(),
            None => self.begin_anew(),
        }
    }

    fn begin_anew(&mut self) -> Result<bool> {
        self.history.clear();
        self.iterate()
    }

    /// A failed last trial is not kept.
    fn give_up(&mut self) -> Result<bool> {
        self.attempt(&Function::Try { a: 0.0 })?;
        Ok(false)
    }

    fn direct(&mut self) -> Result<Direction> {
        let Coefficients { s, y, pg, at_zero, steepest } = self.history.coefficients();
        let notes = self.worker.call(self.table, &Function::Direct { s, y, pg, at_zero }.to_bytes())?;
        let [slope, squares, along, penalised] = DirectionNote::join(&notes, 0)?.sums();
        Ok(Direction { slope, norm: squares.sqrt(), penalised: [along, penalised], steepest })
    }

    fn first_length(&self, direction: &Direction) -> f64 {
        if direction.steepest { 1.0 / direction.norm } else { 1.0 }
    }

    /// OWL-QN's search: shorter steps until one lowers the objective by enough.
    fn backtrack(&mut self, direction: &Direction) -> Result<Option<Trial>> {
        let mut a = self.first_length(direction);
        let by = if direction.steepest { BACKTRACK_FIRST } else { BACKTRACK };
        for _ in 0..TRIALS_MAX {
            let trial = self.attempt(&Function::Try { a })?;
            if falls(self.at.objective, trial.point.objective, trial.slope) {
                return Ok(Some(trial));
            }
            // No weight has moved, and none will.
            if trial.reach == 0.0 {
                break;
            }
            a *= by;
        }
        Ok(None)
    }

    /// Without orthants margins are linear in the length, so only the first trial and the chosen one sweep over columns.
    fn wolfe(&mut self, direction: &Direction) -> Result<Option<Trial>> {
        let Point { objective: before, loss, .. } = self.at;
        let l2 = self.settings.penalty.l2;
        let [along, squares] = direction.penalised;
        let first = self.first_length(direction);
        let mut search = Wolfe::new(before, direction.slope);
        let mut trial = self.attempt(&Function::Try { a: first })?;
        // In lengths of the first trial.
        let penalty = |t: f64| {
            let a = t * first;
            [before - loss + l2 * a * (along + 0.5 * a * squares), l2 * first * (along + a * squares)]
        };
        let mut a = first;
        for _ in 0..TRIALS_MAX {
            let [objective, slope] = self.along(a / first, penalty)?;
            match search.judge(a, objective, slope / first) {
                Verdict::Try(next) if next != a => a = next,
                Verdict::Try(_) => return Ok(None),
                Verdict::Accept => {
                    if a != first {
                        trial = self.attempt(&Function::Try { a })?;
                    }
                    // What a line says may differ in the last bits.
                    let fell = falls(before, trial.point.objective, trial.slope);
                    return Ok(fell.then_some(trial));
                }
            }
        }
        Ok(None)
    }

    /// Tries the weights rounded to f32, as models have them, and keeps them if they are `good` enough; else all is as it
    /// was.
    pub fn round(&mut self, good: impl Fn(Point, f64) -> bool) -> Result<bool> {
        let rounded = self.attempt(&Function::Round)?;
        if good(rounded.point, self.dual) {
            self.at = rounded.point;
            self.accept();
            return Ok(true);
        }
        self.attempt(&Function::Try { a: 0.0 })?;
        Ok(false)
    }
}
