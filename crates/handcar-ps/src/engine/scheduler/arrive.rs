//! Who comes: greetings before the job, during it, and of members that were away.

use super::{Member, Output, RANKS_MAX, SchedulerEngine, SchedulerParams, given};
use crate::engine::control::Control;
use crate::engine::view::View;
use crate::error::Role;
use crate::message::Millis;
use std::sync::Arc;

impl SchedulerEngine {
    pub(super) fn hello(
        &mut self,
        now: Millis,
        conn: u64,
        (role, rank, name, addr, job): (Role, Option<usize>, String, String, Option<u64>),
        out: &mut Vec<Output>,
    ) {
        if let Some(job) = job {
            return self.come_back(now, conn, (role, rank, job), out);
        }
        // The same process greets again because its first connection broke before it was heard, or before it was
        // welcomed by a scheduler that is no more.
        let same = |m: &Member| m.conn.is_none() && (m.role, &m.name, &m.addr) == (role, &name, &addr);
        if let Some(m) = self.members.values_mut().find(|m| same(m)) {
            (m.conn, m.heard) = (Some(conn), now);
            let rank = m.rank;
            return if self.view.is_none() { self.begin(now, out) } else { self.welcome(conn, rank, out) };
        }
        let member = Member { role, rank, name, addr, conn: Some(conn), heard: now, progress: 0, left: false };
        if let Err(reason) = self.acceptable(&member) {
            out.push(Output::Send { conn, message: Control::Refuse { reason } });
            out.push(Output::Close { conn });
            return;
        }
        self.members.insert(self.member_next, member);
        self.member_next += 1;
        if self.view.is_none() {
            return self.begin(now, out);
        }
        // Into a running job: a number of its own, and a share of the keys.
        if let Some(member) = self.members.get_mut(&(self.member_next - 1)) {
            let next = if member.role == Role::Worker { &mut self.worker_next } else { &mut self.server_next };
            member.rank = Some(*next);
            *next += 1;
            let (role, rank) = (member.role, member.rank);
            if role == Role::Worker {
                self.staff(out)
            } else {
                self.reshape(out)
            }
            self.welcome(conn, rank, out);
        }
    }

    /// A member whose connection broke, or whose scheduler was started again.
    fn come_back(
        &mut self,
        now: Millis,
        conn: u64,
        (role, rank, job): (Role, Option<usize>, u64),
        out: &mut Vec<Output>,
    ) {
        let same = |m: &Member| m.role == role && m.rank.is_some() && m.rank == rank;
        let found = self.members.values_mut().find(|m| same(m));
        match found {
            Some(m) if job == self.params.job && self.view.is_some() => {
                (m.conn, m.heard) = (Some(conn), now);
                let rank = m.rank;
                self.welcome(conn, rank, out);
            }
            _ => {
                let rank = rank.map_or_else(|| "?".into(), |r| r.to_string());
                let reason = format!(
                    "expected a member of job {}, got {role} {rank} of job {job}, which is none or was given up as lost",
                    self.params.job
                );
                out.push(Output::Send { conn, message: Control::Refuse { reason } });
                out.push(Output::Close { conn });
            }
        }
    }

    pub(super) fn welcome(&self, conn: u64, rank: Option<usize>, out: &mut Vec<Output>) {
        let (Some(rank), Some(view)) = (rank, &self.view) else { return };
        let SchedulerParams { workers, job, patience_ms, .. } = self.params;
        let view = Arc::clone(view);
        out.push(Output::Send { conn, message: Control::Welcome { rank, workers, job, patience_ms, view } });
    }

    fn acceptable(&self, new: &Member) -> Result<(), String> {
        let running = self.view.is_some();
        let (role, expected) = match new.role {
            Role::Worker => ("workers", self.params.workers),
            Role::Server => ("servers", self.params.servers),
            Role::Scheduler => return Err("expected a worker or server, got a second scheduler".into()),
        };
        // Servers may join a job in which keys can move; with one copy and no way to recover it is as it began.
        let joins = running && (new.role == Role::Server || self.params.elastic);
        if joins && new.role == Role::Worker && self.worker_next >= RANKS_MAX {
            return Err(format!("expected at most {RANKS_MAX} workers in the course of a job, got one more"));
        }
        if let Some(rank) = new.rank.filter(|&r| r >= expected && !joins) {
            return Err(format!("expected a rank below {expected} {role}, got {rank}"));
        }
        let mut same = 0;
        for m in self.members.values() {
            let name = given(&new.name);
            if given(&m.name) == name {
                return Err(format!("expected a name of its own, got {name:?}, which is taken by {}", m.addr));
            }
            if m.role == new.role {
                same += 1;
                if new.rank.is_some() && m.rank == new.rank {
                    let rank = new.rank.unwrap_or(0);
                    return Err(format!("expected a free rank, got {} {rank}, which is {}", new.role, m.addr));
                }
            }
        }
        if same >= expected && !joins { Err(format!("expected {expected} {role}, got one more")) } else { Ok(()) }
    }

    /// Begins the job once everybody is here.
    fn begin(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.view.is_some() || self.members.len() < self.params.workers + self.params.servers {
            return;
        }
        for role in [Role::Server, Role::Worker] {
            let taken: Vec<usize> = self.of(role).filter_map(|m| m.rank).collect();
            let mut free = (0..).filter(|r| !taken.contains(r));
            for m in self.members.values_mut().filter(|m| m.role == role && m.rank.is_none()) {
                m.rank = free.next();
            }
        }
        let mut view = View::first(self.alive(), self.params.copies);
        view.workers = self.params.elastic.then(|| (0..self.params.workers).collect());
        self.view = Some(Arc::new(view));
        self.store(out);
        self.members.values_mut().for_each(|m| m.heard = now);
        for m in self.members.values() {
            if let Some(conn) = m.conn {
                self.welcome(conn, m.rank, out);
            }
        }
    }
}
