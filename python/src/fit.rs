//! Training, with the lock released and an ear for signals.

use crate::error;
use crate::interrupt::PATIENCE;
use crate::model::Model;
use crate::read::options_of;
use crate::rows::Rows;
use crate::state::State;
use handcar_ps::driver::local;
use handcar_ps::filter::{Saved, TableFilters};
use handcar_train::job::{self, FitOptions, GridModel, Observer, OnlineTrace, PassTrace, Resume, TrainInput};
use handcar_train::loss::LossKind;
use handcar_train::metric::Metrics;
use handcar_train::penalty::Bounds;
use handcar_train::solver::{Solvers, minibatch::Inner};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::cell::RefCell;
use std::time::Instant;

/// Trains on packed rows. `label`: column and the texts of -1 and +1, to be kept in the model. `valid`: rows to measure on after each
/// pass, packed alike. `observer` has methods `on_pass` and `on_online`, which hear of each pass and of progressive measures
/// within one and may end the job by a true answer, and `on_progress`, which hears the share of the pass that is done. Gives the
/// model, one dictionary a pass, one for each time that progressive measures were taken, one a filter, one for each model
/// of a grid, and with `resume` the state. `resume`: go on from `state`, or else from the weights of `init`; the penalties are those
/// of `rows_total` rows. `stream`: instead of rows, the inputs to learn from as they are read, with the options of reading.
#[pyfunction]
#[pyo3(signature = (rows=None, *, stream=None, solver, loss, l1, l2, group_lasso=0.0, lower=None, upper=None, huber_delta=None, rate, beta, batch_rows, history=10, hogwild=false, grid=None, inner="cd", inner_iterations=None, inner_tol=0.0, fit_intercept, delay, max_iter, patience=None, tol, n_threads, seed, kkt_filter=true, filters, pull_filters, label, init=None, resume=false, state=None, rows_total=None, valid=None, observer=None))]
#[allow(clippy::too_many_arguments)] // Named ones, each an option of the job.
pub fn fit<'py>(
    py: Python<'py>,
    rows: Option<&Rows>,
    stream: Option<(Vec<String>, Bound<'py, PyDict>)>,
    solver: &str,
    loss: &str,
    l1: f64,
    l2: f64,
    group_lasso: f64,
    lower: Option<f64>,
    upper: Option<f64>,
    huber_delta: Option<f32>,
    rate: Option<f64>,
    beta: f64,
    batch_rows: u32,
    history: u32,
    hogwild: bool,
    grid: Option<&str>,
    inner: &str,
    inner_iterations: Option<u32>,
    inner_tol: f64,
    fit_intercept: bool,
    delay: u32,
    max_iter: Option<u32>,
    patience: Option<u32>,
    tol: f64,
    n_threads: usize,
    seed: u64,
    kkt_filter: bool,
    filters: &str,
    pull_filters: &str,
    label: Option<(Option<String>, Option<String>, Option<String>)>,
    init: Option<&Model>,
    resume: bool,
    state: Option<&State>,
    rows_total: Option<u64>,
    valid: Option<&Rows>,
    observer: Option<Py<PyAny>>,
) -> PyResult<Results<'py>> {
    let before = init.map(|m| &m.inner).filter(|_| resume);
    if let Some((before, rows)) = before.zip(rows) {
        rows.go_on_from(&before.schema)?;
    }
    let layout = rows.and_then(|rows| rows.layout.as_ref());
    let from = state.map(|s| layout.map_or_else(|| Ok(s.inner.clone()), |l| s.number(l))).transpose()?;
    let resume = resume.then_some(Resume { from, rows_total });
    // A group lasso goes by the fields of a table, which its numbers do not show.
    let fields = layout.filter(|_| group_lasso > 0.0);
    let numbers = layout.filter(|_| fields.is_none());
    let init = init.map(|m| numbers.map_or_else(|| m.inner.clone(), |l| l.number(&m.inner)));
    let packed = |rows: &Rows| fields.map_or_else(|| Ok(rows.data.clone()), |l| l.in_fields(&rows.data));
    let filters = TableFilters::parse(filters, pull_filters).map_err(|e| PyValueError::new_err(format!("fit: {e}")))?;
    let solver: Solvers = solver.parse().map_err(|e| PyValueError::new_err(format!("solver: {e}")))?;
    let passes = max_iter.unwrap_or(solver.default_passes(patience.is_some()));
    let loss: LossKind = loss.parse().map_err(|e| PyValueError::new_err(format!("loss: {e}")))?;
    let method = inner.parse().map_err(|e| PyValueError::new_err(format!("inner: {e}")))?;
    let unless_told = if inner_tol > 0.0 { Inner::MANY } else { Inner::default().iterations };
    let iterations = inner_iterations.unwrap_or(unless_told);
    let inner = Inner { method, iterations, tol: inner_tol };
    let bounds = Bounds::new(lower.unwrap_or(f64::NEG_INFINITY), upper.unwrap_or(f64::INFINITY))
        .map_err(|e| PyValueError::new_err(format!("fit: {e}")))?;
    let options = FitOptions {
        solver,
        loss: huber_delta.map_or(loss, |delta| loss.with_delta(delta)),
        rate,
        beta,
        batch_rows,
        history,
        hogwild,
        grid: grid.map(str::parse).transpose().map_err(|e| PyValueError::new_err(format!("grid: {e}")))?,
        l1,
        l2,
        group_lasso,
        bounds,
        intercept: fit_intercept,
        delay,
        passes,
        patience,
        tol,
        threads: n_threads,
        seed,
        kkt_filter,
        filters,
        inner,
        slow: 1.0,
        init,
        resume,
    };
    if let Some((rows, valid)) = rows.zip(valid) {
        rows.accepts(valid)?;
    }
    let read = stream.map(|(inputs, options)| Ok::<_, PyErr>((inputs, options_of(&options)?))).transpose()?;
    if rows.is_some() == read.is_some() {
        return Err(error::value("fit", "rows or a stream", "both or none"));
    }
    let (data, valid) = (rows.map(packed).transpose()?, valid.map(packed).transpose()?);
    let input = data.as_ref().map(|data| TrainInput { valid: valid.as_ref(), ..TrainInput::new(data) });
    let mut watch = Watch { observer, heard: Instant::now(), wish: RefCell::new(Wish::GoOn) };
    let fitted = py.detach(|| {
        let mut worker = local::cluster(1, 1, &job::registry()).remove(0);
        let fitted = match (input, read) {
            (Some(input), _) => job::fit(&mut worker, input, &options, &mut watch)?,
            (None, Some((inputs, read))) => {
                job::fit_stream(&mut worker, handcar_data::pieces(&inputs, &read)?, &options, &mut watch)?.fitted
            }
            (None, None) => unreachable!("checked"),
        };
        worker.finish()?;
        Ok(fitted)
    });
    if let Wish::Fail(e) = watch.wish.into_inner() {
        return Err(e);
    }
    let fitted = fitted.map_err(error::train)?;
    let mut model = match layout {
        Some(layout) if fields.is_some() => layout.name(layout.number(&fitted.model), before),
        Some(layout) => layout.name(fitted.model, before),
        None => fitted.model,
    };
    model.facts.rows = rows.and_then(|rows| rows.joined).unwrap_or(model.facts.rows);
    if let Some((column, negative, positive)) = label {
        let kind = model.schema.label.kind;
        model.schema.label = handcar_data::LabelSpec { kind, column, positive, negative };
    } else if let Some(known) = before.map(|b| &b.schema.label).filter(|known| known.positive.is_some()) {
        // Rows that go on may not tell both texts.
        let label = &mut model.schema.label;
        label.positive = known.positive.clone();
        label.negative = known.negative.clone().or(label.negative.take());
    }
    let state = fitted.state.map(|s| match layout {
        Some(layout) => State::name(s, layout),
        None => s,
    });
    let trace = fitted.trace.iter().map(|p| entry(py, p)).collect::<PyResult<_>>()?;
    let online = fitted.online.iter().map(|o| progressive(py, o)).collect::<PyResult<_>>()?;
    let grid = fitted.grid.iter().map(|m| tried(py, m)).collect::<PyResult<_>>()?;
    Ok((Model { inner: model }, trace, online, savings(py, &fitted.filters)?, grid, state.map(|inner| State { inner })))
}

