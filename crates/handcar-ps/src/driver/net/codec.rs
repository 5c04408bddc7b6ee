//! Requests and replies as parcels.

use super::carried;
use super::parcel::{Fields, Parcel, Reader};
use super::work::{put_entries, put_given, put_tag, take_entries, take_given, take_tag};
use crate::carried::{Carried, Form};
use crate::message::{Answer, Ask, Keys, Note, ReduceOp, Reply, Request, TableId, Task};
use crate::shard::Shape;
use crate::values::{Dtype, Values};
use handcar_base::{KeyRange, RangeSet};
use std::sync::Arc;

const CREATE: u8 = 16;
const MOVE: u8 = 17;
const CALL: u8 = 18;
const REDUCE: u8 = 19;
const PORTION: u8 = 20;
const COPY: u8 = 21;
const INSTALL: u8 = 22;
const CREATED: u8 = 32;
/// Kind of the reply that carries pulled values.
pub const MOVED: u8 = 33;
const CALLED: u8 = 34;
const REDUCED: u8 = 35;
const MISS: u8 = 36;
const REFUSED: u8 = 37;
const LATE: u8 = 38;
const BEHIND: u8 = 39;
const GIVEN: u8 = 40;
const COPIED: u8 = 41;
const INSTALLED: u8 = 42;

fn words(list: &[i64], out: &mut Fields) {
    out.u32(list.len() as u32);
    for &w in list {
        out.u64(w as u64);
    }
}

fn read_words(r: &mut Reader<'_>) -> Result<Vec<i64>, String> {
    let n = r.u32()? as usize;
    if r.0.len() < 8 * n {
        return Err(format!("{n} words, got {} bytes", r.0.len()));
    }
    (0..n).map(|_| Ok(r.u64()? as i64)).collect()
}

/// Positions, as bounds.
pub(super) fn put_set(set: &RangeSet, out: &mut Fields) {
    out.u32(set.ranges().count() as u32);
    for range in set.ranges() {
        // The last position, since one past it may not fit.
        out.u64(range.begin() as u64).u64((range.end() - 1) as u64);
    }
}

pub(super) fn take_set(r: &mut Reader<'_>) -> Result<RangeSet, String> {
    let n = r.u32()? as usize;
    if r.0.len() < 16 * n {
        return Err(format!("{n} ranges, got {} bytes", r.0.len()));
    }
    (0..n).map(|_| Ok(KeyRange::new(r.u64()?, r.u64()? as u128 + 1))).collect()
}

fn put_within(set: Option<&RangeSet>, out: &mut Fields) {
    out.u8(set.is_some() as u8);
    if let Some(set) = set {
        put_set(set, out);
    }
}

fn take_within(r: &mut Reader<'_>) -> Result<Option<RangeSet>, String> {
    match r.u8()? {
        0 => Ok(None),
        1 => take_set(r).map(Some),
        other => Err(format!("0 or 1, got {other}")),
    }
}

fn put_list(list: &[Note], out: &mut Fields) {
    out.u32(list.len() as u32);
    for note in list {
        put_within(note.within.as_deref(), out);
        out.bytes(&note.bytes);
    }
}

fn take_list(r: &mut Reader<'_>) -> Result<Vec<Note>, String> {
    let n = r.u32()? as usize;
    if r.0.len() < 5 * n {
        return Err(format!("{n} notes, got {} bytes", r.0.len()));
    }
    (0..n).map(|_| Ok(Note { within: take_within(r)?.map(Arc::new), bytes: r.bytes()?.to_vec() })).collect()
}

fn optional_round(round: Option<u64>) -> u64 {
    round.unwrap_or(u64::MAX)
}

