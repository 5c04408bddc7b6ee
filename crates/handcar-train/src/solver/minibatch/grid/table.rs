//! The tables of many models, and the threads that go through the batches in step.

use super::super::local::{batches, shares};
use super::super::part::{Exponents, exponent};
use super::super::rows::RowView;
use super::super::rule::{ByNumbers, Rates};
use super::super::team::Meeting;
use super::super::{Settings, fixed};
use super::lanes::{LANES, Lanes};
use super::part::{GridPart, Room};
use super::{Choice, Hear, Lot};
use crate::error::{Result, TrainError};
use crate::loss::{Loss, Size};
use crate::penalty::ElasticNet;
use handcar_data::{Dataset, Entries};
use handcar_kernels::{Kernel, run};
use std::ops::Range;

/// The tables of many models, in this process.
pub(super) struct GridTable<'a, R> {
    /// Parts by the thread that owns them.
    members: Vec<Vec<GridPart<'a, R>>>,
    keys: usize,
    /// Models, of which there are at most as many as lanes.
    models: usize,
    lanes: usize,
}

impl<'a, R: ByNumbers> GridTable<'a, R> {
    /// As [`LocalTable::new`](super::super::local::LocalTable::new), for several choices.
    pub fn new(
        data: &'a Dataset,
        settings: &Settings,
        choices: &[Choice],
        weight_exponent: i32,
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Self> {
        let threads = settings.threads.max(1);
        let batches = data.rows().div_ceil(settings.batch_rows) as u64;
        let lanes_of = |free: bool| {
            let mut rules: Vec<R> = choices
                .iter()
                .map(|&Choice { alpha, beta, penalty }| {
                    let penalty = if free { ElasticNet::NONE } else { penalty };
                    R::new(Rates { alpha, beta, penalty, batch_rows: settings.batch_rows as u64, batches, workers: 1 })
                })
                .collect();
            // Lanes that nobody asks for do as the last model does.
            if let Some(last) = rules.last().cloned() {
                rules.resize(rules.len().next_multiple_of(LANES), last);
            }
            Lanes::new(rules)
        };
        let (rules, free) = (lanes_of(false), lanes_of(true));
        let slope = settings.loss.size(exponent(data.labels())).slope;
        let exponents = |values| Exponents { slope, values, weights: weight_exponent };
        let mut parts: Vec<(f64, GridPart<'a, R>)> = Vec::new();
        for block in data.blocks().iter().filter(|b| !b.keys.is_empty()) {
            let values = match block.entries {
                Entries::Sparse { values: Some(v), .. } => exponent(v),
                _ => 0,
            };
            for (cost, ids) in shares(block, threads) {
                parts.push((cost, GridPart::new(Some((block, ids)), rules.clone(), exponents(values), start.0)?));
            }
        }
        if settings.intercept {
            let of_intercept = |_| start.1;
            parts.push((0.5 * data.rows() as f64, GridPart::new(None, free, exponents(0), &of_intercept)?));
        }
        // The costliest first, each to the thread with the least so far.
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut members: Vec<(f64, Vec<GridPart<'a, R>>)> = (0..threads).map(|_| (0.0, Vec::new())).collect();
        for (cost, part) in parts {
            if let Some((load, parts)) = members.iter_mut().min_by(|a, b| a.0.total_cmp(&b.0)) {
                *load += cost;
                parts.push(part);
            }
        }
        members.retain(|m| !m.1.is_empty());
        if members.is_empty() {
            members.push((0.0, Vec::new()));
        }
        let members = members.into_iter().map(|m| m.1).collect();
        Ok(Self { members, keys: data.keys().len(), models: choices.len(), lanes: rules.len() })
    }

    /// Learns from all rows, batch by batch, the first of which is number `batch` of the job. `hear` is told of each batch, and
    /// may end the pass after it; whether it did.
    ///
    /// # Errors
    /// [`TrainError::Option`] if the system has no threads to give.
    pub fn pass<L: Loss>(
        &mut self,
        loss: L,
        view: &RowView<'_>,
        batch: u64,
        batch_rows: usize,
        hear: &mut Hear<'_>,
    ) -> Result<bool> {
        let total = view.labels.len();
        let (lanes, models, members) = (self.lanes, self.models, self.members.len());
        let meeting = Meeting::new(members, batch_rows * lanes);
        let mut stopped = false;
        std::thread::scope(|scope| {
            let here = meeting.present();
            let (first, others) = self.members.split_at_mut(1);
            for (i, parts) in others.iter_mut().enumerate() {
                let meeting = &meeting;
                let work = move || {
                    let _here = meeting.present();
                    let mut member = Member::new(i + 1, parts, meeting, batch_rows, lanes);
                    for (at, rows) in batches(total, batch_rows, batch) {
                        if !member.margins(at, &rows) {
                            break;
                        }
                        member.learn(loss, view, &rows, None);
                    }
                };
                if let Err(e) = std::thread::Builder::new().spawn_scoped(scope, work) {
                    here.give_up();
                    let (expected, got) = ("that the system grants", format!("{members} ({e})"));
                    return Err(TrainError::Option { what: "threads", expected, got });
                }
            }
            let mut lead = Member::new(0, &mut first[0], &meeting, batch_rows, lanes);
            let mut losses = vec![0i64; lanes];
            for (at, rows) in batches(total, batch_rows, batch) {
                if !lead.margins(at, &rows) {
                    break;
                }
                losses.fill(0);
                lead.learn(loss, view, &rows, Some(&mut losses));
                if !stopped && hear(&Lot { rows, losses: &losses[..models] }) {
                    meeting.stop_at(at + 1);
                    stopped = true;
                }
            }
            Ok(stopped)
        })
    }

    /// The weights of one model as batch `batch` finds them, and the intercept.
    pub fn weights(&mut self, batch: u64, model: usize) -> (Vec<f32>, f32) {
        let (mut all, mut intercept) = (vec![0.0; self.keys], 0.0);
        for part in self.members.iter_mut().flatten() {
            let (keys, is_intercept) = (part.keys.clone(), part.is_intercept());
            let weights = part.weights(batch, model);
            match is_intercept {
                true => weights.for_each(|w| intercept = w),
                false => all[keys].iter_mut().zip(weights).for_each(|(to, w)| *to = w),
            }
        }
        (all, intercept)
    }
}

/// A thread and what it owns.
struct Member<'m, 'a, R> {
    number: usize,
    parts: &'m mut [GridPart<'a, R>],
    meeting: &'m Meeting,
    lanes: usize,
    room: Room,
    /// All lanes of each row of the batch.
    sums: Vec<i64>,
    gradients: Vec<i64>,
}

impl<'m, 'a, R: ByNumbers> Member<'m, 'a, R> {
    fn new(
        number: usize,
        parts: &'m mut [GridPart<'a, R>],
        meeting: &'m Meeting,
        batch_rows: usize,
        lanes: usize,
    ) -> Self {
        let [sums, gradients] = [(); 2].map(|()| vec![0; batch_rows * lanes]);
        Self { number, parts, meeting, lanes, room: Room::default(), sums, gradients }
    }

    /// Brings about the margins of a batch, together with the others; whether the pass goes on.
    fn margins(&mut self, batch: u64, rows: &Range<usize>) -> bool {
        let Self { number, parts, meeting, lanes, room, sums, .. } = self;
        let n = rows.len() * *lanes;
        meeting.write(*number, batch, |margins| {
            margins[..n].fill(0);
            parts.iter_mut().for_each(|part| part.add_margins(batch, rows, room, &mut margins[..n]));
        });
        let goes_on = meeting.wait(batch);
        if goes_on {
            meeting.sum(batch, &mut sums[..n]);
        }
        goes_on
    }

    /// Updates what this thread owns.
    fn learn<L: Loss>(&mut self, loss: L, view: &RowView<'_>, rows: &Range<usize>, losses: Option<&mut [i64]>) {
        let n = rows.len() * self.lanes;
        let (margins, gradients) = (&self.sums[..n], &mut self.gradients[..n]);
        let (labels, weights) = view.of(rows);
        run(Gradients { loss, size: view.size, labels, weights, lanes: self.lanes, margins, gradients, losses });
        self.parts.iter_mut().for_each(|part| part.learn(&mut self.room, gradients));
    }
}

/// Gradients of all lanes of some rows, and their losses' sums.
struct Gradients<'g, L> {
    loss: L,
    size: Size,
    labels: &'g [f32],
    weights: &'g [f32],
    lanes: usize,
    margins: &'g [i64],
    gradients: &'g mut [i64],
    losses: Option<&'g mut [i64]>,
}

impl<L: Loss> Kernel for Gradients<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { loss, size, labels, weights, lanes, margins, gradients, mut losses } = self;
        for (row, &y) in labels.iter().enumerate() {
            let c = weights.get(row).copied();
            let lane = row * lanes..(row + 1) * lanes;
            for (g, &m) in gradients[lane.clone()].iter_mut().zip(&margins[lane.clone()]) {
                let slope = loss.derivative(fixed::margin_value(m) as f32, y);
                *g = fixed::gradient(if let Some(c) = c { slope * c } else { slope }, size.slope);
            }
            if let Some(losses) = &mut losses {
                let c = c.unwrap_or(1.0) as f64;
                for (sum, &m) in losses.iter_mut().zip(&margins[lane]) {
                    *sum += fixed::loss(loss.value(fixed::margin_value(m), y) * c, size.value);
                }
            }
        }
    }
}
