//! What a group lasso asks of a job, and what it adds to the objective.

use super::FitOptions;
use crate::error::{Result, TrainError};
use crate::penalty::{Bounds, GroupLasso};
use crate::solver::{Solver, field_ranges};
use handcar_data::{Dataset, FieldKind, HashKind};
use handcar_ps::Dtype;
use handcar_ps::filter::{Direction, FilterRegistry};
use std::ops::Range;

impl FitOptions {
    /// Refuses what cannot go with a group lasso. Filters are known to fit.
    pub(super) fn check_group_lasso(&self, data: &Dataset, known: &FilterRegistry) -> Result<()> {
        let option = |what, expected, got: String| Err(TrainError::Option { what, expected, got });
        if !(self.group_lasso >= 0.0 && self.group_lasso.is_finite()) {
            return option("group_lasso", "a finite number of at least 0", self.group_lasso.to_string());
        }
        if self.group_lasso == 0.0 {
            return Ok(());
        }
        if *self.solver.solvers() != [Solver::Dbpg] {
            let got = format!("{} with solver {}", self.group_lasso, self.solver);
            return option("group_lasso", "solver dbpg alone, which knows fields", got);
        }
        if self.delay > 0 {
            let expected = "0 with a group lasso, each step of which needs all that came before";
            return option("delay", expected, self.delay.to_string());
        }
        if self.bounds != Bounds::NONE {
            return option("bounds", "none with a group lasso", self.bounds.to_string());
        }
        let push = &self.filters.push;
        if known.chain(push, Direction::Push, Dtype::I64, 2).is_ok_and(|chain| !chain.is_exact()) {
            let expected = "that are exact (key-cache, zero, lz4, zstd) with a group lasso";
            return option("filters", expected, format!("{:?}", push.to_string()));
        }
        let schema = data.schema();
        if schema.hash == HashKind::Vw || schema.fields.iter().any(|f| f.id == 0 && f.kind == FieldKind::Raw) {
            let expected = "data with fields (columns of CSV or Criteo, namespaces of VW text, columns of a table)";
            let got = "features that have none, for a group lasso (each a group of its own, it would be l1)";
            return Err(TrainError::Data { expected: expected.into(), got: got.into() });
        }
        Ok(())
    }

    /// What the norms of all fields add to the objective. `weights`: of every key of the data.
    pub(super) fn field_norms(&self, data: &Dataset, weights: &[f32]) -> f64 {
        if self.group_lasso == 0.0 {
            return 0.0;
        }
        let norm = |field: Range<usize>| {
            let group = GroupLasso::of_field(self.penalty(), self.group_lasso, field.len());
            group.norm(weights[field].iter().map(|&w| w as f64))
        };
        field_ranges(data.keys()).into_iter().map(norm).sum()
    }
}
