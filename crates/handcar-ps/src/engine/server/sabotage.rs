//! Deliberate mistakes, one at a time: a simulation that does not find them proves nothing.

/// A mistake a server can be made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A single push that comes again is applied again.
    NoDuplicateCheck,
    /// A collective that comes again is applied again.
    NoRoundCheck,
    /// Answers leave before the rest of the chain has the update.
    EarlyReply,
    /// The middle of a chain acknowledges what the tail may not have.
    EarlyAck,
    /// Pulls show what a failover can undo.
    DirtyRead,
    /// Messages of other views are acted upon.
    NoEpochCheck,
    /// What was under way when the view changed is not passed on to the new next server.
    NoReplay,
    /// The order of updates on a link is not checked.
    NoSequence,
    /// A new copy comes without clocks.
    CopyWithoutClock,
    /// A new copy comes without the record of single pushes.
    CopyWithoutRecord,
    /// A copy is reported filled before it is.
    FilledEarly,
    /// Updates are not passed on to copies that are being filled.
    FillMissesUpdates,
    /// A frozen view takes requests.
    ThawedEarly,
    /// The sum is applied without telling the chain the round is over.
    ClockNotReplicated,
    /// Collectives are added up in the order of arrival.
    ArrivalOrder,
}

impl Broken {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::NoDuplicateCheck,
        Self::NoRoundCheck,
        Self::EarlyReply,
        Self::EarlyAck,
        Self::DirtyRead,
        Self::NoEpochCheck,
        Self::NoReplay,
        Self::NoSequence,
        Self::CopyWithoutClock,
        Self::CopyWithoutRecord,
        Self::FilledEarly,
        Self::FillMissesUpdates,
        Self::ThawedEarly,
        Self::ClockNotReplicated,
        Self::ArrivalOrder,
    ];
}
