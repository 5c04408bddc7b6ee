//! `Policy`: which earlier tasks must be finished before a task may start.

/// Consistency of a table's tasks: task `t` may start once every task `<= t - tau - 1` has finished
/// (Li et al., OSDI 2014, section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// `tau = 0`: one task after the other.
    #[default]
    Sequential,
    /// At most `tau` earlier tasks are unfinished.
    BoundedDelay(u64),
    /// No waiting.
    Eventual,
}

impl Policy {
    /// How many earlier tasks of the table may be unfinished when a task starts.
    pub fn delay_max(self) -> u64 {
        match self {
            Self::Sequential => 0,
            Self::BoundedDelay(tau) => tau,
            Self::Eventual => u64::MAX,
        }
    }
}
