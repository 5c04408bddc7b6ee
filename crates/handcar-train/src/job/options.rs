//! Options of a training job.

use super::GridAxes;
use crate::error::{Result, TrainError};
use crate::loss::LossKind;
use crate::model::Model;
use crate::penalty::{Bounds, ElasticNet};
use crate::solver::{Solver, Solvers, lbfgs::HISTORY_MAX, minibatch::Inner, minibatch::OptimizerState};
use handcar_ps::Dtype;
use handcar_ps::filter::{Direction, FilterRegistry, TableFilters};

/// Options of a training job. Losses are summed over rows, not averaged: `l1` and `l2` weigh against that sum.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Solvers, one after the other; default DBPG alone.
    pub solver: Solvers,
    /// The loss; default logistic. DBPG knows no other, and L-BFGS those without a kink.
    pub loss: LossKind,
    /// Weight of `‖w‖₁`; default 1.
    pub l1: f64,
    /// Weight of `‖w‖²/2`; default 0.
    pub l2: f64,
    /// Weight of the group lasso `Σ_f √d_f·‖w_f‖` over the fields of the data, `d_f` being the number of a field's keys; default 0. Of DBPG
    /// alone, with data that have fields.
    pub group_lasso: f64,
    /// Where weights must stay, the intercept aside; default anywhere. L-BFGS and adaptive revision know no bounds.
    pub bounds: Bounds,
    /// Whether to fit an unpenalised intercept; default yes.
    pub intercept: bool,
    /// τ: how many blocks or batches may be under way when one starts; default 0, which gives equal bits for any number of
    /// threads, workers and servers.
    pub delay: u32,
    /// Minibatch solvers: how many times as long as it could each batch takes this worker, to measure what that does to others; the one
    /// option that workers may give differently; default 1.
    pub slow: f64,
    /// Passes of the last solver at most; default 200, as of DBPG. Minibatch solvers before the last make one.
    pub passes: u32,
    /// Passes without a better loss on validation or held-out rows that end a solver; the model then has the weights of the best pass.
    /// Of several solvers each begins at the best pass of those before, and has as many; but a minibatch solver before the last makes
    /// one pass. Default: none, the last pass's weights.
    pub patience: Option<u32>,
    /// Minibatch solvers: step size α; default [`Solver::default_rate`].
    pub rate: Option<f64>,
    /// Minibatch solvers: added to what divides the step size; default 1.
    pub beta: f64,
    /// Minibatch solvers: rows of a batch, of all workers; default 256.
    pub batch_rows: u32,
    /// Minibatch solvers: whether threads take rows and race on the weights, row by row, which is faster and gives other bits on
    /// more than one thread; in one process only; default no. Threads take [`batch_rows`](Self::batch_rows) rows at a time.
    pub hogwild: bool,
    /// Penalties and rates to try, each combination a model, all in the same passes; the best of them is the job's. For one solver,
    /// `ftrl` or `adagrad`, in one process; more than one pass need rows to choose by.
    pub grid: Option<GridAxes>,
    /// EMSO: how each batch is solved.
    pub inner: Inner,
    /// L-BFGS: pairs of changes that its directions are made of, from 1 to 40; default 10.
    pub history: u32,
    /// Stop when the certified relative gap `(F - D)/F` is at most this; default 1e-4.
    pub tol: f64,
    /// Threads; default 1.
    pub threads: usize,
    /// Seed of the block order and of the holdout; default 0.
    pub seed: u64,
    /// Whether keys at zero whose gradient is small stay at home until a certificate asks for all; default yes.
    pub kkt_filter: bool,
    /// What the steps' pushes go through on their way to the servers, and the weights on their way back. Filters of weights
    /// must be exact: workers and servers must hold the same ones. Default: nothing.
    pub filters: TableFilters,
    /// Weights to begin with.
    pub init: Option<Model>,
    /// Whether this fit goes on from another's state and gives its own, [`Fitted::state`](super::Fitted); its model then has the
    /// weights of all keys so far. For one minibatch solver other than EMSO, in one process.
    pub resume: Option<Resume>,
}

/// How a fit goes on from another.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// The state to go on from; `None`: the weights of [`FitOptions::init`], if any, with step sizes that begin anew.
    pub from: Option<OptimizerState>,
    /// Rows that the penalties belong to, of all fits that make a pass together; `None`: those of this fit's data, which then carries
    /// the whole penalty.
    pub rows_total: Option<u64>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            solver: Solvers::default(),
            loss: LossKind::default(),
            l1: 1.0,
            l2: 0.0,
            group_lasso: 0.0,
            bounds: Bounds::NONE,
            intercept: true,
            delay: 0,
            slow: 1.0,
            passes: 200,
            patience: None,
            rate: None,
            beta: 1.0,
            batch_rows: 256,
            hogwild: false,
            grid: None,
            inner: Inner::default(),
            history: 10,
            tol: 1e-4,
            threads: 1,
            seed: 0,
            kkt_filter: true,
            filters: TableFilters::default(),
            init: None,
            resume: None,
        }
    }
}