/// The parcel of a request. Key lists are shared; a pull buffer stays with the caller.
pub fn pack_request(request: Request) -> (Parcel, Option<Values>) {
    let mut f = Fields::default();
    f.u32(request.table.0).u64(request.deadline_ms).u64(request.epoch).u64(request.answered.0);
    put_within(request.within.as_deref(), &mut f);
    let mut p = Parcel { task: request.task.0, width: 1, ..Parcel::default() };
    let mut buffer = None;
    match request.ask {
        Ask::Create { name, updater, params, filters } => {
            p.kind = CREATE;
            f.bytes(name.as_bytes()).bytes(updater.as_bytes()).bytes(&params);
            carried::put_filters(&filters, &mut f);
        }
        Ask::Copy { entries } => {
            p.kind = COPY;
            f.u8(entries as u8);
        }
        Ask::Install { entries } => {
            p.kind = INSTALL;
            put_entries(&entries, &mut f);
        }
        Ask::Portion { pass, portions, finished } => {
            p.kind = PORTION;
            f.u64(pass).u32(portions).u32(finished.unwrap_or(u32::MAX));
        }
        Ask::Move { keys, round, args, push, pull, form, tag } => {
            p.kind = MOVE;
            f.u64(optional_round(round))
                .u8(pull.as_ref().map_or(0, |v| 1 + v.dtype() as u8))
                .bytes(&args)
                .u8(form as u8);
            put_tag(tag, &mut f);
            p.width = carried::width(push.as_ref(), keys.len());
            match keys {
                Keys::Shared(list) | Keys::Sent(list) => p.keys = Some(list),
                Keys::Named { signature, len } => {
                    f.u128(signature).u64(len);
                }
            }
            p.values = carried::put(push, &mut f);
            buffer = pull;
        }
        Ask::Call { round, args } => {
            p.kind = CALL;
            f.u64(round).bytes(&args);
        }
        Ask::Reduce { round, op, words: list } => {
            p.kind = REDUCE;
            f.u64(round).u8(op as u8);
            words(&list, &mut f);
        }
    }
    p.head = f.0;
    (p, buffer)
}

/// The request in a parcel; `buffer` makes the pull buffer. `longest` is the length of the longest key list that ever came
/// here: a name that claims a longer one is of a list unknown here, for which no memory may be taken.
///
/// # Errors
/// What was expected.
pub fn unpack_request(p: Parcel, longest: usize, buffer: impl FnOnce(Dtype) -> Values) -> Result<Request, String> {
    let mut r = Reader(&p.head);
    let (table, deadline_ms, epoch, answered) = (TableId(r.u32()?), r.u64()?, r.u64()?, Task(r.u64()?));
    let within = take_within(&mut r)?.map(Arc::new);
    let ask = match p.kind {
        CREATE => Ask::Create {
            name: r.text()?,
            updater: r.text()?,
            params: r.bytes()?.into(),
            filters: carried::take_filters(&mut r)?,
        },
        MOVE => {
            let round = Some(r.u64()?).filter(|&n| n != u64::MAX);
            let pull = read_dtype(r.u8()?)?;
            let args = r.bytes()?.to_vec();
            let form = carried::take_form(&mut r)?;
            let tag = take_tag(&mut r)?;
            let keys = match p.keys {
                Some(list) => Keys::Sent(list),
                None => Keys::Named { signature: r.u128()?, len: r.u64()? },
            };
            let known = matches!(keys, Keys::Sent(_)) || keys.len() <= longest;
            let push = carried::take(p.values, known.then_some(keys.len()), &mut r)?;
            Ask::Move { keys, round, args, push, pull: pull.map(buffer), form, tag }
        }
        COPY => Ask::Copy { entries: r.u8()? != 0 },
        INSTALL => Ask::Install { entries: Arc::new(take_entries(&mut r)?) },
        PORTION => {
            let (pass, portions, finished) = (r.u64()?, r.u32()?, r.u32()?);
            Ask::Portion { pass, portions, finished: Some(finished).filter(|&n| n != u32::MAX) }
        }
        CALL => Ask::Call { round: r.u64()?, args: r.bytes()?.into() },
        REDUCE => {
            let round = r.u64()?;
            let op = match r.u8()? {
                0 => ReduceOp::Sum,
                1 => ReduceOp::Max,
                other => return Err(format!("a reduction 0 or 1, got {other}")),
            };
            Ask::Reduce { round, op, words: read_words(&mut r)? }
        }
        other => return Err(format!("a request, got kind {other}")),
    };
    r.end()?;
    Ok(Request { task: Task(p.task), table, epoch, within, answered, deadline_ms, ask })
}

