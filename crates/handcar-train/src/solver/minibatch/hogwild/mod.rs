//! Hogwild (Niu et al., NIPS 2011): threads take rows and update what they share, row by row and without locks.
//!
//! A row is predicted, measured and learned from before the next, so a key's line is looked up once a row, and its state is
//! updated where it was read. On one thread that is plain online learning, and gives equal bits each time. More threads race:
//! two that update a key at once may lose one of the updates, and no run has the bits of another. Keys that most rows have
//! (fields of at most 254 values, the intercept) would stall on each other's lines, so each thread has a copy of them, and adds its
//! changes to those of the others every [`JOIN_ROWS`](hot::JOIN_ROWS) rows.

mod fields;
mod hot;
mod rows;
mod shared;

use super::local::batches;
use super::rows::RowView;
use super::rule::{Rates, Rule};
use super::{Hear, Seen, Settings, fixed};
use crate::error::{Result, TrainError};
use crate::loss::Loss;
use crate::penalty::ElasticNet;
use fields::{Fields, Placed};
use handcar_data::Dataset;
use handcar_kernels::run;
use hot::Copied;
use rows::{Learn, Room};
use shared::Shared;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A table that threads race on.
pub(super) struct HogwildTable<'a, R: Rule> {
    fields: Fields<'a>,
    shared: Shared<R::State>,
    /// Hot keys as all threads have them; last the intercept.
    hot: Mutex<Vec<R::State>>,
    rule: R,
    /// For the intercept.
    free: R,
    intercept: bool,
    threads: usize,
    weight_scale: f32,
    keys: usize,
    /// Rows learned from.
    done: u64,
}

/// Rows that a thread has learned from, to be told to who listens.
struct Learned {
    rows: Range<usize>,
    margins: Vec<i64>,
    losses: Vec<i64>,
}

/// What the threads of a pass share.
struct Race<'r, L> {
    loss: L,
    view: RowView<'r>,
    batch_rows: usize,
    /// Rows of earlier passes.
    before: u64,
    next: AtomicUsize,
    stopped: AtomicBool,
    learned: Mutex<Vec<Learned>>,
}