type Traces<'py> = Vec<Bound<'py, PyDict>>;
/// Model, passes, progressive measures, filters, models of a grid, state.
type Results<'py> = (Model, Traces<'py>, Traces<'py>, Bound<'py, PyList>, Traces<'py>, Option<State>);

fn progressive<'py>(py: Python<'py>, o: &OnlineTrace) -> PyResult<Bound<'py, PyDict>> {
    let entry = PyDict::new(py);
    entry.set_item("pass", o.pass)?;
    entry.set_item("rows", o.rows)?;
    entry.set_item("seconds", o.seconds)?;
    entry.set_item("loss_since", o.loss_since)?;
    entry.set_item("loss", o.loss)?;
    entry.set_item("auc", o.auc)?;
    entry.set_item("auc_error", o.auc_error)?;
    entry.set_item("ne", o.ne)?;
    Ok(entry)
}

fn tried<'py>(py: Python<'py>, m: &GridModel) -> PyResult<Bound<'py, PyDict>> {
    let entry = PyDict::new(py);
    entry.set_item("l1", m.l1)?;
    entry.set_item("l2", m.l2)?;
    entry.set_item("rate", m.rate)?;
    entry.set_item("beta", m.beta)?;
    entry.set_item("loss", m.loss)?;
    entry.set_item("nnz", m.nonzeros)?;
    entry.set_item("chosen", m.chosen)?;
    Ok(entry)
}

