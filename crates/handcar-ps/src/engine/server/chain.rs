//! `Chain`: what this server has passed on and waits to hear about, and what may be said once it has.
//!
//! Answers to workers leave in the order in which they were caused, so a pull never overtakes the acknowledgement of an
//! update it shows (van Renesse & Schneider, OSDI 2004). Acknowledgements to other servers wait for nothing but their
//! own update: servers that follow each other would otherwise wait for each other.

use super::Output;
use crate::message::{Millis, Reply};
use crate::peer::{PeerMessage, Say, Update};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// Since when something is to be acknowledged and nothing was.
    quiet_since: Millis,
    /// Where the next resending goes on behind the oldest.
    turn: usize,
    /// Number on the link, number in the log, update.
    unacked: VecDeque<(u64, u64, Arc<Update>)>,
}

#[derive(Debug, Default)]
struct Before {
    /// The next update expected from this server.
    seq: u64,
    /// Later ones that overtook it.
    ahead: BTreeMap<u64, Arc<Update>>,
    /// Earlier ones that are still on their way to their end.
    open: BTreeSet<u64>,
}

/// Updates under way, in order.
#[derive(Debug, Default)]
pub(super) struct Chain {
    base: u64,
    log: VecDeque<Open>,
    links: BTreeMap<usize, Link>,
    before: BTreeMap<usize, Before>,
}

/// Updates kept that came before their turn.
const AHEAD_MAX: u64 = 256;
/// Updates sent again at once.
const RESEND_MAX: usize = 64;

impl Chain {
    pub fn idle(&self) -> bool {
        self.log.is_empty()
    }

    /// Updates passed on and not acknowledged.
    pub fn open(&self) -> usize {
        self.log.len()
    }

    /// Updates that came before their turn.
    pub fn ahead(&self) -> usize {
        self.before.values().map(|b| b.ahead.len()).sum()
    }

    /// Forgets links and promises; returns the updates that may not have reached the end of their chains.
    pub fn reset(&mut self) -> Vec<Arc<Update>> {
        self.base += self.log.len() as u64;
        self.links.clear();
        self.before.clear();
        self.log.drain(..).filter_map(|open| open.update).collect()
    }

    /// Passes an update on to others and keeps what is due after that; returns what is due at once.
    pub fn launch(
        &mut self,
        epoch: u64,
        now: Millis,
        update: Option<Arc<Update>>,
        shares: Vec<(usize, Arc<Update>)>,
        mut done: Vec<Done>,
        out: &mut Vec<Output>,
    ) -> Vec<Done> {
        let index = self.base + self.log.len() as u64;
        let due = if shares.is_empty() {
            done.extract_if(.., |d| !matches!(d, Done::Reply { .. })).collect()
        } else {
            Vec::new()
        };
        self.log.push_back(Open { waits: shares.len(), update, done });
        for (to, update) in shares {
            let link = self.links.entry(to).or_default();
            let seq = link.seq;
            link.seq += 1;
            if link.unacked.is_empty() {
                (link.sent_at, link.quiet_since) = (now, now);
            }
            link.unacked.push_back((seq, index, Arc::clone(&update)));
            out.push(Output::Peer { to, message: PeerMessage { epoch, say: Say::Update { seq, update } } });
        }
        due
    }

    /// Takes an update from another server; returns those whose turn has come. One that came before is acknowledged
    /// again, if it was.
    pub fn arrive(
        &mut self,
        epoch: u64,
        from: usize,
        seq: u64,
        update: Arc<Update>,
        out: &mut Vec<Output>,
    ) -> Vec<(u64, Arc<Update>)> {
        let before = self.before.entry(from).or_default();
        if seq < before.seq && !before.open.contains(&seq) {
            out.push(ack(epoch, from, seq));
        }
        if seq < before.seq || seq >= before.seq + AHEAD_MAX {
            return Vec::new();
        }
        before.ahead.insert(seq, update);
        let mut ready = Vec::new();
        while let Some(update) = before.ahead.remove(&before.seq) {
            before.open.insert(before.seq);
            ready.push((before.seq, update));
            before.seq += 1;
        }
        ready
    }

    /// Another server has seen the update `seq` to its end; returns what that makes due at once.
    pub fn acked(&mut self, now: Millis, from: usize, seq: u64) -> Vec<Done> {
        let Some(link) = self.links.get_mut(&from) else { return Vec::new() };
        link.quiet_since = now;
        let Ok(at) = link.unacked.binary_search_by_key(&seq, |u| u.0) else { return Vec::new() };
        let Some((_, index, _)) = link.unacked.remove(at) else { return Vec::new() };
        let open = index.checked_sub(self.base).and_then(|i| self.log.get_mut(i as usize));
        let Some(open) = open else { return Vec::new() };
        open.waits -= 1;
        if open.waits > 0 {
            return Vec::new();
        }
        open.done.extract_if(.., |d| !matches!(d, Done::Reply { .. })).collect()
    }

