//! `Plan`: which keys of a list go to which server.

use handcar_base::{Key, KeyList, key};

/// The server of a key: the positions of the mixed keys are cut into equal ranges.
#[inline]
pub fn server_of(key: Key, servers: usize) -> usize {
    ((key::position(key) as u128 * servers as u128) >> 64) as usize
}

/// One server's share of a list.
#[derive(Clone, Debug)]
pub struct Share {
    /// The keys, in order.
    pub keys: KeyList,
    /// Where they stand in the whole list.
    pub index: Vec<u32>,
}

/// The shares of all servers; computed once a list.
#[derive(Clone, Debug)]
pub struct Plan {
    /// By server.
    pub shares: Vec<Share>,
}

impl Plan {
    /// Splits a list over at least two servers.
    pub fn of(keys: &KeyList, servers: usize) -> Self {
        let expected = keys.len() / servers + keys.len() / (8 * servers) + 16;
        let mut parts: Vec<(Vec<Key>, Vec<u32>)> =
            (0..servers).map(|_| (Vec::with_capacity(expected), Vec::with_capacity(expected))).collect();
        for (i, &key) in (0..).zip(keys.keys()) {
            let part = &mut parts[server_of(key, servers)];
            part.0.push(key);
            part.1.push(i);
        }
        let shares = parts.into_iter().map(|(keys, index)| match KeyList::new(keys) {
            Ok(keys) => Share { keys, index },
            Err(_) => unreachable!("a subsequence of increasing keys increases"),
        });
        Self { shares: shares.collect() }
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.shares.iter().map(|s| 12 * s.keys.len() + 96).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_disjoint_ordered_and_whole() {
        let list = KeyList::new((0..10_000).map(|i| i * 7).collect()).unwrap();
        for servers in [2, 3, 16] {
            let plan = Plan::of(&list, servers);
            let mut seen = vec![false; list.len()];
            for (s, share) in plan.shares.iter().enumerate() {
                for (&key, &i) in share.keys.keys().iter().zip(&share.index) {
                    assert_eq!((list.keys()[i as usize], server_of(key, servers)), (key, s));
                    assert!(!std::mem::replace(&mut seen[i as usize], true));
                }
            }
            assert!(seen.into_iter().all(|s| s));
        }
    }
}
