//! `View`: who keeps which positions, from one epoch on.

use super::ring::Ring;
use handcar_base::{KeyRange, RangeSet};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A run of positions with the servers that keep them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First position; the segment ends where the next one begins.
    pub begin: u64,
    /// Servers in the order of the chain: updates enter at the first, are acknowledged once the last has them.
    pub chain: Vec<usize>,
    /// The first `full` of them hold everything; those behind are still being filled and no candidates for the head.
    pub full: usize,
}

/// One state of the cluster. The scheduler makes views, numbers them by epoch and stores each before it tells anybody.
/// Messages carry their sender's epoch, and nobody acts on one of another epoch: that fences old heads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Number of the view.
    pub epoch: u64,
    /// Servers that take part, by number, and where they are reached.
    pub servers: BTreeMap<usize, String>,
    /// Workers that take part, if these may change; else those the job began with.
    pub workers: Option<BTreeSet<usize>>,
    /// All positions, in order; the first segment begins at 0. Neighbours differ.
    pub segments: Vec<Segment>,
    /// Heads take no requests: what is under way drains before a segment gets a new head that was not in its chain.
    pub frozen: bool,
}

/// Joins neighbours that are kept alike.
fn joined(segments: impl IntoIterator<Item = Segment>) -> Vec<Segment> {
    let mut all: Vec<Segment> = Vec::new();
    for s in segments {
        if all.last().is_none_or(|l| (&l.chain, l.full) != (&s.chain, s.full)) {
            all.push(s);
        }
    }
    all
}

impl View {
    /// The first view of a job: every segment where the ring puts it.
    pub fn first(servers: BTreeMap<usize, String>, copies: usize) -> Self {
        let ids: Vec<usize> = servers.keys().copied().collect();
        let segment = |(begin, chain): (u64, Vec<usize>)| Segment { begin, full: chain.len(), chain };
        let segments = joined(Ring::new(&ids).arcs(copies).map(segment));
        Self { epoch: 1, servers, workers: None, segments, frozen: false }
    }

    /// The next view if only the workers change.
    #[must_use]
    pub fn staffed(&self, workers: BTreeSet<usize>) -> Self {
        Self { epoch: self.epoch + 1, workers: Some(workers), ..self.clone() }
    }

    /// The servers that hold a position; those that are being filled come last.
    pub fn chain(&self, position: u64) -> &[usize] {
        let at = self.segments.partition_point(|s| s.begin <= position);
        self.segments[..at].last().map_or(&[], |s| &s.chain)
    }

    /// The segments with their positions.
    pub fn ranges(&self) -> impl Iterator<Item = (KeyRange, &Segment)> {
        let ends = self.segments.iter().skip(1).map(|s| s.begin as u128).chain([KeyRange::all().end()]);
        self.segments.iter().zip(ends).map(|(s, end)| (KeyRange::new(s.begin, end), s))
    }

    /// The positions whose segment has a property.
    pub fn positions(&self, of: impl Fn(&Segment) -> bool) -> RangeSet {
        self.ranges().filter(|(_, s)| of(s)).map(|(range, _)| range).collect()
    }

    /// The positions a server heads.
    pub fn headed_by(&self, server: usize) -> RangeSet {
        self.positions(|s| s.chain.first() == Some(&server))
    }

    /// The positions of which a server holds a copy (or a part of one, while it is filled).
    pub fn kept_by(&self, server: usize) -> RangeSet {
        self.positions(|s| s.chain.contains(&server))
    }

    /// To whom a server passes updates on, and for which positions.
    pub fn next_of(&self, server: usize) -> BTreeMap<usize, RangeSet> {
        let mut next: BTreeMap<usize, Vec<KeyRange>> = BTreeMap::new();
        for (range, s) in self.ranges() {
            if let Some(at) = s.chain.iter().position(|&m| m == server)
                && let Some(&to) = s.chain.get(at + 1)
            {
                next.entry(to).or_default().push(range);
            }
        }
        next.into_iter().map(|(to, ranges)| (to, ranges.into_iter().collect())).collect()
    }

    /// The positions that a server, the last full one of their chain, must copy to those behind it.
    pub fn filled_by(&self, server: usize) -> RangeSet {
        self.positions(|s| s.full < s.chain.len() && s.chain.get(s.full.wrapping_sub(1)) == Some(&server))
    }

    /// The positions of which a server is being filled.
    pub fn filling(&self, server: usize) -> RangeSet {
        self.positions(|s| s.chain[s.full..].contains(&server))
    }

    /// Whether some copy is still being filled.
    pub fn unfilled(&self) -> bool {
        self.segments.iter().any(|s| s.full < s.chain.len())
    }
}