    /// The next answers due, in order, and the update they waited for.
    pub fn release(&mut self) -> Option<(Vec<Done>, Option<Arc<Update>>)> {
        if self.log.front()?.waits > 0 {
            return None;
        }
        self.base += 1;
        self.log.pop_front().map(|open| (open.done, open.update))
    }

    /// An update of another server has reached its end. Each is acknowledged by itself: one link carries updates of
    /// several chains, and chains may run in a circle.
    pub fn acknowledge(&mut self, epoch: u64, to: usize, seq: u64, out: &mut Vec<Output>) {
        if let Some(before) = self.before.get_mut(&to) {
            before.open.remove(&seq);
        }
        out.push(ack(epoch, to, seq));
    }

    /// A server that has something to acknowledge and was quiet for so long. It counts anew from now.
    pub fn silent(&mut self, now: Millis, after_ms: u64) -> Option<usize> {
        let silent = |l: &Link| !l.unacked.is_empty() && now.since(l.quiet_since) >= after_ms;
        let (&to, link) = self.links.iter_mut().find(|(_, l)| silent(l))?;
        link.quiet_since = now;
        Some(to)
    }

    /// This process did not run for some time: what came meanwhile is still to be read.
    pub fn forgive(&mut self, gap_ms: u64) {
        self.links.values_mut().for_each(|l| l.quiet_since = l.quiet_since.plus(gap_ms));
    }

    /// Sends again what was not acknowledged for some time.
    pub fn resend(&mut self, epoch: u64, now: Millis, after_ms: u64, out: &mut Vec<Output>) {
        let old = |l: &Link| !l.unacked.is_empty() && now.since(l.sent_at) >= after_ms;
        let links: Vec<usize> = self.links.iter().filter(|(_, l)| old(l)).map(|(&to, _)| to).collect();
        for to in links {
            self.resend_to(epoch, now, to, RESEND_MAX, out);
        }
    }

    /// Sends again what one server has not acknowledged: of much the oldest, and some of the rest in turn. The oldest may all
    /// have arrived and wait for updates of other links that wait for a later one of this.
    pub fn resend_to(&mut self, epoch: u64, now: Millis, to: usize, limit: usize, out: &mut Vec<Output>) {
        let Some(link) = self.links.get_mut(&to) else { return };
        link.sent_at = now;
        let all = link.unacked.len();
        let oldest = if all > limit { limit / 2 } else { all };
        let begin = if link.turn < all { link.turn.max(oldest) } else { oldest };
        let end = begin.saturating_add(limit - oldest).min(all);
        link.turn = end;
        for at in (0..oldest).chain(begin..end) {
            let Some((seq, _, update)) = link.unacked.get(at) else { continue };
            let say = Say::Update { seq: *seq, update: Arc::clone(update) };
            out.push(Output::Peer { to, message: PeerMessage { epoch, say } });
        }
    }
}

fn ack(epoch: u64, to: usize, seq: u64) -> Output {
    Output::Peer { to, message: PeerMessage { epoch, say: Say::Ack { seq } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Change;
    use handcar_base::RangeSet;

    #[test]
    fn a_server_that_acknowledges_nothing_is_accused_and_a_slow_one_is_not() {
        let mut chain = Chain::default();
        let update = Arc::new(Update { within: Arc::new(RangeSet::all()), answered: vec![], change: Change::Nothing });
        let pass = |chain: &mut Chain, now| {
            let shares = vec![(7, Arc::clone(&update))];
            chain.launch(1, Millis(now), None, shares, Vec::new(), &mut Vec::new())
        };
        assert_eq!(chain.silent(Millis(90_000), 10_000), None, "nothing was asked");
        pass(&mut chain, 100_000);
        pass(&mut chain, 109_000);
        assert_eq!(chain.silent(Millis(109_999), 10_000), None);
        chain.acked(Millis(109_999), 7, 0);
        assert_eq!(chain.silent(Millis(119_000), 10_000), None, "it works, slowly");
        assert_eq!(chain.silent(Millis(119_999), 10_000), Some(7));
        assert_eq!(chain.silent(Millis(120_000), 10_000), None, "once is enough for some time");
        chain.forgive(60_000);
        assert_eq!(chain.silent(Millis(180_000), 10_000), None, "this process slept, not the other");
        chain.acked(Millis(180_000), 7, 1);
        assert_eq!(chain.silent(Millis(999_000), 10_000), None, "all is acknowledged");
    }
}