impl<'a, R: Rule> HogwildTable<'a, R> {
    /// `start`: the weight of a key of the data, and the intercept's.
    ///
    /// # Errors
    /// [`TrainError::Data`] if the data is damaged or has too many keys.
    pub fn new(
        data: &'a Dataset,
        settings: &Settings,
        rates: Rates,
        weight_exponent: i32,
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Self> {
        // A batch has one row.
        let rates = Rates { batch_rows: 1, batches: data.rows() as u64, ..rates };
        let (rule, free) = (R::new(rates), R::new(Rates { penalty: ElasticNet::NONE, ..rates }));
        let fields = Fields::new(data)?;
        let mut hot = Vec::with_capacity(fields.hot_places + 1);
        let mut shared = Shared::new(fields.shared_places);
        for Placed { keys, hot: is_hot, .. } in &fields.placed {
            let states = std::iter::once(R::State::default()).chain(keys.clone().map(|k| rule.start(start.0(k))));
            match is_hot {
                true => hot.extend(states),
                false => states.for_each(|state| shared.push(&state)),
            }
        }
        hot.push(free.start(start.1));
        Ok(Self {
            fields,
            shared,
            hot: Mutex::new(hot),
            rule,
            free,
            intercept: settings.intercept,
            threads: settings.threads.max(1),
            weight_scale: 2f32.powi(weight_exponent),
            keys: data.keys().len(),
            done: 0,
        })
    }

    /// Learns from all rows; threads take `batch_rows` of them at a time. `hear` is told of each lot, by one thread and in no
    /// certain order, and may end the pass; whether it did.
    ///
    /// # Errors
    /// [`TrainError::Option`] if the system has no threads to give.
    pub fn pass<L: Loss>(
        &mut self,
        loss: L,
        view: &RowView<'_>,
        batch_rows: usize,
        hear: &mut Hear<'_>,
    ) -> Result<bool> {
        let (next, learned) = (AtomicUsize::new(0), Mutex::default());
        let stopped = AtomicBool::new(false);
        let race = Race { loss, view: *view, batch_rows, before: self.done, next, stopped, learned };
        let this = &*self;
        std::thread::scope(|scope| {
            for _ in 1..this.threads {
                let race = &race;
                if let Err(e) = std::thread::Builder::new().spawn_scoped(scope, move || this.work(race, None)) {
                    race.stopped.store(true, Relaxed);
                    let (expected, got) = ("that the system grants", format!("{} ({e})", this.threads));
                    return Err(TrainError::Option { what: "threads", expected, got });
                }
            }
            this.work(&race, Some(&mut *hear));
            Ok(())
        })?;
        let mut stopped = race.stopped.load(Relaxed);
        for lot in race.learned.into_inner().unwrap_or_else(PoisonError::into_inner) {
            stopped |= hear(&lot.seen());
        }
        self.done += view.labels.len() as u64;
        Ok(stopped)
    }

    /// What a thread does: takes rows until there are none. `hear`: of the thread that tells.
    fn work<L: Loss>(&self, race: &Race<'_, L>, mut hear: Option<&mut Hear<'_>>) {
        let mut hot = Copied::of(&self.hot);
        let (mut rule, mut free) = (self.rule.clone(), self.free.clone());
        let mut room = Room::new(&self.fields);
        let total = race.view.labels.len();
        let mut margins = vec![0f32; race.batch_rows];
        while !race.stopped.load(Relaxed) {
            let batch = race.next.fetch_add(1, Relaxed);
            let Some((_, rows)) = batches(total, race.batch_rows, 0).nth(batch) else { break };
            let margins = &mut margins[..rows.len()];
            run(Learn {
                loss: race.loss,
                view: &race.view,
                weight_scale: self.weight_scale,
                fields: &self.fields,
                rule: &mut rule,
                free: self.intercept.then_some(&mut free),
                shared: &self.shared,
                hot: &mut hot.mine,
                room: &mut room,
                rows: rows.clone(),
                first: race.before + rows.start as u64,
                margins,
            });
            if self.threads > 1 {
                hot.count::<R>(rows.len(), &self.hot);
            }
            let lot = Learned::new(race, rows, margins);
            match &mut hear {
                None => race.learned.lock().unwrap_or_else(PoisonError::into_inner).push(lot),
                Some(hear) => {
                    let others = std::mem::take(&mut *race.learned.lock().unwrap_or_else(PoisonError::into_inner));
                    for lot in others.iter().chain([&lot]) {
                        if hear(&lot.seen()) {
                            race.stopped.store(true, Relaxed);
                        }
                    }
                }
            }
        }
        hot.join::<R>(&self.hot);
    }

    /// The weights of all keys of the data as they are, and the intercept.
    pub fn weights(&mut self) -> (Vec<f32>, f32) {
        self.rule.go_to(self.done);
        self.free.go_to(self.done);
        let mut all = vec![0.0; self.keys];
        let hot = self.hot.get_mut().unwrap_or_else(PoisonError::into_inner);
        for Placed { keys, first, hot: is_hot } in &self.fields.placed {
            for (weight, place) in all[keys.clone()].iter_mut().zip(*first..) {
                let state = if *is_hot { hot[place as usize] } else { shared::from_words(self.shared.load(place)) };
                *weight = self.rule.weight(&state);
            }
        }
        let intercept = if self.intercept { hot.last().map_or(0.0, |state| self.free.weight(state)) } else { 0.0 };
        (all, intercept)
    }
}

impl Learned {
    fn new<L: Loss>(race: &Race<'_, L>, rows: Range<usize>, margins: &[f32]) -> Self {
        let margins: Vec<i64> = margins.iter().map(|&m| fixed::margin(m)).collect();
        let mut losses = vec![0; margins.len()];
        race.view.losses(race.loss, &rows, &margins, &mut losses);
        Self { rows, margins, losses }
    }

    fn seen(&self) -> Seen<'_> {
        Seen { rows: self.rows.clone(), margins: &self.margins, losses: &self.losses, weights: None }
    }
}
