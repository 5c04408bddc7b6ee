//! The faults there are.

use crate::engine::control::Control;
use crate::message::Answer;
use crate::peer::{Change, Say};

use super::network::Packet;

/// What the world around the processes does to them.
pub const ENVIRONMENT: [&str; 23] = [
    "message lost",
    "message delayed",
    "message doubled",
    "burst of losses",
    "burst of delays",
    "partition of two servers",
    "servers parted while keys move",
    "one-way partition",
    "partition of server and scheduler",
    "partition of worker and server",
    "partition of worker and scheduler",
    "server killed, connections reset",
    "server killed, silence",
    "server cut off from the others, then killed",
    "server stopped, then awake as a zombie",
    "short pause",
    "worker killed",
    "worker stopped, then awake as a zombie",
    "worker joins",
    "worker leaves",
    "scheduler killed and started again",
    "slow disk",
    "write torn by a crash",
];

/// Moments at which a process is killed: right before or after it says something, or after it heard it.
pub const FAILPOINTS: [&str; 34] = [
    "before created",
    "before moved",
    "before called",
    "before reduced",
    "before miss",
    "before given",
    "before round",
    "before single",
    "before reduction",
    "before progress",
    "before table",
    "before copy",
    "before ack",
    "before filled",
    "before drained",
    "before beat",
    "after created",
    "after moved",
    "after called",
    "after reduced",
    "after given",
    "after round",
    "after single",
    "after reduction",
    "after progress",
    "after table",
    "after copy",
    "after ack",
    "after filled",
    "after drained",
    "on view",
    "on frozen view",
    "on store",
    "after store",
];

/// Of these a story has only a few, so that a failpoint must not wait for the tenth.
const RARE: [&str; 10] =
    ["reduced", "reduction", "created", "table", "called", "copy", "filled", "drained", "view", "store"];

/// How often a failpoint may be passed before it strikes.
pub(super) fn passes_max(failpoint: &str) -> u64 {
    if RARE.iter().any(|word| failpoint.ends_with(word)) { 3 } else { 12 }
}

/// What a packet is called in a failpoint.
pub(super) fn word(packet: &Packet) -> &'static str {
    match packet {
        Packet::Reply(reply) => match reply.answer {
            Answer::Created(_) => "created",
            Answer::Moved { .. } => "moved",
            Answer::Behind => "behind",
            Answer::Called(_) => "called",
            Answer::Reduced(_) => "reduced",
            Answer::Given(_) => "given",
            Answer::Copied { .. } => "entries",
            Answer::Installed => "installed",
            Answer::Miss { .. } => "miss",
            Answer::Refused(_) => "refused",
            Answer::Late { .. } => "late",
        },
        Packet::Peer(message) => match &message.say {
            Say::Ack { .. } => "ack",
            Say::Update { update, .. } => match update.change {
                Change::Create { .. } => "table",
                Change::Round { .. } => "round",
                Change::Single { .. } => "single",
                Change::Reduced { .. } => "reduction",
                Change::Progress(_) => "progress",
                Change::Install { .. } => "entries",
                Change::Copy(_) => "copy",
                Change::Nothing => "nothing",
            },
        },
        Packet::Request(request) => request.ask.op(),
        Packet::Control(control) => match control {
            Control::Hello { .. } => "hello",
            Control::Welcome { .. } => "welcome",
            Control::View(_) => "view",
            Control::Remind { .. } => "remind",
            Control::Report(crate::engine::server::Report::Filled { .. }) => "filled",
            Control::Report(crate::engine::server::Report::Drained { .. }) => "drained",
            Control::Report(crate::engine::server::Report::Silent { .. }) => "silent",
            Control::Refuse { .. } => "refuse",
            Control::Beat { .. } => "beat",
            Control::Lost { .. } => "lost",
            Control::Leave => "leave",
            Control::End => "end",
            Control::Join { .. } => "join",
            Control::Admit => "admit",
        },
    }
}
