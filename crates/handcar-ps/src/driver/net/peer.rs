//! Messages between servers as parcels.

use super::carried::{put_filters, take_filters};
use super::codec::{put_set, take_set};
use super::copied::{put_copied, put_result, put_tasks, put_words, take_copied, take_result, take_tasks, take_words};
use super::parcel::{Fields, Parcel, Reader};
use super::work::{put_entries, put_progress, put_tag, take_entries, take_progress, take_tag};
use crate::lru::Lru;
use crate::message::{TableId, Task};
use crate::peer::{Change, PeerMessage, Say, Update};
use crate::values::Values;
use handcar_base::KeyList;
use std::sync::Arc;

/// Kinds of parcels between servers.
const ACK: u8 = 48;
const CREATE: u8 = 49;
const ROUND: u8 = 50;
const SINGLE: u8 = 51;
const REDUCED: u8 = 52;
const NOTHING: u8 = 53;
const COPY: u8 = 54;
const PROGRESS: u8 = 55;
const INSTALL: u8 = 56;

/// Whether a parcel is a message between servers.
pub fn is_peer(kind: u8) -> bool {
    (ACK..=INSTALL).contains(&kind)
}

/// Bytes of key lists that either end of a connection remembers.
const LISTS_BYTES_MAX: usize = 256 << 20;

/// The key lists that went over one connection in one direction. Both ends see the same messages in the same order, so
/// they remember the same lists and need no word about it.
#[derive(Debug)]
pub struct Lists(Lru<(u128, u64), KeyList>);

impl Default for Lists {
    fn default() -> Self {
        Self(Lru::new(LISTS_BYTES_MAX))
    }
}

impl Lists {
    /// Whether the list was seen before; now it was.
    fn see(&mut self, keys: &KeyList) -> bool {
        let name = (keys.signature(), keys.len() as u64);
        if self.0.get(&name).is_some() {
            return true;
        }
        self.0.put(name, keys.clone(), 8 * keys.len() + 64);
        false
    }

    /// Writes a list's name, or none if the list itself travels.
    fn name(&mut self, keys: Option<&KeyList>, f: &mut Fields, p: &mut Parcel) {
        let known = keys.is_some_and(|k| self.see(k));
        f.u8(known as u8);
        match keys {
            Some(keys) if known => {
                f.u128(keys.signature()).u64(keys.len() as u64);
            }
            other => p.keys = other.cloned(),
        }
    }

    /// The list that was named, or that travelled.
    fn find(&mut self, r: &mut Reader<'_>, sent: Option<KeyList>) -> Result<Option<KeyList>, String> {
        match r.u8()? {
            0 => {
                if let Some(keys) = &sent {
                    self.see(keys);
                }
                Ok(sent)
            }
            1 => {
                let name = (r.u128()?, r.u64()?);
                let list = self.0.get(&name).cloned();
                list.map(Some).ok_or_else(|| "a list of keys that was sent before, got another name".into())
            }
            other => Err(format!("0 or 1, got {other}")),
        }
    }
}

