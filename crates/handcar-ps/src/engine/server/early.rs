//! `Early`: messages of a view to come, kept until it comes.

use super::{Input, Member};
use crate::carried::Carried;
use crate::message::{Ask, Keys};
use crate::peer::{Change, Say};
use crate::values::Values;
use std::collections::{BTreeMap, VecDeque};

/// Bytes kept of one sender: what a fast network brings while the scheduler's word is some tenths of a second late.
const BYTES_MAX: usize = 256 << 20;
/// What a message takes beside keys and values.
const MESSAGE_BYTES: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Early {
    kept: VecDeque<(Member, Input)>,
    bytes: BTreeMap<Member, usize>,
}

impl Early {
    /// Keeps a message. `false` if its sender has no more room; then nothing of it is kept, since it has to send all
    /// again in any case.
    pub fn keep(&mut self, from: Member, input: Input) -> bool {
        let bytes = self.bytes.entry(from).or_default();
        *bytes += weight(&input);
        if *bytes <= BYTES_MAX {
            self.kept.push_back((from, input));
            return true;
        }
        self.bytes.remove(&from);
        self.kept.retain(|(member, _)| *member != from);
        false
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// All of them, in the order of their arrival.
    pub fn take(&mut self) -> impl Iterator<Item = Input> + use<> {
        self.bytes.clear();
        std::mem::take(&mut self.kept).into_iter().map(|(_, input)| input)
    }
}

fn weight(input: &Input) -> usize {
    let of = |values: &Values| values.dtype().bytes() * values.len();
    let carried = |push: &Carried| match push {
        Carried::Plain(values) | Carried::Part { values, .. } => of(values),
        Carried::Coded(coded) => coded.bytes.len(),
    };
    let payload = match input {
        Input::Request { request, .. } => match &request.ask {
            Ask::Move { keys, args, push, .. } => {
                let keys = if let Keys::Sent(list) = keys { 8 * list.len() } else { 0 };
                keys + args.len() + push.as_ref().map_or(0, carried)
            }
            Ask::Call { args, .. } => args.len(),
            Ask::Reduce { words, .. } => 8 * words.len(),
            Ask::Install { entries } => entries.bytes().len(),
            _ => 0,
        },
        Input::Peer { message, .. } => match &message.say {
            Say::Update { update, .. } => match &update.change {
                Change::Round { args, pushed, .. } => {
                    args.len() + pushed.as_ref().map_or(0, |(keys, values)| 8 * keys.len() + of(values))
                }
                Change::Single { args, keys, values, .. } => {
                    args.len() + 8 * keys.len() + values.as_ref().map_or(0, of)
                }
                Change::Install { entries, .. } => entries.bytes().len(),
                Change::Copy(copied) => copied.tables.iter().map(|t| 8 * t.keys.len() + t.entries.len()).sum(),
                _ => 0,
            },
            Say::Ack { .. } => 0,
        },
        _ => 0,
    };
    MESSAGE_BYTES + payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Request, TableId, Task};

    fn push(values: usize) -> Input {
        let (keys, push) = (Keys::Named { signature: 1, len: 1 }, Some(Carried::Plain(vec![0.0f32; values].into())));
        let ask = Ask::Move { keys, round: None, args: vec![], push, pull: None, form: Default::default(), tag: None };
        let (task, table, answered) = (Task(1), TableId(0), Task(0));
        let request = Request { task, table, epoch: 9, within: None, answered, deadline_ms: 1, ask };
        Input::Request { worker: 1, request }
    }

    #[test]
    fn a_sender_without_bound_loses_its_own_messages_and_nobody_elses() {
        let mut early = Early::default();
        assert!(early.keep(Member::Worker(2), push(1)));
        let room = (1..100).find(|_| !early.keep(Member::Worker(1), push(4 << 20)));
        assert_eq!((room, early.len()), (Some(16), 1), "16 MiB each");
        assert!(early.keep(Member::Worker(1), push(1)), "it may begin anew");
        assert_eq!(early.take().count(), 2);
        assert_eq!(early.len(), 0);
    }
}