/// A list of dictionaries: the bytes before and after each filter.
pub fn savings<'py>(py: Python<'py>, filters: &[Saved]) -> PyResult<Bound<'py, PyList>> {
    let all = PyList::empty(py);
    for saved in filters {
        let one = PyDict::new(py);
        one.set_item("name", &saved.name)?;
        one.set_item("direction", saved.direction.to_string())?;
        one.set_item("before", saved.before)?;
        one.set_item("after", saved.after)?;
        all.append(one)?;
    }
    Ok(all)
}

fn entry<'py>(py: Python<'py>, p: &PassTrace) -> PyResult<Bound<'py, PyDict>> {
    let entry = PyDict::new(py);
    entry.set_item("solver", p.solver.name())?;
    entry.set_item("pass", p.pass)?;
    entry.set_item("seconds", p.seconds)?;
    entry.set_item("objective", p.objective)?;
    entry.set_item("nnz", p.nnz)?;
    entry.set_item("active", p.active)?;
    entry.set_item("violation", p.violation)?;
    entry.set_item("gap", p.gap)?;
    entry.set_item("online", p.online.map(|o| progressive(py, &o)).transpose()?)?;
    entry.set_item("valid", p.valid.map(|m| measures(py, &m)).transpose()?)?;
    Ok(entry)
}

/// The measures that the loss has.
fn measures<'py>(py: Python<'py>, m: &Metrics) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    for (name, value) in [
        ("logloss", m.logloss),
        ("auc", m.auc),
        ("ne", m.ne),
        ("accuracy", m.accuracy),
        ("loss", m.loss),
        ("rmse", m.rmse),
        ("mae", m.mae),
        ("r2", m.r2),
        ("deviance", m.deviance),
    ] {
        if value.is_some() {
            all.set_item(name, value)?;
        }
    }
    Ok(all)
}

/// What Python wants of the job.
enum Wish {
    GoOn,
    /// The observer has enough.
    Stop,
    /// A signal, or an error of the observer.
    Fail(PyErr),
}

struct Watch {
    observer: Option<Py<PyAny>>,
    /// When signals were last asked for.
    heard: Instant,
    wish: RefCell<Wish>,
}

impl Watch {
    /// Runs Python's signal handlers; they do nothing except in the main thread.
    fn hear(&self) {
        if let Err(e) = Python::attach(|py| py.check_signals()) {
            *self.wish.borrow_mut() = Wish::Fail(e);
        }
    }

    fn goes_on(&self) -> bool {
        matches!(*self.wish.borrow(), Wish::GoOn)
    }

    /// Tells the observer, whose true answer ends the job.
    fn tell(&self, method: &str, what: impl for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>>) {
        let Some(observer) = self.observer.as_ref().filter(|_| self.goes_on()) else { return };
        let answer = Python::attach(|py| observer.call_method1(py, method, (what(py)?,))?.is_truthy(py));
        match answer {
            Ok(false) => {}
            Ok(true) => *self.wish.borrow_mut() = Wish::Stop,
            Err(e) => *self.wish.borrow_mut() = Wish::Fail(e),
        }
    }
}

impl Observer for Watch {
    fn pass(&mut self, pass: &PassTrace) {
        self.tell("on_pass", |py| Ok(entry(py, pass)?.into_any()));
    }

    fn online(&mut self, so_far: &OnlineTrace) {
        self.tell("on_online", |py| Ok(progressive(py, so_far)?.into_any()));
    }

    fn progress(&mut self, done: f64) {
        // A pass over little data is shorter than taking the lock; one over much data should not delay a handler.
        if self.heard.elapsed() >= PATIENCE && self.goes_on() {
            self.hear();
            self.tell("on_progress", |py| Ok(done.into_pyobject(py)?.into_any()));
            self.heard = Instant::now();
        }
    }

    fn stop(&self) -> bool {
        if self.heard.elapsed() >= PATIENCE && self.goes_on() {
            self.hear();
        }
        !self.goes_on()
    }
}