/// From the present view towards the ring of the servers wanted.
impl View {
    /// The next view: servers not in `alive` are out, and copies that the ring of `wanted` asks for begin to be filled.
    /// `None` if some positions have lost all full copies.
    pub fn repaired(&self, alive: &BTreeMap<usize, String>, wanted: &[usize], copies: usize) -> Option<Self> {
        let goal: Vec<_> = Ring::new(wanted).arcs(copies).collect();
        let mut segments = Vec::new();
        for (begin, now, target) in self.overlay(&goal) {
            let mut chain: Vec<usize> =
                now.chain[..now.full].iter().copied().filter(|s| alive.contains_key(s)).collect();
            let full = chain.len();
            if full == 0 {
                return None;
            }
            let missing: Vec<usize> = target.iter().copied().filter(|s| !chain.contains(s)).collect();
            chain.extend(missing);
            segments.push(Segment { begin, chain, full });
        }
        let epoch = self.epoch + 1;
        let (workers, segments) = (self.workers.clone(), joined(segments));
        let next = Self { epoch, servers: alive.clone(), workers, segments, frozen: false };
        Some(next.settled(wanted, copies))
    }

    /// The next view once every copy is filled.
    #[must_use]
    pub fn filled(&self, wanted: &[usize], copies: usize) -> Self {
        let full = |s: &Segment| Segment { full: s.chain.len(), ..s.clone() };
        let segments = joined(self.segments.iter().map(full));
        Self { epoch: self.epoch + 1, segments, ..self.clone() }.settled(wanted, copies)
    }

    /// The next view after a frozen one has drained.
    #[must_use]
    pub fn thawed(&self, wanted: &[usize], copies: usize) -> Self {
        let epoch = self.epoch + 1;
        Self { epoch, frozen: false, ..self.clone() }.placed(wanted, copies)
    }

    /// If nothing is left to fill: the chains of the ring, after a frozen view where a new head would come in.
    fn settled(self, wanted: &[usize], copies: usize) -> Self {
        if self.unfilled() {
            return self;
        }
        let placed = self.clone().placed(wanted, copies);
        // A head may go, and its follower, which holds all it acknowledged, becomes the head at once. But one that
        // comes in before the present head must first have seen everything that head has begun.
        let overtakes = |(now, then): (&Segment, &Segment)| {
            let place = |server: &usize| now.chain.iter().position(|m| m == server);
            let order: Vec<_> = then.chain.iter().filter_map(place).collect();
            order.windows(2).any(|w| w[0] > w[1]) || now.chain.first() != then.chain.first()
        };
        let goal: Vec<_> = placed.segments.iter().map(|s| (s.begin, s.chain.clone())).collect();
        let pairs = self.overlay(&goal);
        let any = pairs.iter().any(|(begin, now, chain)| {
            let then = Segment { begin: *begin, chain: chain.to_vec(), full: chain.len() };
            overtakes((now, &then))
        });
        if any { Self { frozen: true, ..self } } else { placed }
    }

    /// Every segment as the ring wants it; all its servers hold it already.
    fn placed(self, wanted: &[usize], copies: usize) -> Self {
        let goal: Vec<_> = Ring::new(wanted).arcs(copies).collect();
        let place =
            |(begin, _, chain): (u64, &Segment, &[usize])| Segment { begin, chain: chain.to_vec(), full: chain.len() };
        let segments = joined(self.overlay(&goal).into_iter().map(place));
        let wants = |id: &usize| wanted.contains(id);
        let servers = self.servers.iter().filter(|(id, _)| wants(id)).map(|(&id, a)| (id, a.clone())).collect();
        Self { segments, servers, ..self }
    }

    /// The common refinement of the segments and a goal: `(begin, segment now, chain wanted)`.
    fn overlay<'a>(&'a self, goal: &'a [(u64, Vec<usize>)]) -> Vec<(u64, &'a Segment, &'a [usize])> {
        let mut begins: Vec<u64> = self.segments.iter().map(|s| s.begin).chain(goal.iter().map(|g| g.0)).collect();
        begins.sort_unstable();
        begins.dedup();
        let (mut i, mut j) = (0, 0);
        let mut all = Vec::with_capacity(begins.len());
        for begin in begins {
            while self.segments.get(i + 1).is_some_and(|s| s.begin <= begin) {
                i += 1;
            }
            while goal.get(j + 1).is_some_and(|g| g.0 <= begin) {
                j += 1;
            }
            if let (Some(now), Some(then)) = (self.segments.get(i), goal.get(j)) {
                all.push((begin, now, &then.1[..]));
            }
        }
        all
    }
}

/// From positions to a server or none, quickly: a table of 4096 equal parts leads near the segment.
#[derive(Clone, Debug)]
pub struct Route {
    near: Vec<u32>,
    begins: Vec<u64>,
    dest: Vec<Option<usize>>,
}

