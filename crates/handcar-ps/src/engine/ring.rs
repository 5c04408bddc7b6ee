//! `Ring`: consistent hashing - which servers keep which positions.

use handcar_base::{Rng, Seed};

/// Virtual nodes a server. Its share of the positions then deviates from the mean by about 1/√256, 6 %.
pub const POINTS_PER_SERVER: usize = 256;

/// Servers on a ring of 2⁶⁴ positions, each at many points. The server at a point owns the positions from there to the
/// next point; the servers met first walking back from it, `k - 1` of them, keep the further copies. If the owner
/// is lost, the first of these owns the arc in the ring of those that stay: a failover moves nothing.
///
/// Karger et al., STOC 1997; Li et al., OSDI 2014, section 4.3.
///
/// ```
/// use handcar_ps::engine::ring::Ring;
/// let (two, three) = (Ring::new(&[0, 1]), Ring::new(&[0, 1, 2]));
/// assert_eq!(three.arcs(2).filter(|a| a.1[0] == 2).count() > 0, true);
/// assert!(two.arcs(2).all(|a| a.1.len() == 2));
/// ```
#[derive(Clone, Debug)]
pub struct Ring {
    /// Point and server, ascending.
    points: Vec<(u64, usize)>,
    servers: usize,
}

impl Ring {
    /// A ring of servers, by number; the numbers place them, so they are never given twice.
    pub fn new(servers: &[usize]) -> Self {
        let mut points = Vec::with_capacity(servers.len() * POINTS_PER_SERVER);
        for &server in servers {
            let mut rng = Rng::new(Seed(RING_SEED), server as u64);
            points.extend((0..POINTS_PER_SERVER).map(|_| (rng.next_u64(), server)));
        }
        points.sort_unstable();
        points.dedup_by_key(|p| p.0);
        Self { points, servers: servers.len() }
    }

    /// The arcs in order: their first position and the servers that keep them, the owner first; `copies` in all, or
    /// as many as there are servers. The first arc begins at position 0.
    pub fn arcs(&self, copies: usize) -> impl Iterator<Item = (u64, Vec<usize>)> + '_ {
        let n = self.points.len();
        let copies = copies.min(self.servers);
        let chain = move |i: usize| {
            let mut chain = Vec::with_capacity(copies);
            for back in 0..n {
                let server = self.points[(i + n - back) % n].1;
                if !chain.contains(&server) {
                    chain.push(server);
                    if chain.len() == copies {
                        break;
                    }
                }
            }
            chain
        };
        // The last point's arc goes on past the end of the positions.
        let wrapped = (n > 0).then(|| (0, chain(n - 1)));
        wrapped.into_iter().chain((0..n).map(move |i| (self.points[i].0, chain(i))))
    }
}

/// Part of the placement of keys: changing it moves every key of every running job.
const RING_SEED: u64 = 0x68616e64_63617221;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn shares(ring: &Ring, copies: usize, place: usize) -> BTreeMap<usize, f64> {
        let arcs: Vec<_> = ring.arcs(copies).collect();
        let ends = arcs.iter().skip(1).map(|a| a.0 as f64).chain([2f64.powi(64)]);
        let mut shares = BTreeMap::new();
        for ((begin, chain), end) in arcs.iter().zip(ends) {
            *shares.entry(chain[place]).or_insert(0.0) += (end - *begin as f64) / 2f64.powi(64);
        }
        shares
    }

    fn owner_at(ring: &Ring, copies: usize, position: u64) -> Vec<usize> {
        ring.arcs(copies).take_while(|a| a.0 <= position).last().unwrap().1
    }

    #[test]
    fn shares_are_nearly_equal_at_every_place_of_the_chain() {
        for n in [2usize, 3, 5, 10] {
            let ring = Ring::new(&(0..n).collect::<Vec<_>>());
            for place in 0..2 {
                for (server, share) in shares(&ring, 2, place) {
                    assert!(
                        (share * n as f64 - 1.0).abs() < 0.2,
                        "{n} servers, server {server} place {place}: {share}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_newcomer_takes_only_its_own_share() {
        for n in [2usize, 3, 4, 8] {
            let (old, new) = (Ring::new(&(0..n).collect::<Vec<_>>()), Ring::new(&(0..=n).collect::<Vec<_>>()));
            let mut rng = Rng::new(Seed(1), 0);
            for _ in 0..300 {
                let position = rng.next_u64();
                let (a, b) = (owner_at(&old, 1, position)[0], owner_at(&new, 1, position)[0]);
                assert!(a == b || b == n, "position {position} moved from {a} to {b}");
            }
            let share = shares(&new, 1, 0)[&n];
            assert!((share * (n + 1) as f64 - 1.0).abs() < 0.2, "{share} of {n} + 1");
        }
    }

    #[test]
    fn the_next_in_the_chain_owns_what_a_lost_server_owned() {
        let (old, new) = (Ring::new(&[0, 1, 2, 3]), Ring::new(&[0, 1, 3]));
        let mut rng = Rng::new(Seed(2), 0);
        for _ in 0..300 {
            let position = rng.next_u64();
            let (mut before, after) = (owner_at(&old, 3, position), owner_at(&new, 2, position));
            before.retain(|&s| s != 2);
            assert_eq!(before[..2], after[..]);
        }
    }

    #[test]
    fn one_server_owns_everything_and_none_owns_nothing() {
        assert!(Ring::new(&[7]).arcs(3).all(|a| a.1 == [7]));
        assert_eq!(Ring::new(&[]).arcs(2).count(), 0);
    }
}
