//! Deliberate mistakes, one at a time: a simulation that does not find them proves nothing.

use std::fmt;
use std::str::FromStr;

/// A mistake that a server, or the worker of a simulation, can be made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// A server says that nothing is under way when something is.
    DrainedEarly,
    /// The sum is applied without telling the chain the round is over.
    ClockNotReplicated,
    /// Collectives are added up in the order of arrival.
    ArrivalOrder,
    /// What two workers push for the same portion is applied twice.
    NoPortionCheck,
    /// A worker takes answers of older views for good.
    OldAnswers,
    /// A worker starts tasks without waiting for those that its policy makes it wait for.
    NoWait,
    /// A server keeps for ever what a worker may no longer ask for.
    NoForgetting,
}

impl Broken {
    /// All of them, with their names and what is wrong.
    const NAMES: [(Self, &str, &str); 19] = [
        (Self::NoDuplicateCheck, "no-duplicate-check", "a single push that comes again is applied again"),
        (Self::NoRoundCheck, "no-round-check", "a collective that comes again is applied again"),
        (Self::EarlyReply, "early-reply", "answers leave before the rest of the chain has the update"),
        (Self::EarlyAck, "early-ack", "the middle of a chain acknowledges what the tail may not have"),
        (Self::DirtyRead, "dirty-read", "pulls show what a failover can undo"),
        (Self::NoEpochCheck, "no-epoch-check", "messages of other views are acted upon"),
        (
            Self::NoReplay,
            "no-replay",
            "what was under way when the view changed is not passed on to the new next server",
        ),
        (Self::NoSequence, "no-sequence", "the order of updates on a link is not checked"),
        (Self::CopyWithoutClock, "copy-without-clock", "a new copy comes without clocks"),
        (Self::CopyWithoutRecord, "copy-without-record", "a new copy comes without the record of single pushes"),
        (Self::FilledEarly, "filled-early", "a copy is reported filled before it is"),
        (Self::FillMissesUpdates, "fill-misses-updates", "updates are not passed on to copies that are being filled"),
        (Self::DrainedEarly, "drained-early", "a server says that nothing is under way when something is"),
        (
            Self::ClockNotReplicated,
            "clock-not-replicated",
            "the sum is applied without telling the chain the round is over",
        ),
        (Self::ArrivalOrder, "arrival-order", "collectives are added up in the order of arrival"),
        (Self::NoPortionCheck, "no-portion-check", "what two workers push for the same portion is applied twice"),
        (Self::OldAnswers, "old-answers", "a worker takes answers of older views for good"),
        (Self::NoWait, "no-wait", "a worker starts tasks without waiting for those that its policy makes it wait for"),
        (Self::NoForgetting, "no-forgetting", "a server keeps for ever what a worker may no longer ask for"),
    ];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.into_iter().map(|n| n.0)
    }

    /// What is wrong, in words.
    pub fn about(self) -> &'static str {
        Self::NAMES.iter().find(|n| n.0 == self).map_or("", |n| n.2)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|n| n.0 == *self).map_or("", |n| n.1);
        f.pad(name)
    }
}

impl FromStr for Broken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|n| n.1 == text).map(|n| n.0);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|n| n.1).collect();
            format!("expected one of {}, got {text:?}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_mistakes() {
        for broken in Broken::all() {
            assert_eq!(broken.to_string().parse(), Ok(broken));
        }
        assert!("no-sleep".parse::<Broken>().unwrap_err().starts_with("expected one of no-duplicate-check, "));
    }
}
