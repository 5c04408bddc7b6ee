//! `Plan`: which keys of a list go to which server.

use super::view::Route;
use handcar_base::{Key, KeyList, RangeSet, key};
use std::collections::BTreeMap;

/// One server's share of a list.
#[derive(Clone, Debug)]
pub struct Share {
    /// The keys, in order.
    pub keys: KeyList,
    /// Where they stand in the whole list.
    pub index: Vec<u32>,
}

/// The shares of the servers that a route leads to; computed once a list and view.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// By server. All destinations of the route are here, also with no keys.
    pub shares: BTreeMap<usize, Share>,
}

impl Plan {
    /// Splits a list along a route.
    pub fn of(keys: &KeyList, route: &Route) -> Self {
        Self::split(keys, route, |_| true)
    }

    /// Splits those keys of a list whose positions lie in a set.
    pub fn within(keys: &KeyList, route: &Route, set: &RangeSet) -> Self {
        Self::split(keys, route, |position| set.contains(position))
    }

    fn split(keys: &KeyList, route: &Route, keep: impl Fn(u64) -> bool) -> Self {
        let servers = route.all();
        let expected = keys.len() / servers.len().max(1);
        let expected = expected + expected / 8 + 16;
        let mut slots = vec![usize::MAX; servers.last().map_or(0, |s| s + 1)];
        for (slot, &server) in servers.iter().enumerate() {
            slots[server] = slot;
        }
        let mut parts: Vec<(Vec<Key>, Vec<u32>)> =
            servers.iter().map(|_| (Vec::with_capacity(expected), Vec::with_capacity(expected))).collect();
        for (i, &key) in (0..).zip(keys.keys()) {
            let position = key::position(key);
            if let Some(server) = route.of(position)
                && keep(position)
            {
                let part = &mut parts[slots[server]];
                part.0.push(key);
                part.1.push(i);
            }
        }
        let share = |(keys, index)| match KeyList::new(keys) {
            Ok(keys) => Share { keys, index },
            Err(_) => unreachable!("a subsequence of increasing keys increases"),
        };
        Self { shares: servers.into_iter().zip(parts.into_iter().map(share)).collect() }
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.shares.values().map(|s| 12 * s.keys.len() + 96).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::view::{View, unplaced};
    use handcar_base::KeyRange;

    #[test]
    fn shares_are_disjoint_ordered_and_whole() {
        let list = KeyList::new((0..10_000).map(|i| i * 7).collect()).unwrap();
        for servers in [1, 2, 3, 16] {
            let route = Route::new(&View::first(unplaced(0..servers), 1), |s| s.chain.first().copied());
            let set = RangeSet::from(KeyRange::new(1 << 63, 1 << 64));
            for (plan, whole) in [(Plan::of(&list, &route), true), (Plan::within(&list, &route, &set), false)] {
                assert_eq!(plan.shares.len(), servers);
                let mut seen = vec![false; list.len()];
                for (&server, share) in &plan.shares {
                    for (&key, &i) in share.keys.keys().iter().zip(&share.index) {
                        assert_eq!((list.keys()[i as usize], route.of(key::position(key))), (key, Some(server)));
                        assert!(!std::mem::replace(&mut seen[i as usize], true));
                    }
                }
                for (&key, seen) in list.keys().iter().zip(seen) {
                    assert_eq!(seen, whole || set.contains(key::position(key)));
                }
            }
        }
    }
}
