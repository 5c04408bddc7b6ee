//! `Chain`: what this server has passed on and waits to hear about, and what may be said once it has.
//!
//! Answers and acknowledgements leave in the order in which they were caused, so a pull never overtakes the
//! acknowledgement of an update it shows (van Renesse & Schneider, OSDI 2004).

use super::Output;
use crate::message::{Millis, Reply};
use crate::peer::{PeerMessage, Say, Update};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What is due once an update has reached the end of its chains.
#[derive(Debug)]
pub(super) enum Done {
    Reply {
        worker: usize,
        reply: Reply,
    },
    Ack {
        to: usize,
        seq: u64,
    },
    /// A piece of a copy has arrived.
    Filled,
}

#[derive(Debug)]
struct Open {
    /// Acknowledgements still missing.
    waits: usize,
    /// Kept so that it can be passed on again in another view.
    update: Option<Arc<Update>>,
    done: Vec<Done>,
}

#[derive(Debug, Default)]
struct Link {
    seq: u64,
    sent_at: Millis,
    /// Number on the link, number in the log, update.
    unacked: VecDeque<(u64, u64, Arc<Update>)>,
}

#[derive(Debug, Default)]
struct Before {
    /// The next update expected from this server.
    seq: u64,
    /// Updates below this one are acknowledged.
    acked: u64,
}

/// Updates under way, in order.
#[derive(Debug, Default)]
pub(super) struct Chain {
    base: u64,
    log: VecDeque<Open>,
    links: BTreeMap<usize, Link>,
    before: BTreeMap<usize, Before>,
}

/// Updates sent again at once.
const RESEND_MAX: usize = 64;

impl Chain {
    pub fn idle(&self) -> bool {
        self.log.is_empty()
    }

    /// Forgets links and promises; returns the updates that may not have reached the end of their chains.
    pub fn reset(&mut self) -> Vec<Arc<Update>> {
        self.base += self.log.len() as u64;
        self.links.clear();
        self.before.clear();
        self.log.drain(..).filter_map(|open| open.update).collect()
    }

    /// Passes an update on to others and keeps what is due after that.
    pub fn launch(
        &mut self,
        epoch: u64,
        now: Millis,
        update: Option<Arc<Update>>,
        shares: Vec<(usize, Arc<Update>)>,
        done: Vec<Done>,
        out: &mut Vec<Output>,
    ) {
        let index = self.base + self.log.len() as u64;
        self.log.push_back(Open { waits: shares.len(), update, done });
        for (to, update) in shares {
            let link = self.links.entry(to).or_default();
            let seq = link.seq;
            link.seq += 1;
            if link.unacked.is_empty() {
                link.sent_at = now;
            }
            link.unacked.push_back((seq, index, Arc::clone(&update)));
            out.push(Output::Peer { to, message: PeerMessage { epoch, say: Say::Update { seq, update } } });
        }
    }

    /// Whether an update from another server is the next one. One that came before is acknowledged again, if it was.
    pub fn expects(&mut self, epoch: u64, from: usize, seq: u64, out: &mut Vec<Output>) -> bool {
        let before = self.before.entry(from).or_default();
        if seq == before.seq {
            before.seq += 1;
            return true;
        }
        if seq < before.acked {
            out.push(ack(epoch, from, before.acked - 1));
        }
        false
    }

    /// Another server has everything up to `seq`.
    pub fn acked(&mut self, from: usize, seq: u64) {
        let Some(link) = self.links.get_mut(&from) else { return };
        while link.unacked.front().is_some_and(|u| u.0 <= seq) {
            if let Some((_, index, _)) = link.unacked.pop_front()
                && let Some(open) = index.checked_sub(self.base).and_then(|i| self.log.get_mut(i as usize))
            {
                open.waits -= 1;
            }
        }
    }

    /// The next thing due, in order.
    pub fn release(&mut self) -> Option<Vec<Done>> {
        if self.log.front()?.waits > 0 {
            return None;
        }
        self.base += 1;
        self.log.pop_front().map(|open| open.done)
    }

    /// Acknowledges an update of another server, and with it all before.
    pub fn acknowledge(&mut self, epoch: u64, to: usize, seq: u64, out: &mut Vec<Output>) {
        if let Some(before) = self.before.get_mut(&to) {
            before.acked = before.acked.max(seq + 1);
            out.push(ack(epoch, to, seq));
        }
    }

    /// Sends again what was not acknowledged for some time.
    pub fn resend(&mut self, epoch: u64, now: Millis, after_ms: u64, out: &mut Vec<Output>) {
        let old = |l: &Link| !l.unacked.is_empty() && now.since(l.sent_at) >= after_ms;
        let links: Vec<usize> = self.links.iter().filter(|(_, l)| old(l)).map(|(&to, _)| to).collect();
        for to in links {
            self.resend_to(epoch, now, to, out);
        }
    }

    /// Sends again what one server has not acknowledged.
    pub fn resend_to(&mut self, epoch: u64, now: Millis, to: usize, out: &mut Vec<Output>) {
        let Some(link) = self.links.get_mut(&to) else { return };
        link.sent_at = now;
        for (seq, _, update) in link.unacked.iter().take(RESEND_MAX) {
            let say = Say::Update { seq: *seq, update: Arc::clone(update) };
            out.push(Output::Peer { to, message: PeerMessage { epoch, say } });
        }
    }
}

fn ack(epoch: u64, to: usize, seq: u64) -> Output {
    Output::Peer { to, message: PeerMessage { epoch, say: Say::Ack { seq } } }
}
