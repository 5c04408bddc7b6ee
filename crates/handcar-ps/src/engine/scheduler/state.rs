//! `State`: what a scheduler must not forget, and its bytes.

use super::RANKS_MAX;
use crate::engine::view::{Segment, View};
use crate::error::Role;
use std::sync::Arc;

/// One member of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberState {
    /// What it does.
    pub role: Role,
    /// Its rank, or number if it is a server.
    pub rank: usize,
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub addr: String,
    /// Whether it left or is leaving.
    pub left: bool,
}

/// What a scheduler stores before it tells anybody: with it another process can take over a running job.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The job's number.
    pub job: u64,
    /// Workers in the job.
    pub workers: usize,
    /// Servers it began with.
    pub servers: usize,
    /// Copies of each key.
    pub copies: usize,
    /// The number the next server gets.
    pub server_next: usize,
    /// The rank the next worker gets, if workers may join and leave.
    pub worker_next: Option<usize>,
    /// The present view.
    pub view: Arc<View>,
    /// The members.
    pub members: Vec<MemberState>,
    /// Whether the job has ended: there is nothing to take over.
    pub over: bool,
}

fn put(out: &mut Vec<u8>, v: u64) {
    out.extend_from_slice(&v.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self) -> Result<u64, String> {
        let (v, rest) = self.0.split_first_chunk().ok_or("8 more bytes, got the end")?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*v))
    }

    /// A count of things that take at least 8 bytes each.
    fn count(&mut self) -> Result<usize, String> {
        let n = self.take()?;
        if n > self.0.len() as u64 / 8 {
            return Err(format!("{n} items, got {} bytes", self.0.len()));
        }
        Ok(n as usize)
    }

    fn text(&mut self) -> Result<String, String> {
        let n = self.take()? as usize;
        let (text, rest) = self.0.split_at_checked(n).ok_or("more text, got the end")?;
        self.0 = rest;
        String::from_utf8(text.into()).map_err(|_| "text in UTF-8, got other bytes".into())
    }
}

/// Appends a view's bytes.
pub fn write_view(view: &View, out: &mut Vec<u8>) {
    put(out, view.epoch);
    put(out, view.frozen as u64);
    put(out, view.servers.len() as u64);
    for (&id, addr) in &view.servers {
        put(out, id as u64);
        put_text(out, addr);
    }
    put(out, view.segments.len() as u64);
    for s in &view.segments {
        put(out, s.begin);
        put(out, s.full as u64);
        put(out, s.chain.len() as u64);
        s.chain.iter().for_each(|&m| put(out, m as u64));
    }
    put(out, view.workers.is_some() as u64);
    if let Some(workers) = &view.workers {
        put(out, workers.len() as u64);
        workers.iter().for_each(|&w| put(out, w as u64));
    }
}

/// A view from its bytes.
///
/// # Errors
/// What was expected.
pub fn read_view(bytes: &[u8]) -> Result<View, String> {
    let mut b = Bytes(bytes);
    let view = view(&mut b)?;
    if b.0.is_empty() { Ok(view) } else { Err(format!("the end of a view, got {} more bytes", b.0.len())) }
}

/// A worker's rank; servers keep a little for each rank below the greatest.
fn rank(v: u64) -> Result<usize, String> {
    if v < RANKS_MAX as u64 { Ok(v as usize) } else { Err(format!("a rank below {RANKS_MAX}, got {v}")) }
}

fn view(b: &mut Bytes<'_>) -> Result<View, String> {
    let (epoch, frozen, n) = (b.take()?, b.take()? != 0, b.count()?);
    let servers = (0..n).map(|_| Ok((b.take()? as usize, b.text()?))).collect::<Result<_, String>>()?;
    let n = b.count()?;
    let mut segments: Vec<Segment> = Vec::with_capacity(n);
    for at in 0..n {
        let (begin, full, length) = (b.take()?, b.take()? as usize, b.count()?);
        let chain = (0..length).map(|_| Ok(b.take()? as usize)).collect::<Result<Vec<_>, String>>()?;
        let follows = segments.last().map_or(begin == 0, |s| s.begin < begin);
        if !follows || full == 0 || full > length {
            return Err(format!(
                "segment {at} to follow the one before and be held by someone, got {begin}, {full} of {length}"
            ));
        }
        segments.push(Segment { begin, chain, full });
    }
    if segments.is_empty() {
        return Err("at least one segment, got none".into());
    }
    let workers = match b.take()? {
        0 => None,
        1 => {
            let n = b.count()?;
            Some((0..n).map(|_| b.take().and_then(rank)).collect::<Result<_, _>>()?)
        }
        other => return Err(format!("0 or 1, got {other}")),
    };
    Ok(View { epoch, servers, workers, segments, frozen })
}

impl State {
    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for v in [self.job, self.workers as u64, self.servers as u64, self.copies as u64, self.server_next as u64] {
            put(&mut out, v);
        }
        put(&mut out, self.worker_next.map_or(0, |next| next as u64 + 1));
        put(&mut out, self.over as u64);
        put(&mut out, self.members.len() as u64);
        for m in &self.members {
            put(&mut out, matches!(m.role, Role::Server) as u64);
            put(&mut out, m.rank as u64);
            put(&mut out, m.left as u64);
            put_text(&mut out, &m.name);
            put_text(&mut out, &m.addr);
        }
        write_view(&self.view, &mut out);
        out
    }

    /// The state in some bytes.
    ///
    /// # Errors
    /// What was expected.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut b = Bytes(bytes);
        let (job, workers, servers) = (b.take()?, b.take()? as usize, b.take()? as usize);
        let (copies, server_next) = (b.take()? as usize, b.take()? as usize);
        let worker_next = b.take()?.checked_sub(1).map(|next| next as usize);
        let (over, n) = (b.take()? != 0, b.count()?);
        let member = |b: &mut Bytes<'_>| {
            let role = if b.take()? == 1 { Role::Server } else { Role::Worker };
            let (rank, left) = (b.take()? as usize, b.take()? != 0);
            Ok::<_, String>(MemberState { role, rank, left, name: b.text()?, addr: b.text()? })
        };
        let members = (0..n).map(|_| member(&mut b)).collect::<Result<_, _>>()?;
        let view = Arc::new(read_view(b.0)?);
        Ok(Self { job, workers, servers, copies, server_next, worker_next, view, members, over })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::view::unplaced;

    #[test]
    fn a_state_comes_back_and_damage_never_panics() {
        let view = View::first(unplaced(0..3), 2).staffed([1].into());
        let member =
            |role, rank| MemberState { role, rank, name: format!("n{rank}"), addr: "here:1".into(), left: rank == 1 };
        let members = vec![member(Role::Server, 0), member(Role::Worker, 1)];
        let state = State {
            job: 7,
            workers: 1,
            servers: 3,
            copies: 2,
            server_next: 3,
            worker_next: Some(2),
            view: Arc::new(view),
            members,
            over: false,
        };
        let bytes = state.to_bytes();
        assert_eq!(State::from_bytes(&bytes).unwrap(), state);
        for at in (0..bytes.len()).step_by(7) {
            assert!(State::from_bytes(&bytes[..at]).is_err());
            let mut other = bytes.clone();
            other[at] ^= 0x81;
            let _ = State::from_bytes(&other);
        }
    }
}