/// The parcel of a message. Values are copied, by `copy`: the update stays here until it is acknowledged.
pub fn pack(message: &PeerMessage, lists: &mut Lists, mut copy: impl FnMut(&Values) -> Values) -> Parcel {
    let mut f = Fields::default();
    f.u64(message.epoch);
    let mut p = Parcel { width: 1, ..Parcel::default() };
    let update = match &message.say {
        Say::Ack { seq } => {
            f.u64(*seq);
            return Parcel { kind: ACK, head: f.0, ..p };
        }
        Say::Update { seq, update } => {
            f.u64(*seq);
            update
        }
    };
    put_set(&update.within, &mut f);
    put_tasks(&update.answered, &mut f);
    p.kind = match &update.change {
        Change::Create { table, name, updater, params, filters } => {
            f.u32(table.0).bytes(name.as_bytes()).bytes(updater.as_bytes()).bytes(params);
            put_filters(filters, &mut f);
            CREATE
        }
        Change::Round { table, round, args, pushed, tasks, refused } => {
            f.u32(table.0).u64(*round).bytes(args).u8(refused.is_some() as u8);
            f.bytes(refused.as_deref().unwrap_or_default().as_bytes());
            put_tasks(tasks, &mut f);
            lists.name(pushed.as_ref().map(|p| &p.0), &mut f, &mut p);
            if let Some((keys, values)) = pushed {
                (p.width, p.values) = ((values.len() / keys.len().max(1)).max(1), Some(copy(values)));
            }
            ROUND
        }
        Change::Install { table, worker, task, entries } => {
            f.u32(table.0).u64(*worker as u64).u64(task.0);
            put_entries(entries, &mut f);
            INSTALL
        }
        Change::Progress(progress) => {
            put_progress(progress, &mut f);
            PROGRESS
        }
        Change::Single { table, worker, task, args, keys, values, tag } => {
            f.u32(table.0).u64(*worker as u64).u64(task.0).bytes(args);
            put_tag(*tag, &mut f);
            if let Some(values) = values {
                (p.width, p.values) = ((values.len() / keys.len().max(1)).max(1), Some(copy(values)));
            }
            lists.name(Some(keys), &mut f, &mut p);
            SINGLE
        }
        Change::Reduced { round, words, tasks } => {
            f.u64(*round);
            put_tasks(tasks, &mut f);
            put_result(words, &mut f, |w, f| put_words(w, f));
            REDUCED
        }
        Change::Nothing => NOTHING,
        Change::Copy(copied) => {
            put_copied(copied, &mut f);
            COPY
        }
    };
    p.head = f.0;
    p
}

