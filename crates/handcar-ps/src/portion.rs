//! Portions: a pass cut into pieces of work, each given to whichever worker is free.

use crate::message::Task;
use handcar_base::RangeSet;
use std::sync::Arc;

/// One pass may be cut into so many portions at most.
pub const PORTIONS_MAX: u32 = 1 << 16;

/// A piece of the work of a pass, given to one worker: of a lost worker it goes to another, and late in a pass a slow
/// worker's is given to a second one. Pushes made for it count once, whoever makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Portion {
    /// The pass.
    pub pass: u64,
    /// Which of its portions, from 0.
    pub index: u32,
}

/// What a worker is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// The portion of this index.
    Portion(u32),
    /// Nothing now: the others are busy with what is left. One of these portions may still be given.
    Later {
        /// Ranks of the workers that are busy.
        busy: Vec<u32>,
    },
    /// The pass is over: every portion is finished.
    Over,
}

/// Names a push made for a portion. Two workers that do the same portion make the same pushes in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// The portion.
    pub portion: Portion,
    /// Which of the pushes made for it to a table, from 0.
    pub number: u32,
}

/// A step of the work on a pass, as it goes down the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The pass.
    pub pass: u64,
    /// How many portions it has.
    pub portions: u32,
    /// A portion that is finished.
    pub finished: Option<u32>,
    /// A portion given: to this worker, for this task.
    pub given: Option<(usize, Task, u32)>,
}

/// Everything known about the work on a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The pass.
    pub pass: u64,
    /// How many portions it has; 0 if none has begun.
    pub portions: u32,
    /// Portions that are finished, ascending.
    pub finished: Vec<u32>,
    /// Portions and who works on them.
    pub running: Vec<(u32, usize)>,
    /// By worker: the task of its last grant, and the portion.
    pub last: Vec<(usize, Task, u32)>,
}

/// Pushes that were made for portions of one table, with the positions where they were applied.
pub type Pushed = Vec<(u32, Tag, Arc<RangeSet>)>;