/// Blocks under way at most: more than there are blocks in most data, and a bound on memory.
const DELAY_MAX: u32 = 1024;
/// Rows of a batch at most: so many gradients fit a sum, see `solver::minibatch`.
const BATCH_ROWS_MAX: u32 = 1 << 17;
/// δ of Huber's loss: what fixed-point sums have room for, and more than labels ask for.
const HUBER_DELTA_MIN: f32 = 1e-6;
const HUBER_DELTA_MAX: f32 = 1e6;
/// Slower than this tells nothing more.
const SLOW_MAX: f64 = 1000.0;
/// Threads at most.
const THREADS_MAX: usize = 4096;

impl FitOptions {
    /// What the objective has beside losses.
    pub(super) fn penalty(&self) -> ElasticNet {
        ElasticNet { l1: self.l1, l2: self.l2, bounds: self.bounds }
    }

    /// Whether the weights have learned from other rows before.
    pub(super) fn goes_on(&self) -> bool {
        self.resume.as_ref().is_some_and(|r| r.from.is_some() || self.init.is_some())
    }

    /// Refuses to go on from a model of another loss.
    pub(super) fn check_loss_before(&self) -> Result<()> {
        let Some(before) = self.init.as_ref().filter(|_| self.resume.is_some()) else { return Ok(()) };
        if before.facts.loss_kind() == Some(self.loss) {
            return Ok(());
        }
        let told = |name: &str, delta: Option<f32>| match delta {
            Some(delta) => format!("{name} with delta {delta}"),
            None => name.to_string(),
        };
        let (new, old) =
            (told(self.loss.name(), self.loss.delta()), told(&before.facts.loss_name, before.facts.huber_delta));
        let (what, expected) = ("resume", "the loss that the model is of");
        Err(TrainError::Option { what, expected, got: format!("{new} after {old}") })
    }

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
        if self.patience == Some(0) {
            return option("patience", "at least 1", &0);
        }
        if let Some(grid) = self.grid.as_ref().filter(|_| self.patience.is_some()) {
            return option("patience", "without a grid, whose models would each end elsewhere", grid);
        }
        if let Some(rate) = self.rate.filter(|r| !(*r > 0.0 && r.is_finite())) {
            return option("rate", "a finite number above 0", &rate);
        }
        if !(self.beta >= 0.0 && self.beta.is_finite()) {
            return option("beta", "a finite number of at least 0", &self.beta);
        }
        if !(1..=BATCH_ROWS_MAX).contains(&self.batch_rows) {
            return option("batch_rows", "from 1 to 131072", &self.batch_rows);
        }
        if self.hogwild && (self.delay > 0 || self.filters != TableFilters::default()) {
            return option("hogwild", "without delay and filters, which are of servers", &true);
        }
        if let Some(grid) = &self.grid {
            let fits = |s: &Solver| matches!(s, Solver::Ftrl | Solver::AdaGrad);
            if self.solver.solvers().len() != 1 || !self.solver.solvers().iter().all(fits) {
                return option("grid", "solver ftrl or adagrad", &format!("{grid} for {}", self.solver));
            }
            if self.hogwild || self.delay > 0 || self.filters != TableFilters::default() {
                return option("grid", "without hogwild, delay and filters", grid);
            }
        }
        if let Some(resume) = &self.resume {
            if self.solver.solvers().len() != 1 || !OptimizerState::is_of(self.solver.first()) {
                return option("resume", "one solver that learns in minibatches, and not emso", &self.solver);
            }
            let bare = self.filters == TableFilters::default() && self.delay == 0;
            if self.hogwild || self.grid.is_some() || !bare {
                return option("resume", "without hogwild, grid, delay and filters", &true);
            }
            // The state is that of the last pass, and patience may keep the weights of another.
            if let Some(patience) = self.patience {
                return option("patience", "none of a fit that is to be resumed", &patience);
            }
            if resume.rows_total == Some(0) {
                return option("rows_total", "at least 1", &0);
            }
        }
        if self.loss != LossKind::Logistic && self.solver.any(|s| s == Solver::Dbpg) {
            return option("loss", "logistic, the only one that dbpg knows", &self.loss);
        }
        if let Some(delta) = self.loss.delta().filter(|d| !(HUBER_DELTA_MIN..=HUBER_DELTA_MAX).contains(d)) {
            return option("huber_delta", "a number from 1e-6 to 1e6", &delta);
        }
        if !matches!(self.loss, LossKind::Logistic | LossKind::SquaredHinge) && self.solver.any(|s| s == Solver::Lbfgs)
        {
            return option("loss", "logistic or squared-hinge, as lbfgs needs", &self.loss);
        }
        if self.solver.any(|s| s == Solver::Emso) {
            self.check_emso()?;
        }
        if !(1..=HISTORY_MAX as u32).contains(&self.history) {
            return option("history", "from 1 to 40", &self.history);
        }
        if self.passes == 0 {
            return option("passes", "at least 1", &self.passes);
        }
        if !(1.0..=SLOW_MAX).contains(&self.slow) {
            return option("slow", "a number from 1 to 1000", &self.slow);
        }
        let other = self.solver.solvers().iter().find(|s| s.is_asynchronous() || **s == Solver::Emso);
        if let Some(solver) = other.filter(|_| self.hogwild) {
            return option("hogwild", "with sgd, adagrad or ftrl, which go row by row and count no delays", solver);
        }
        let revises = self.solver.any(|s| s == Solver::AdaptiveRevision);
        for (what, weight) in [("l1", self.l1), ("l2", self.l2)] {
            if revises && weight > 0.0 {
                return option(what, "0 of adaptive-revision, which could not revise a penalised step", &weight);
            }
        }
        let unbounded = |s: &&Solver| matches!(s, Solver::Lbfgs | Solver::AdaptiveRevision);
        if let Some(solver) = self.solver.solvers().iter().find(unbounded)
            && self.bounds != Bounds::NONE
        {
            let got = format!("{} of {solver}, whose steps know no bounds", self.bounds);
            return option("bounds", "dbpg or a minibatch solver other than adaptive-revision", &got);
        }
        if self.delay > DELAY_MAX {
            return option("delay", "at most 1024", &self.delay);
        }
        let lbfgs_alone = !self.solver.any(|s| s != Solver::Lbfgs);
        if self.delay > 0 && lbfgs_alone {
            return option("delay", "0 of lbfgs, each step of which needs all that came before", &self.delay);
        }
        if self.threads == 0 || self.threads > THREADS_MAX {
            return option("threads", "from 1 to 4096", &self.threads);
        }
        Ok(())
    }

    /// Refuses what EMSO cannot do.
    fn check_emso(&self) -> Result<()> {
        let option = |what, expected, got: String| Err(TrainError::Option { what, expected, got });
        if !self.loss.is_smooth() {
            return option("loss", "one without a kink, as emso needs", self.loss.to_string());
        }
        if self.delay > 0 {
            return option("delay", "0 of emso, whose batches begin where the last ended", self.delay.to_string());
        }
        if self.inner.iterations == 0 {
            return option("inner_iterations", "at least 1", "0".into());
        }
        if !(0.0..1.0).contains(&self.inner.tol) {
            return option("inner_tol", "a number of at least 0 and below 1", self.inner.tol.to_string());
        }
        Ok(())
    }

    /// Refuses filters of weights that change some. A name unknown to `known` may still be known where the table is made.
    pub(super) fn check_filters(&self, known: &FilterRegistry) -> Result<()> {
        let refuse = |what, expected, got: String| Err(TrainError::Option { what, expected, got });
        for (what, spec, direction) in
            [("filters", &self.filters.push, Direction::Push), ("pull_filters", &self.filters.pull, Direction::Pull)]
        {
            let (dtype, width) = (if direction == Direction::Push { Dtype::I64 } else { Dtype::F32 }, 2);
            let exact = match known.chain(spec, direction, dtype, width) {
                Ok(chain) => chain.is_exact(),
                Err(e) => return refuse(what, "that fit", format!("{:?}: {e}", spec.to_string())),
            };
            if let Some(solver) = self.solver.solvers().iter().find(|s| s.is_asynchronous())
                && direction == Direction::Push
                && !exact
            {
                let expected = "that are exact (key-cache, zero, lz4, zstd) of solvers whose pushes stand alone";
                return refuse(what, expected, format!("{:?} of {solver}", spec.to_string()));
            }
            if direction == Direction::Push && !exact && !self.solver.any(|s| s != Solver::Lbfgs) {
                let expected = "that are exact (key-cache, zero, lz4, zstd) of lbfgs, which compares gradients";
                return refuse(what, expected, format!("{:?}", spec.to_string()));
            }
            if direction == Direction::Pull && !exact {
                let expected =
                    "that are exact (key-cache, zero, lz4, zstd), since workers and servers must hold equal weights";
                return refuse(what, expected, format!("{:?}", spec.to_string()));
            }
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
        let box_of = |lower| Bounds::new(lower, f64::INFINITY).unwrap();
        for (o, name) in [
            (FitOptions { l1: -1.0, ..d() }, "l1"),
            (FitOptions { l2: f64::NAN, ..d() }, "l2"),
            (FitOptions { tol: f64::INFINITY, ..d() }, "tol"),
            (FitOptions { passes: 0, ..d() }, "passes"),
            (FitOptions { patience: Some(0), ..d() }, "patience at least 1"),
            (FitOptions { delay: 4096, ..d() }, "delay"),
            (FitOptions { rate: Some(0.0), ..d() }, "rate"),
            (FitOptions { beta: f64::NAN, ..d() }, "beta"),
            (FitOptions { batch_rows: 1 << 18, ..d() }, "batch_rows"),
            (FitOptions { loss: LossKind::Hinge, ..d() }, "loss logistic"),
            (
                FitOptions { loss: LossKind::Hinge, solver: Solver::Lbfgs.into(), ..d() },
                "loss logistic or squared-hinge",
            ),
            (FitOptions { delay: 1, solver: Solver::Lbfgs.into(), ..d() }, "delay 0 of lbfgs"),
            (FitOptions { slow: 0.5, ..d() }, "slow"),
            (FitOptions { hogwild: true, solver: Solver::AdaDelay.into(), ..d() }, "hogwild with sgd, adagrad or ftrl"),
            (FitOptions { solver: Solver::AdaptiveRevision.into(), ..d() }, "l1 0 of adaptive-revision"),
            (
                FitOptions { l1: 0.0, l2: 1.0, solver: Solver::AdaptiveRevision.into(), ..d() },
                "l2 0 of adaptive-revision",
            ),
            (FitOptions { resume: Some(Resume::default()), ..d() }, "resume one solver that learns in minibatches"),
            (
                FitOptions { resume: Some(Resume::default()), patience: Some(3), solver: Solver::Sgd.into(), ..d() },
                "patience none of a fit that is to be resumed",
            ),
            (
                FitOptions { resume: Some(Resume::default()), solver: Solver::Emso.into(), ..d() },
                "and not emso, got emso",
            ),
            (
                FitOptions { resume: Some(Resume::default()), delay: 1, solver: Solver::Sgd.into(), ..d() },
                "resume without hogwild, grid, delay and filters",
            ),
            (FitOptions { bounds: box_of(0.0), solver: Solver::Lbfgs.into(), ..d() }, "got 0..inf of lbfgs"),
            (
                FitOptions { bounds: box_of(-1.0), l1: 0.0, solver: Solver::AdaptiveRevision.into(), ..d() },
                "got -1..inf of adaptive-revision",
            ),
            (FitOptions { history: 0, ..d() }, "history"),
            (FitOptions { history: 41, ..d() }, "history from 1 to 40"),
            (FitOptions { threads: 0, ..d() }, "threads"),
            (FitOptions { loss: LossKind::Hinge, solver: Solver::Emso.into(), ..d() }, "without a kink"),
            (FitOptions { delay: 1, solver: Solver::Emso.into(), ..d() }, "delay 0 of emso"),
            (FitOptions { hogwild: true, solver: Solver::Emso.into(), ..d() }, "hogwild with sgd, adagrad or ftrl"),
            (
                FitOptions { inner: Inner { tol: 1.0, ..Inner::default() }, solver: Solver::Emso.into(), ..d() },
                "inner_tol",
            ),
            (
                FitOptions { inner: Inner { iterations: 0, ..Inner::default() }, solver: Solver::Emso.into(), ..d() },
                "inner_iterations",
            ),
            (
                FitOptions { loss: LossKind::Huber { delta: f32::NAN }, solver: Solver::Sgd.into(), ..d() },
                "huber_delta",
            ),
        ] {
            assert!(o.check().unwrap_err().to_string().contains(name));
        }
        d().check().unwrap();
        let known = FilterRegistry::new();
        for (push, pull, said) in [
            ("zip", "", "expected filters that fit, got \"zip\": filter spec: expected a filter among countmin"),
            ("", "fixed-point:2", "expected pull_filters that are exact"),
            ("fixed-point:2,zstd", "zero,zstd", ""),
        ] {
            let filters = TableFilters::parse(push, pull).unwrap();
            let told =
                FitOptions { filters, ..d() }.check_filters(&known).err().map_or(String::new(), |e| e.to_string());
            assert!(told.contains(said) && told.is_empty() == said.is_empty(), "{told}");
        }
    }
}
