//! `Fault`: what kind of failure ended a save or a restore.

/// The kind of a failure, as it travels from one worker to all. The text beside it says what was expected and got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such checkpoint.
    None,
    /// The checkpoint is torn or altered: it is refused whole.
    Damaged,
    /// The checkpoint's tables are not those of this job, or its format is a newer one.
    Unfit,
    /// The disk, the quota or the file size limit is exhausted.
    Full,
    /// The storage failed in another way, or did not answer in time.
    Storage,
    /// That worker's call ended in another way; the text is its error.
    Other,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::None, Self::Damaged, Self::Unfit, Self::Full, Self::Storage, Self::Other];
}