/// The request that a parcel was made from, for its buffers; only pushes have any.
pub fn sent_request(p: Parcel, pull: Option<Values>) -> Request {
    let keys = Keys::Named { signature: 0, len: 0 };
    let push = p.values.map(Carried::Plain);
    let ask = Ask::Move { keys, round: None, args: Vec::new(), push, pull, form: Form::Plain, tag: None };
    Request { task: Task(p.task), table: TableId(0), epoch: 0, within: None, answered: Task(0), deadline_ms: 0, ask }
}

/// The parcel of a reply, and the push buffer, which does not travel.
pub fn pack_reply(reply: Reply) -> (Parcel, Option<Values>) {
    let mut f = Fields::default();
    f.u64(reply.epoch);
    let mut p = Parcel { task: reply.task.0, width: 1, ..Parcel::default() };
    let mut spare = None;
    match reply.answer {
        Answer::Created(shape) => {
            p.kind = CREATED;
            f.u8(shape.push as u8 + 1).u32(shape.push_width).u8(shape.pull as u8 + 1).u32(shape.pull_width);
        }
        Answer::Moved { pulled, spent, notes } => {
            p.kind = MOVED;
            put_list(&notes, &mut f);
            p.values = carried::put(pulled, &mut f);
            spare = spent;
        }
        Answer::Called(notes) => {
            p.kind = CALLED;
            put_list(&notes, &mut f);
        }
        Answer::Reduced(list) => {
            p.kind = REDUCED;
            words(&list, &mut f);
        }
        Answer::Miss { push, .. } => {
            p.kind = MISS;
            spare = push;
        }
        Answer::Behind => p.kind = BEHIND,
        Answer::Copied { count, entries } => {
            p.kind = COPIED;
            f.u64(count);
            put_entries(&entries, &mut f);
        }
        Answer::Installed => p.kind = INSTALLED,
        Answer::Given(given) => {
            p.kind = GIVEN;
            put_given(&given, &mut f);
        }
        Answer::Refused(reason) => {
            p.kind = REFUSED;
            f.bytes(reason.as_bytes());
        }
        Answer::Late { missing } => {
            p.kind = LATE;
            f.u32(missing.len() as u32);
            for &m in &missing {
                f.u32(m);
            }
        }
    }
    p.head = f.0;
    (p, spare)
}

/// The reply in a parcel.
///
/// # Errors
/// What was expected.
pub fn unpack_reply(p: Parcel) -> Result<Reply, String> {
    let task = Task(p.task);
    let mut r = Reader(&p.head);
    let epoch = r.u64()?;
    let answer = match p.kind {
        CREATED => {
            let (push, push_width) = (read_dtype(r.u8()?)?, r.u32()?);
            let (pull, pull_width) = (read_dtype(r.u8()?)?, r.u32()?);
            let (Some(push), Some(pull)) = (push, pull) else { return Err("two types, got none".into()) };
            Answer::Created(Shape { push, push_width, pull, pull_width })
        }
        MOVED => {
            let notes = take_list(&mut r)?;
            Answer::Moved { notes, pulled: carried::take(p.values, Some(0), &mut r)?, spent: None }
        }
        BEHIND => Answer::Behind,
        COPIED => Answer::Copied { count: r.u64()?, entries: take_entries(&mut r)? },
        INSTALLED => Answer::Installed,
        GIVEN => Answer::Given(take_given(&mut r)?),
        CALLED => Answer::Called(take_list(&mut r)?),
        REDUCED => Answer::Reduced(read_words(&mut r)?),
        MISS => Answer::Miss { push: None, pull: None },
        REFUSED => Answer::Refused(r.text()?),
        LATE => {
            let n = r.u32()? as usize;
            if r.0.len() != 4 * n {
                return Err(format!("{n} ranks, got {} bytes", r.0.len()));
            }
            Answer::Late { missing: (0..n).map(|_| r.u32()).collect::<Result<_, _>>()? }
        }
        other => return Err(format!("a reply, got kind {other}")),
    };
    r.end()?;
    Ok(Reply { task, epoch, answer })
}

fn read_dtype(code: u8) -> Result<Option<Dtype>, String> {
    match code {
        0 => Ok(None),
        1 => Ok(Some(Dtype::F32)),
        2 => Ok(Some(Dtype::F64)),
        3 => Ok(Some(Dtype::I64)),
        other => Err(format!("a type of values in 0..=3, got {other}")),
    }
}
