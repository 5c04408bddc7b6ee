//! The scheduler: what it wants done, what it stores, and how it comes back.

use super::{Event, SCHEDULER, SUSPECT_MS, World, check};
use crate::coordinator::Log;
use crate::driver::sim::network::{NodeId, Packet};
use crate::driver::sim::node::{Kind, Life};
use crate::engine::scheduler::{self, SchedulerEngine, State};
use crate::engine::view::View;
use std::sync::Arc;

impl World {
    pub(super) fn scheduler_step(&mut self, input: scheduler::Input) {
        let now = self.millis();
        let Kind::Scheduler(Some(engine)) = &mut self.nodes[SCHEDULER].kind else { return };
        let mut out = Vec::new();
        engine.step(now, input, &mut out);
        let mut later_us = 0;
        for output in out {
            match output {
                scheduler::Output::Store(state) => match self.store(&state) {
                    Some(us) => later_us += us,
                    None => return,
                },
                scheduler::Output::Send { conn, message } => {
                    self.send_later(SCHEDULER, conn as NodeId, Packet::Control(message), later_us);
                }
                scheduler::Output::Close { conn } => {
                    let at = self.now + 500 + later_us;
                    self.at(at, Event::Closed { node: conn as NodeId });
                }
                scheduler::Output::End(result) => {
                    self.tell(|_| format!("the scheduler ends the job: {result:?}"));
                    if let Err(error) = result {
                        self.violate(format!("the job ended: {error}"));
                    }
                    // Its last word reaches everybody: a connection closes only when it was read.
                    self.healing = true;
                    self.network.heal();
                }
            }
        }
        if later_us > 0 {
            self.pause(SCHEDULER, later_us);
        }
    }

    /// Writes a state; `None` if the scheduler dies meanwhile, else how long it takes.
    fn store(&mut self, state: &State) -> Option<u64> {
        self.disk.append(&Log::record(&state.to_bytes()));
        if self.trips("on ", "store", SCHEDULER) {
            return None;
        }
        self.disk.sync();
        let view = Arc::clone(&state.view);
        self.announced(&view);
        self.tell(|_| {
            let (open, frozen) = (view.unfilled(), view.frozen);
            let servers: Vec<_> = view.servers.keys().collect();
            format!("the scheduler stores view {}: servers {servers:?}, filling: {open}, frozen: {frozen}", view.epoch)
        });
        if self.trips("after ", "store", SCHEDULER) {
            return None;
        }
        let slow = !self.healing && self.rng.below(10) == 0;
        if slow {
            self.fault("slow disk");
        }
        Some(if slow { 1_000 + self.rng.below(400_000) } else { 0 })
    }

    /// A view is safe and may be announced: there must be one of each epoch.
    fn announced(&mut self, view: &Arc<View>) {
        if !self.views.contains_key(&view.epoch) {
            if let Err(what) = check::sound(view) {
                self.violate(what);
            }
            if view.unfilled() {
                self.disturb();
            }
            if view.frozen {
                self.stall_move();
            }
        }
        let known = self.views.entry(view.epoch).or_insert_with(|| Arc::clone(view));
        if known != view {
            let epoch = view.epoch;
            self.violate(format!("two views of epoch {epoch}"));
        }
    }

    pub(super) fn restart_scheduler(&mut self) {
        if self.nodes[SCHEDULER].state != Life::Dead {
            return;
        }
        let servers = 1;
        let params = self.scheduler_params(servers);
        let found = Log::recover(self.disk.read()).map(|f| (f.last.map(<[u8]>::to_vec), f.whole_bytes));
        let engine = match found {
            Err(how) => return self.violate(format!("the scheduler's log: {how}")),
            Ok((last, whole)) => {
                self.disk.cut(whole);
                match last.map(|bytes| State::from_bytes(&bytes)) {
                    None => return self.violate("the scheduler's log has lost the job".into()),
                    Some(Err(how)) => return self.violate(format!("the scheduler's state: expected {how}")),
                    Some(Ok(state)) => SchedulerEngine::resume(params, state, 3 * SUSPECT_MS),
                }
            }
        };
        if let Some(view) = engine.view().cloned() {
            let latest = self.views.keys().last().copied().unwrap_or(0);
            if view.epoch < latest {
                let epoch = view.epoch;
                self.violate(format!("the scheduler is back in view {epoch}, and had announced view {latest}"));
            }
            self.announced(&view);
        }
        self.tell(|_| format!("the scheduler is back in view {}", engine.view().map_or(0, |v| v.epoch)));
        self.nodes[SCHEDULER].kind = Kind::Scheduler(Some(engine));
        self.nodes[SCHEDULER].state = Life::Up;
        self.at(self.now + 1_000, Event::Timer { node: SCHEDULER });
        for node in 1..self.nodes.len() {
            let at = self.now + 1_000 + self.rng.below(100_000);
            self.at(at, Event::Closed { node });
        }
    }
}