/// The message in a parcel.
///
/// # Errors
/// What was expected.
pub fn unpack(p: Parcel, lists: &mut Lists) -> Result<PeerMessage, String> {
    let mut r = Reader(&p.head);
    let (epoch, seq) = (r.u64()?, r.u64()?);
    if p.kind == ACK {
        r.end()?;
        return Ok(PeerMessage { epoch, say: Say::Ack { seq } });
    }
    let within = Arc::new(take_set(&mut r)?);
    let answered = take_tasks(&mut r)?;
    let change = match p.kind {
        CREATE => {
            let (table, name, updater) = (TableId(r.u32()?), r.text()?, r.text()?);
            let params = r.bytes()?.to_vec();
            Change::Create { table, name, updater, params, filters: take_filters(&mut r)? }
        }
        ROUND => {
            let (table, round, args) = (TableId(r.u32()?), r.u64()?, r.bytes()?.to_vec());
            let (refused, reason) = (r.u8()? == 1, r.text()?);
            let tasks = take_tasks(&mut r)?;
            let pushed = match (lists.find(&mut r, p.keys)?, p.values) {
                (Some(keys), Some(values)) => Some((keys, values)),
                (None, None) => None,
                _ => return Err("keys with values, or neither".into()),
            };
            Change::Round { table, round, args, pushed, tasks, refused: refused.then_some(reason) }
        }
        SINGLE => {
            let (table, worker, task) = (TableId(r.u32()?), r.u64()? as usize, Task(r.u64()?));
            let args = r.bytes()?.to_vec();
            let tag = take_tag(&mut r)?;
            let keys = lists.find(&mut r, p.keys)?.ok_or("keys, got none")?;
            Change::Single { table, worker, task, args, keys, values: p.values, tag }
        }
        REDUCED => {
            let (round, tasks) = (r.u64()?, take_tasks(&mut r)?);
            Change::Reduced { round, tasks, words: take_result(&mut r, take_words)? }
        }
        NOTHING => Change::Nothing,
        INSTALL => {
            let (table, worker, task) = (TableId(r.u32()?), r.u64()? as usize, Task(r.u64()?));
            Change::Install { table, worker, task, entries: Arc::new(take_entries(&mut r)?) }
        }
        PROGRESS => Change::Progress(take_progress(&mut r)?),
        COPY => Change::Copy(Box::new(take_copied(&mut r)?)),
        other => return Err(format!("a message between servers, got kind {other}")),
    };
    r.end()?;
    Ok(PeerMessage { epoch, say: Say::Update { seq, update: Arc::new(Update { within, answered, change }) } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::Entries;
    use crate::filter::TableFilters;
    use crate::peer::{Copied, CopiedTable, Kept};
    use crate::portion::{Portion, Progress, Tag, Work};
    use handcar_base::{KeyRange, RangeSet};

    fn messages() -> Vec<PeerMessage> {
        let within: RangeSet = [KeyRange::new(1, 5), KeyRange::new(u64::MAX, 1 << 64)].into_iter().collect();
        let within = Arc::new(within);
        let keys = KeyList::new(vec![2, 9]).unwrap();
        let tasks = vec![Task(4), Task(7)];
        let table = TableId(3);
        let filters = TableFilters::parse("zero,zstd:1", "lz4").unwrap();
        let tag = Tag { portion: Portion { pass: 3, index: 1 }, number: 2 };
        let work = Work { pass: 3, portions: 5, finished: vec![0], running: vec![(1, 7)], last: vec![(7, Task(2), 1)] };
        let copied = Copied {
            work: Some(work),
            pushed: vec![(1, tag, Arc::clone(&within))],
            tables: vec![CopiedTable {
                name: "w".into(),
                updater: "sum.f32".into(),
                params: vec![1, 2],
                filters: filters.clone(),
                keys: keys.clone(),
                entries: vec![1; 8],
                clock: vec![(KeyRange::all(), 9)],
            }],
            applied: vec![vec![], vec![(Task(8), Arc::clone(&within))]],
            reduced: Some((
                5,
                vec![Kept { round: 4, within: Arc::clone(&within), tasks: tasks.clone(), result: Ok(vec![-1, 2]) }],
            )),
        };
        let entries = Entries::of(keys.clone(), |n, out| out.extend_from_slice(&[7; 9][..3 * n]));
        let changes = vec![
            Change::Create { table, name: "w".into(), updater: "u".into(), params: vec![3], filters },
            Change::Round {
                table,
                round: 6,
                args: vec![1],
                pushed: Some((keys.clone(), vec![1.0f32, 2.0, 3.0, 4.0].into())),
                tasks: tasks.clone(),
                refused: None,
            },
            Change::Round {
                table,
                round: 6,
                args: vec![],
                pushed: None,
                tasks: tasks.clone(),
                refused: Some("no".into()),
            },
            Change::Single {
                table,
                worker: 1,
                task: Task(5),
                args: vec![],
                keys: keys.clone(),
                values: None,
                tag: None,
            },
            Change::Single { table, worker: 1, task: Task(5), args: vec![], keys, values: None, tag: Some(tag) },
            Change::Install { table, worker: 1, task: Task(5), entries: Arc::new(entries) },
            Change::Progress(Progress { pass: 4, portions: 9, finished: Some(3), given: Some((1, Task(7), 4)) }),
            Change::Progress(Progress { pass: 4, portions: 9, finished: None, given: None }),
            Change::Reduced { round: 3, words: Err("why".into()), tasks: tasks.clone() },
            Change::Nothing,
            Change::Copy(Box::new(copied)),
        ];
        let update = |change| Update { within: Arc::clone(&within), answered: tasks.clone(), change };
        let say = changes.into_iter().map(|c| Say::Update { seq: 11, update: Arc::new(update(c)) });
        say.chain([Say::Ack { seq: 12 }]).map(|say| PeerMessage { epoch: 2, say }).collect()
    }

    #[test]
    fn messages_between_servers_come_back() {
        let (mut there, mut here) = (Lists::default(), Lists::default());
        for again in [false, true] {
            for message in messages() {
                let parcel = pack(&message, &mut there, Values::clone);
                assert!(!again || parcel.keys.is_none(), "a list travels once");
                assert_eq!(unpack(parcel, &mut here).unwrap(), message);
            }
        }
    }

    #[test]
    fn cut_and_flipped_heads_never_panic() {
        for message in messages() {
            let parcel = pack(&message, &mut Lists::default(), Values::clone);
            for at in 0..parcel.head.len() {
                let mut cut = parcel.clone();
                cut.head.truncate(at);
                assert!(unpack(cut, &mut Lists::default()).is_err());
                let mut flipped = parcel.clone();
                flipped.head[at] ^= 0x91;
                let _ = unpack(flipped, &mut Lists::default());
            }
        }
    }
}
