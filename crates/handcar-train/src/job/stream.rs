//! A job over rows that are learned from once, as they are read, and not kept.

use super::at_zero::AtZero;
use super::online::{HOPELESS, Telling, settings};
use super::{FitOptions, Fitted, Observer, PassTrace, labels};
use crate::error::{Result, TrainError};
use crate::model::{Facts, Model};
use crate::solver::Solver;
use crate::solver::minibatch::{OptimizerState, Room, Seen, Streaming};
use handcar_base::Key;
use handcar_data::{Piece, Pieces, Schema};
use handcar_ps::Worker;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Pieces of rows that are read before they are learned from, on another thread.
const AHEAD: usize = 8;

/// How long to wait for rows before asking whether to end.
const WAIT: Duration = Duration::from_millis(100);

/// What [`fit_stream`] gives.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// The model and how it came about. Its loss is progressive: of rows not yet learned from.
    pub fitted: Fitted,
    /// What was read.
    pub read: handcar_data::ReadReport,
}

/// Trains a linear model by one pass of a minibatch solver over rows as they come from text, in memory for the keys alone. With
/// [`FitOptions::threads`] above 1, and from standard input, another reads while one learns.
///
/// The weights are those of [`fit`](super::fit) with one pass over the same rows: the same bits if values and example weights are all 1 and
/// labels are classes, else to rounding. There is no objective of the finished model, as the rows are gone: the facts have the progressive
/// loss.
///
/// ```
/// use handcar_train::{job::{self, FitOptions, Silent}, solver::Solver};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("x.vw").display().to_string();
/// std::fs::write(&path, "1 |a x y\n0 |a y z\n")?;
/// let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
/// let options = FitOptions { solver: Solver::Ftrl.into(), l1: 0.0, passes: 1, ..FitOptions::default() };
/// let pieces = handcar_data::pieces(&[path], &handcar_data::ReadOptions::default())?;
/// let streamed = job::fit_stream(&mut worker, pieces, &options, &mut Silent)?;
/// assert_eq!(streamed.fitted.model.facts.rows, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TrainError::Option`] before anything is read, for options that need the rows again or servers; [`TrainError::Read`];
/// [`TrainError::Diverged`] if the weights or the loss stop being numbers.
pub fn fit_stream(
    worker: &mut Worker,
    pieces: Pieces,
    options: &FitOptions,
    observer: &mut dyn Observer,
) -> Result<Streamed> {
    options.check()?;
    let solver = check(options)?;
    let began = Instant::now();
    let kind = pieces.schema().label.kind;
    if kind != options.loss.labels() {
        let (expected, got) = (format!("{}, which {} loss takes", options.loss.labels(), options.loss), kind);
        return Err(TrainError::Data { expected, got: got.to_string() });
    }
    let settings = settings(options, solver, options.penalty());
    let mut solve = Streaming::new(&settings);
    if let Some(init) = &options.init {
        solve.start_at(init.intercept as f32);
    }
    let mut pass = Pass {
        telling: Telling::new(options, solve.size(), u64::MAX, began),
        room: Room::of(options.loss),
        worker,
        observer,
        options,
        failed: None,
        stopped: false,
        at_zero: AtZero::new(options.loss),
    };
    pass.telling.begin(1);
    let pieces = if options.threads > 1 || pieces.may_wait() {
        pass.beside(&mut solve, pieces)?
    } else {
        pass.alone(&mut solve, pieces)?
    };
    if !pass.stopped {
        solve.end(&mut |seen, labels, room| pass.hear(seen, labels, room));
    }
    let Pass { mut telling, room, worker, observer, failed, at_zero, .. } = pass;
    failed.map_or(Ok(()), Err)?;

    telling.tell(worker)?;
    let online = telling.trace.last().copied();
    let (weights, intercept) = solve.weights();
    let mass = telling.mass() * 2f64.powi(room.weights());
    let loss = online.map_or(0.0, |line| line.loss * mass);
    let sound = loss.is_finite() && loss <= HOPELESS * at_zero.sum();
    if !(sound && intercept.is_finite() && weights.iter().all(|w| w.is_finite())) {
        let (solver, rate) = (solver.name(), Some(settings.alpha));
        return Err(TrainError::Diverged { solver, pass: 1, objective: loss, rate });
    }
    let report = pieces.report().clone();
    let schema = pieces.schema();
    let seconds = began.elapsed().as_secs_f64();
    let facts = Facts {
        solver: options.solver.to_string(),
        loss_name: options.loss.name().into(),
        huber_delta: options.loss.delta(),
        l1: options.l1,
        l2: options.l2,
        lower: finite(options.bounds.lower()),
        upper: finite(options.bounds.upper()),
        intercept: options.intercept,
        seed: options.seed,
        rows: online.map_or(0, |line| line.rows),
        passes: 1,
        loss,
        objective: loss + penalty(options, &weights),
        progressive: true,
        ..Facts::default()
    };
    let model = model_of(&pieces, schema, &weights, intercept as f64, facts);
    let trace = PassTrace {
        solver,
        pass: 1,
        seconds,
        objective: model.facts.objective,
        relative_change: f64::INFINITY,
        nnz: model.facts.nnz,
        active: 1.0,
        violation: None,
        gap: None,
        valid: None,
        online,
        rows_per_second: model.facts.rows as f64 / seconds.max(1e-9),
        bytes_sent: 0,
        plain_sent: 0,
    };
    observer.pass(&trace);
    let online = telling.trace;
    let (trace, grid, filters) = (vec![trace], Vec::new(), Vec::new());
    let fitted = Fitted { model, trace, online, grid, metrics: None, kept: None, filters, state: None };
    Ok(Streamed { fitted, read: report })
}