const NEAR_BITS: u32 = 12;

impl Route {
    /// The way `dest` sends each segment of a view.
    pub fn new(view: &View, dest: impl Fn(&Segment) -> Option<usize>) -> Self {
        let mut begins: Vec<u64> = Vec::new();
        let mut dests: Vec<Option<usize>> = Vec::new();
        for s in &view.segments {
            let d = dest(s);
            if dests.last() != Some(&d) {
                begins.push(s.begin);
                dests.push(d);
            }
        }
        let at = |part: u64| begins.partition_point(|&b| b <= part << (64 - NEAR_BITS)) as u32 - 1;
        Self { near: (0..1 << NEAR_BITS).map(at).collect(), begins, dest: dests }
    }

    /// Where a position goes.
    #[inline]
    pub fn of(&self, position: u64) -> Option<usize> {
        let mut at = self.near[(position >> (64 - NEAR_BITS)) as usize] as usize;
        while self.begins.get(at + 1).is_some_and(|&b| b <= position) {
            at += 1;
        }
        self.dest[at]
    }

    /// The destination, if there is just one.
    pub fn only(&self) -> Option<usize> {
        match self.dest[..] {
            [one] => one,
            _ => None,
        }
    }

    /// All destinations, ascending.
    pub fn all(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.dest.iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Ranks `0..n` without addresses, for drivers that need none.
pub fn unplaced(servers: Range<usize>) -> BTreeMap<usize, String> {
    servers.map(|id| (id, String::new())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chains(view: &View, positions: &[u64]) -> Vec<Vec<usize>> {
        positions.iter().map(|&p| view.chain(p).to_vec()).collect()
    }

    fn ids(view: &View) -> Vec<usize> {
        view.servers.keys().copied().collect()
    }

    proptest! {
        /// Any series of losses and joins ends where the ring of the servers alive puts everything, and no step gives
        /// a segment a head that has not all of it.
        #[test]
        fn every_way_leads_to_the_ring(copies in 1usize..4, steps in prop::collection::vec((any::<bool>(), 0usize..8), 1..8)) {
            let mut view = View::first(unplaced(0..4), copies);
            for (join, pick) in steps {
                let mut alive = view.servers.clone();
                if join {
                    alive.insert(4 + view.epoch as usize, String::new());
                } else if alive.len() > 1 {
                    let id = *alive.keys().nth(pick % alive.len()).unwrap();
                    alive.remove(&id);
                }
                let wanted: Vec<usize> = alive.keys().copied().collect();
                let lost = view.segments.iter().any(|s| !s.chain[..s.full].iter().any(|m| alive.contains_key(m)));
                let Some(mut next) = view.repaired(&alive, &wanted, copies) else {
                    prop_assert!(lost);
                    return Ok(());
                };
                for _ in 0..3 {
                    for (begin, now, then) in view.overlay(&next.segments.iter().map(|s| (s.begin, s.chain.clone())).collect::<Vec<_>>()) {
                        let full = &now.chain[..now.full];
                        prop_assert!(full.contains(&then[0]), "{begin}: {now:?} -> {then:?}");
                    }
                    view = next.clone();
                    next = if view.unfilled() { view.filled(&wanted, copies) }
                        else if view.frozen { view.thawed(&wanted, copies) } else { break };
                }
                prop_assert!(!view.unfilled() && !view.frozen);
                let goal = View { epoch: view.epoch, ..View::first(alive, copies) };
                prop_assert_eq!(&view, &goal);
            }
        }
    }

    #[test]
    fn what_a_server_keeps_heads_and_passes_on_fits_together() {
        let view = View::first(unplaced(0..4), 3);
        for s in ids(&view) {
            let (kept, headed) = (view.kept_by(s), view.headed_by(s));
            assert!(kept.covers(&headed));
            let passed = view.next_of(s).into_values().fold(RangeSet::new(), |a, b| a.or(&b));
            assert!(kept.covers(&passed) && passed.covers(&headed));
        }
        let all = ids(&view).into_iter().fold(RangeSet::new(), |a, s| a.or(&view.headed_by(s)));
        assert_eq!(all, RangeSet::all());
    }

    #[test]
    fn a_route_agrees_with_the_chains() {
        let view = View::first(unplaced(0..3), 2);
        let route = Route::new(&view, |s| s.chain.get(1).copied());
        let mut position = 1u64;
        for _ in 0..5000 {
            position = position.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            assert_eq!(route.of(position), view.chain(position).get(1).copied());
        }
        assert_eq!((route.of(0), route.all()), (view.chain(0).get(1).copied(), vec![0, 1, 2]));
        assert_eq!(chains(&view, &[u64::MAX])[0].len(), 2);
    }
}
