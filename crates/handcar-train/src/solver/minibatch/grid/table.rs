//! The tables of many models, and the threads that go through the batches in step.

use super::super::Settings;
use super::super::local::{batches, shares};
use super::super::part::{Exponents, exponent};
use super::super::rows::RowView;
use super::super::rule::{ByNumbers, Rates};
use super::super::team::Meeting;
use super::gradients::Gradients;
use super::kernels::Clear;
use super::lanes::{LANES, Lanes, Wide};
use super::part::{GridPart, Room};
use super::slots::Slots;
use super::{Choice, Hear, Lot, Tally};
use crate::error::{Result, TrainError};
use crate::loss::Loss;
use crate::penalty::ElasticNet;
use handcar_data::{Dataset, Entries};
use handcar_kernels::run;
use std::ops::Range;

/// The rules of all models, sixteen by sixteen.
#[derive(Clone)]
struct Rules<R> {
    penalised: Vec<Lanes<R>>,
    /// Those of intercepts.
    free: Vec<Lanes<R>>,
}

impl<R> Rules<R> {
    fn new<const W: usize>(settings: &Settings, choices: &[Choice], batches: u64) -> Self
    where
        R: ByNumbers<W>,
    {
        let rule = |choice: &Choice, free: bool| {
            let &Choice { alpha, beta, penalty } = choice;
            let penalty = if free { ElasticNet::NONE } else { penalty };
            R::new(Rates { alpha, beta, penalty, batch_rows: settings.batch_rows as u64, batches, workers: 1 })
        };
        let lanes = |free| {
            // Lanes that nobody asks for do as the last model does.
            let of = |sixteen: &[Choice]| {
                Lanes::new(std::array::from_fn(|lane| rule(&sixteen[lane.min(sixteen.len() - 1)], free)))
            };
            choices.chunks(LANES).map(of).collect()
        };
        Self { penalised: lanes(false), free: lanes(true) }
    }

    fn go_to<const W: usize>(&mut self, batch: u64)
    where
        R: ByNumbers<W>,
    {
        self.penalised.iter_mut().chain(&mut self.free).for_each(|lanes| lanes.go_to(batch));
    }

    fn of(&self, part: &GridPart<'_>) -> &[Lanes<R>] {
        if part.is_intercept() { &self.free } else { &self.penalised }
    }
}

/// The tables of many models, in this process.
pub(super) struct GridTable<'a, R, const W: usize> {
    /// Of each thread its parts and their slots.
    members: Vec<(Vec<GridPart<'a>>, Slots<W>)>,
    rules: Rules<R>,
    keys: usize,
    models: usize,
}

