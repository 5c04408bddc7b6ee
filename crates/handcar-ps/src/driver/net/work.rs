//! Portions of passes, and entries, in parcels.

use super::parcel::{Fields, Reader};
use crate::entries::Entries;
use crate::message::Task;
use crate::portion::{Given, Portion, Progress, Tag, Work};

pub(super) fn put_tag(tag: Option<Tag>, f: &mut Fields) {
    f.u8(tag.is_some() as u8);
    if let Some(Tag { portion: Portion { pass, index }, number }) = tag {
        f.u64(pass).u32(index).u32(number);
    }
}

pub(super) fn take_tag(r: &mut Reader<'_>) -> Result<Option<Tag>, String> {
    optional(r, |r| Ok(Tag { portion: Portion { pass: r.u64()?, index: r.u32()? }, number: r.u32()? }))
}

fn optional<T>(
    r: &mut Reader<'_>,
    take: impl FnOnce(&mut Reader<'_>) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match r.u8()? {
        0 => Ok(None),
        1 => take(r).map(Some),
        other => Err(format!("0 or 1, got {other}")),
    }
}

/// Entries are all that is left of a head.
pub(super) fn put_entries(entries: &Entries, f: &mut Fields) {
    entries.write(&mut f.0);
}

pub(super) fn take_entries(r: &mut Reader<'_>) -> Result<Entries, String> {
    Entries::from_bytes(std::mem::take(&mut r.0))
}

/// A count of things of so many bytes each.
fn count(r: &mut Reader<'_>, bytes: usize) -> Result<usize, String> {
    let n = r.u32()? as usize;
    if r.0.len() / bytes < n {
        return Err(format!("{n} items, got {} bytes", r.0.len()));
    }
    Ok(n)
}

pub(super) fn put_given(given: &Given, f: &mut Fields) {
    match given {
        Given::Over => {
            f.u8(0);
        }
        Given::Portion(index) => {
            f.u8(1).u32(*index);
        }
        Given::Later { busy } => {
            f.u8(2).u32(busy.len() as u32);
            busy.iter().for_each(|&w| {
                f.u32(w);
            });
        }
    }
}

pub(super) fn take_given(r: &mut Reader<'_>) -> Result<Given, String> {
    match r.u8()? {
        0 => Ok(Given::Over),
        1 => Ok(Given::Portion(r.u32()?)),
        2 => {
            let n = count(r, 4)?;
            Ok(Given::Later { busy: (0..n).map(|_| r.u32()).collect::<Result<_, _>>()? })
        }
        other => Err(format!("work in form 0, 1 or 2, got {other}")),
    }
}

pub(super) fn put_progress(p: &Progress, f: &mut Fields) {
    f.u64(p.pass).u32(p.portions).u32(p.finished.unwrap_or(u32::MAX)).u8(p.given.is_some() as u8);
    if let Some((worker, task, index)) = p.given {
        f.u64(worker as u64).u64(task.0).u32(index);
    }
}

pub(super) fn take_progress(r: &mut Reader<'_>) -> Result<Progress, String> {
    let (pass, portions, finished) = (r.u64()?, r.u32()?, Some(r.u32()?).filter(|&n| n != u32::MAX));
    let given = optional(r, |r| Ok((r.u64()? as usize, Task(r.u64()?), r.u32()?)))?;
    Ok(Progress { pass, portions, finished, given })
}

pub(super) fn put_work(work: Option<&Work>, f: &mut Fields) {
    f.u8(work.is_some() as u8);
    let Some(w) = work else { return };
    f.u64(w.pass).u32(w.portions).u32(w.finished.len() as u32);
    w.finished.iter().for_each(|&n| {
        f.u32(n);
    });
    f.u32(w.running.len() as u32);
    w.running.iter().for_each(|&(n, worker)| {
        f.u32(n).u64(worker as u64);
    });
    f.u32(w.last.len() as u32);
    w.last.iter().for_each(|&(worker, task, n)| {
        f.u64(worker as u64).u64(task.0).u32(n);
    });
}

pub(super) fn take_work(r: &mut Reader<'_>) -> Result<Option<Work>, String> {
    optional(r, |r| {
        let (pass, portions, n) = (r.u64()?, r.u32()?, count(r, 4)?);
        let finished = (0..n).map(|_| r.u32()).collect::<Result<_, _>>()?;
        let n = count(r, 12)?;
        let running = (0..n).map(|_| Ok((r.u32()?, r.u64()? as usize))).collect::<Result<_, String>>()?;
        let n = count(r, 20)?;
        let last = |r: &mut Reader<'_>| Ok((r.u64()? as usize, Task(r.u64()?), r.u32()?));
        let last = (0..n).map(|_| last(r)).collect::<Result<_, String>>()?;
        Ok(Work { pass, portions, finished, running, last })
    })
}