/// Refuses what would need the rows again, all of them before the first, or servers.
fn check(options: &FitOptions) -> Result<Solver> {
    let refuse = |expected: &'static str, got: String| Err(TrainError::Option { what: "stream", expected, got });
    let solver = options.solver.first();
    if options.solver.solvers().len() != 1 || !OptimizerState::is_of(solver) {
        return refuse("one solver that learns in minibatches, and not emso", options.solver.to_string());
    }
    if options.passes != 1 {
        return refuse("one pass, as the rows are not kept", options.passes.to_string());
    }
    for (given, name) in [
        (options.hogwild, "hogwild"),
        (options.grid.is_some(), "grid"),
        (options.patience.is_some(), "patience"),
        (options.resume.is_some(), "resume"),
        (options.delay > 0, "delay"),
        (options.filters != Default::default(), "filters"),
        (options.group_lasso > 0.0, "group_lasso"),
    ] {
        if given {
            return refuse("without hogwild, grid, patience, resume, delay, filters and group lasso", name.into());
        }
    }
    if solver != Solver::Ftrl && (options.l1 > 0.0 || options.l2 > 0.0) {
        let expected = "no penalty, or ftrl: others share it out over the rows, whose number only the end tells";
        return refuse(expected, format!("{solver} with l1 {} and l2 {}", options.l1, options.l2));
    }
    Ok(solver)
}

fn finite(bound: f32) -> Option<f64> {
    bound.is_finite().then_some(bound as f64)
}

fn penalty(options: &FitOptions, weights: &[f32]) -> f64 {
    let sum = |of: &dyn Fn(f64) -> f64| -> f64 {
        weights.iter().map(|&w| of(w as f64)).collect::<handcar_base::ExactSum>().value()
    };
    options.l1 * sum(&f64::abs) + 0.5 * options.l2 * sum(&|w| w * w)
}

/// The model of weights by number.
fn model_of(pieces: &Pieces, schema: &Schema, weights: &[f32], intercept: f64, facts: Facts) -> Model {
    // Keys that only rows after the end of the pass had are no part of it.
    let mut order: Vec<(Key, u32)> = pieces.keys()[..weights.len()].iter().copied().zip(0..).collect();
    order.sort_unstable();
    let (keys, numbers): (Vec<Key>, Vec<u32>) = order.into_iter().unzip();
    let sorted: Vec<f32> = numbers.iter().map(|&n| weights[n as usize]).collect();
    let texts = numbers.iter().map(|&n| pieces.text_of(n));
    Model::of_weights(schema, &keys, &sorted, texts, intercept, facts)
}

/// A pass on its way.
struct Pass<'p> {
    telling: Telling,
    room: Room,
    worker: &'p mut Worker,
    observer: &'p mut dyn Observer,
    options: &'p FitOptions,
    failed: Option<TrainError>,
    /// Whether it was ended before its rows were.
    stopped: bool,
    at_zero: AtZero,
}

impl Pass<'_> {
    /// Hears of a batch; whether to end.
    fn hear(&mut self, seen: &Seen<'_>, labels: &[f32], room: &Room) -> bool {
        if *room != self.room {
            self.telling.make_room(room.size(), room.weights() - self.room.weights());
            self.room = *room;
        }
        let unit = 2f64.powi(room.weights());
        for (i, &label) in labels.iter().enumerate() {
            self.at_zero.add(label, seen.weights.map_or(1.0, |w| w[i] as f64) * unit);
        }
        self.telling.hear(self.worker, seen, labels, self.observer).unwrap_or_else(|e| {
            self.failed = Some(e);
            true
        })
    }

    /// Learns from a piece; whether to end.
    fn take(&mut self, solve: &mut Streaming, piece: &Piece) -> bool {
        if let Err(e) = labels::check_size(self.options.loss, &piece.labels, true) {
            self.failed = Some(e);
            return true;
        }
        let (init, bounds) = (&self.options.init, self.options.bounds);
        let start = |key| init.as_ref().map_or(0.0, |m| bounds.clip_f32(m.weight(key)));
        solve.push(piece, &start, &mut |seen, labels, room| self.hear(seen, labels, room))
    }

    /// Reads and learns in turns.
    fn alone(&mut self, solve: &mut Streaming, mut pieces: Pieces) -> Result<Pieces> {
        for piece in pieces.by_ref() {
            self.stopped = self.take(solve, &piece?);
            if self.stopped {
                break;
            }
        }
        Ok(pieces)
    }

    /// Learns while another thread reads.
    fn beside(&mut self, solve: &mut Streaming, mut pieces: Pieces) -> Result<Pieces> {
        let (send, receive) = sync_channel(AHEAD);
        let end = pieces.end();
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                for piece in pieces.by_ref() {
                    // Nobody listens any more once the pass has ended.
                    if send.send(piece).is_err() {
                        break;
                    }
                }
                pieces
            });
            let done = self.take_all(solve, receive);
            // The reader may wait for a pipe that stays silent.
            end.store(true, Ordering::Relaxed);
            let pieces = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done.map(|()| pieces)
        })
    }

    fn take_all(&mut self, solve: &mut Streaming, pieces: Receiver<handcar_data::Result<Piece>>) -> Result<()> {
        loop {
            self.stopped = match pieces.recv_timeout(WAIT) {
                Ok(piece) => self.take(solve, &piece?),
                Err(RecvTimeoutError::Timeout) => self.observer.stop(),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            if self.stopped {
                return Ok(());
            }
        }
    }
}
