//! Copied entries and clocks as bytes, and the parts that other messages between servers share with them.

use super::carried::{put_filters, take_filters};
use super::codec::{put_set, take_set};
use super::parcel::{Fields, Reader};
use super::work::{put_tag, put_work, take_tag, take_work};
use crate::message::Task;
use crate::peer::{Copied, CopiedTable, Kept};
use handcar_base::{KeyList, KeyRange};
use std::sync::Arc;

pub(super) fn put_tasks(tasks: &[Task], f: &mut Fields) {
    f.u32(tasks.len() as u32);
    tasks.iter().for_each(|t| {
        f.u64(t.0);
    });
}

pub(super) fn take_tasks(r: &mut Reader<'_>) -> Result<Vec<Task>, String> {
    let n = count(r, 8)?;
    (0..n).map(|_| r.u64().map(Task)).collect()
}

/// A count of things of at least so many bytes each.
pub(super) fn count(r: &mut Reader<'_>, bytes: usize) -> Result<usize, String> {
    let n = r.u32()? as usize;
    if r.0.len() / bytes < n {
        return Err(format!("{n} items, got {} bytes", r.0.len()));
    }
    Ok(n)
}

pub(super) fn put_result<T>(result: &Result<T, String>, f: &mut Fields, put: impl FnOnce(&T, &mut Fields)) {
    f.u8(result.is_ok() as u8);
    match result {
        Ok(value) => put(value, f),
        Err(reason) => {
            f.bytes(reason.as_bytes());
        }
    }
}

pub(super) fn take_result<T>(
    r: &mut Reader<'_>,
    take: impl FnOnce(&mut Reader<'_>) -> Result<T, String>,
) -> Result<Result<T, String>, String> {
    match r.u8()? {
        0 => Ok(Err(r.text()?)),
        1 => take(r).map(Ok),
        other => Err(format!("0 or 1, got {other}")),
    }
}

pub(super) fn put_words(words: &[i64], f: &mut Fields) {
    f.u32(words.len() as u32);
    words.iter().for_each(|&w| {
        f.u64(w as u64);
    });
}

pub(super) fn take_words(r: &mut Reader<'_>) -> Result<Vec<i64>, String> {
    let n = count(r, 8)?;
    (0..n).map(|_| r.u64().map(|w| w as i64)).collect()
}

pub(super) fn put_copied(copied: &Copied, f: &mut Fields) {
    f.u32(copied.tables.len() as u32);
    for t in &copied.tables {
        f.bytes(t.name.as_bytes()).bytes(t.updater.as_bytes()).bytes(&t.params);
        put_filters(&t.filters, f);
        f.u32(t.keys.len() as u32);
        f.0.extend_from_slice(bytemuck::cast_slice(t.keys.keys()));
        f.bytes(&t.entries).u32(t.clock.len() as u32);
        for (range, time) in &t.clock {
            // The last position, since one past it may not fit.
            f.u64(range.begin() as u64).u64((range.end() - 1) as u64).u64(*time);
        }
    }
    f.u32(copied.applied.len() as u32);
    for tasks in &copied.applied {
        f.u32(tasks.len() as u32);
        for (task, set) in tasks {
            f.u64(task.0);
            put_set(set, f);
        }
    }
    put_work(copied.work.as_ref(), f);
    f.u32(copied.pushed.len() as u32);
    for (table, tag, set) in &copied.pushed {
        f.u32(*table);
        put_tag(Some(*tag), f);
        put_set(set, f);
    }
    f.u8(copied.reduced.is_some() as u8);
    if let Some((next, kept)) = &copied.reduced {
        f.u64(*next).u32(kept.len() as u32);
        for k in kept {
            f.u64(k.round);
            put_set(&k.within, f);
            put_tasks(&k.tasks, f);
            put_result(&k.result, f, |w, f| put_words(w, f));
        }
    }
}

pub(super) fn take_copied(r: &mut Reader<'_>) -> Result<Copied, String> {
    let n = count(r, 24)?;
    let mut tables = Vec::with_capacity(n);
    for _ in 0..n {
        let (name, updater, params) = (r.text()?, r.text()?, r.bytes()?.to_vec());
        let filters = take_filters(r)?;
        let keys = count(r, 8)?;
        let keys = (0..keys).map(|_| r.u64()).collect::<Result<Vec<_>, _>>()?;
        let keys = KeyList::new(keys).map_err(|e| e.to_string())?;
        let entries = r.bytes()?.to_vec();
        let pieces = count(r, 24)?;
        let piece = |r: &mut Reader<'_>| Ok((KeyRange::new(r.u64()?, r.u64()? as u128 + 1), r.u64()?));
        let clock = (0..pieces).map(|_| piece(r)).collect::<Result<_, String>>()?;
        tables.push(CopiedTable { name, updater, params, filters, keys, entries, clock });
    }
    let workers = count(r, 4)?;
    let mut applied = Vec::with_capacity(workers);
    for _ in 0..workers {
        let tasks = count(r, 12)?;
        let task = |r: &mut Reader<'_>| Ok::<_, String>((Task(r.u64()?), Arc::new(take_set(r)?)));
        applied.push((0..tasks).map(|_| task(r)).collect::<Result<_, _>>()?);
    }
    let work = take_work(r)?;
    let pushed = count(r, 25)?;
    let one = |r: &mut Reader<'_>| {
        let (table, tag) = (r.u32()?, take_tag(r)?.ok_or("a portion, got none")?);
        Ok::<_, String>((table, tag, Arc::new(take_set(r)?)))
    };
    let pushed = (0..pushed).map(|_| one(r)).collect::<Result<_, _>>()?;
    let reduced = match r.u8()? {
        0 => None,
        _ => {
            let (next, n) = (r.u64()?, count(r, 17)?);
            let kept = |r: &mut Reader<'_>| {
                let (round, within, tasks) = (r.u64()?, Arc::new(take_set(r)?), take_tasks(r)?);
                Ok::<_, String>(Kept { round, within, tasks, result: take_result(r, take_words)? })
            };
            Some((next, (0..n).map(|_| kept(r)).collect::<Result<_, _>>()?))
        }
    };
    Ok(Copied { tables, applied, reduced, work, pushed })
}
