//! Failpoints: a process dies at the very moment at which it says or hears something.

use super::{SCHEDULER, World};
use crate::driver::sim::network::NodeId;
use crate::driver::sim::node::Kind;

impl World {
    /// Whether the armed failpoint strikes now; the process is then dead.
    pub(super) fn trips(&mut self, when: &str, what: &str, node: NodeId) -> bool {
        let Some((point, left)) = self.harm.armed else { return false };
        if self.healing || point.strip_prefix(when) != Some(what) {
            return false;
        }
        if left > 0 {
            self.harm.armed = Some((point, left - 1));
            return false;
        }
        if node == SCHEDULER {
            if !what.contains("store") {
                return false;
            }
            self.harm.armed = None;
            self.kill_scheduler(point);
            return true;
        }
        if !matches!(self.nodes[node].kind, Kind::Server(_)) || !self.expendable(node) {
            return false;
        }
        self.harm.armed = None;
        self.fault(point);
        let reset = self.rng.below(4) > 0;
        self.kill(node, reset);
        true
    }
}