impl<'a, R: ByNumbers<W>, const W: usize> GridTable<'a, R, W> {
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
        let rules = Rules::<R>::new(settings, choices, batches);
        let slope = settings.loss.size(exponent(data.labels())).slope;
        let exponents = |values| Exponents { slope, values, weights: weight_exponent };
        let mut parts: Vec<(f64, GridPart<'a>)> = Vec::new();
        for block in data.blocks().iter().filter(|b| !b.keys.is_empty()) {
            let values = match block.entries {
                Entries::Sparse { values: Some(v), .. } => exponent(v),
                _ => 0,
            };
            for (cost, ids) in shares(block, threads) {
                parts.push((cost, GridPart::new(Some((block, ids)), exponents(values))?));
            }
        }
        if settings.intercept {
            parts.push((0.5 * data.rows() as f64, GridPart::new(None, exponents(0))?));
        }
        // The costliest first, each to the thread with the least so far.
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut members: Vec<(f64, Vec<GridPart<'a>>)> = (0..threads).map(|_| (0.0, Vec::new())).collect();
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
        let with_slots = |(_, mut parts): (f64, Vec<GridPart<'a>>)| {
            let count = parts.iter_mut().fold(0, |first, part| part.place(first));
            let mut slots = Slots::new(rules.penalised.len(), count);
            parts.iter().for_each(|part| part.start(rules.of(part), &mut slots, start));
            (parts, slots)
        };
        let members = members.into_iter().map(with_slots).collect();
        Ok(Self { members, rules, keys: data.keys().len(), models: choices.len() })
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
        let (models, members, rules) = (self.models, self.members.len(), &self.rules);
        let lanes = rules.penalised.len();
        let meeting = Meeting::new(members, batch_rows * lanes);
        let mut stopped = false;
        std::thread::scope(|scope| {
            let here = meeting.present();
            let (first, others) = self.members.split_at_mut(1);
            for (i, parts) in others.iter_mut().enumerate() {
                let meeting = &meeting;
                let work = move || {
                    let _here = meeting.present();
                    let mut member = Member::new(i + 1, parts, rules.clone(), meeting, batch_rows);
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
            let mut lead = Member::new(0, &mut first[0], rules.clone(), &meeting, batch_rows);
            let mut losses = vec![0i64; lanes * LANES];
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

    /// What is told of the weights of all models as batch `batch` finds them.
    pub fn tallies(&mut self, batch: u64) -> Vec<Tally> {
        let mut tallies = vec![Tally { nonzeros: 0, finite: true }; self.models];
        self.rules.go_to(batch);
        for (parts, slots) in &self.members {
            parts.iter().for_each(|part| part.tally(self.rules.of(part), slots, &mut tallies));
        }
        tallies
    }

    /// The weights of one model as batch `batch` finds them, and the intercept.
    pub fn weights(&mut self, batch: u64, model: usize) -> (Vec<f32>, f32) {
        let (mut all, mut intercept) = (vec![0.0; self.keys], 0.0);
        self.rules.go_to(batch);
        for (part, slots) in self.members.iter().flat_map(|(parts, slots)| parts.iter().map(move |p| (p, slots))) {
            let (keys, weights) = (part.keys.clone(), part.weights(self.rules.of(part), slots, model));
            match part.is_intercept() {
                true => weights.for_each(|w| intercept = w),
                false => all[keys].iter_mut().zip(weights).for_each(|(to, w)| *to = w),
            }
        }
        (all, intercept)
    }
}

/// A thread and what it owns.
struct Member<'m, 'a, R, const W: usize> {
    number: usize,
    parts: &'m mut [GridPart<'a>],
    slots: &'m mut Slots<W>,
    rules: Rules<R>,
    meeting: &'m Meeting<Wide<i64>>,
    room: Room,
    /// Of each row of the batch, sixteen models after sixteen models.
    sums: Vec<Wide<i64>>,
    gradients: Vec<Wide<i64>>,
}

impl<'m, 'a, R: ByNumbers<W>, const W: usize> Member<'m, 'a, R, W> {
    fn new(
        number: usize,
        (parts, slots): &'m mut (Vec<GridPart<'a>>, Slots<W>),
        rules: Rules<R>,
        meeting: &'m Meeting<Wide<i64>>,
        batch_rows: usize,
    ) -> Self {
        let [sums, gradients] = [(); 2].map(|()| vec![Wide::default(); batch_rows * rules.penalised.len()]);
        Self { number, parts, slots, rules, meeting, room: Room::default(), sums, gradients }
    }

    /// Brings about the margins of a batch, together with the others; whether the pass goes on.
    fn margins(&mut self, batch: u64, rows: &Range<usize>) -> bool {
        let Self { number, parts, slots, rules, meeting, room, sums, .. } = self;
        let n = rows.len() * rules.penalised.len();
        rules.go_to(batch);
        meeting.write(*number, batch, |margins| {
            let margins = &mut margins[..n];
            run(Clear(&mut *margins));
            if let Some(first) = parts.first_mut() {
                first.meet(slots, rows);
            }
            for i in 0..parts.len() {
                parts[i].weigh(rules.of(&parts[i]), slots, room);
                // The next part's states are on their way while this one's weights are added.
                if let Some(next) = parts.get_mut(i + 1) {
                    next.meet(slots, rows);
                }
                parts[i].add_margins(room, rows.len(), margins);
            }
        });
        let goes_on = meeting.wait(batch);
        if goes_on {
            meeting.sum(batch, &mut sums[..n]);
        }
        goes_on
    }

    /// Updates what this thread owns, last met first: that is still near.
    fn learn<L: Loss>(&mut self, loss: L, view: &RowView<'_>, rows: &Range<usize>, mut losses: Option<&mut [i64]>) {
        let Self { parts, slots, rules, room, sums, gradients, .. } = self;
        let (n, (labels, weights)) = (rows.len(), view.of(rows));
        let gradients = &mut gradients[..n * rules.penalised.len()];
        for (i, (margins, gradients)) in sums.chunks_exact(n).zip(gradients.chunks_exact_mut(n)).enumerate() {
            let losses = losses.as_mut().and_then(|l| l[i * LANES..].first_chunk_mut());
            run(Gradients { loss, size: view.size, labels, weights, margins, gradients, losses });
        }
        for part in parts.iter_mut().rev() {
            part.learn(rules.of(part), slots, room, n, gradients);
        }
    }
}
