//! `SchedulerEngine`: who belongs to the job, who is still alive, and which view of the cluster follows.

use crate::engine::control::Control;
use crate::engine::view::View;
use crate::error::{Error, Role};
use crate::message::Millis;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod arrive;
mod liveness;
mod place;
mod state;
#[cfg(test)]
mod tests;

pub use state::{MemberState, State, read_view, write_view};

/// Workers that may ever join a job: servers keep a little for each.
pub const RANKS_MAX: usize = 1 << 16;

/// What a scheduler must know.
#[derive(Clone, Debug)]
pub struct SchedulerParams {
    /// Workers in the job.
    pub workers: usize,
    /// Servers in the job at its beginning.
    pub servers: usize,
    /// Copies of each key in all; with one, the loss of a server ends the job.
    pub copies: usize,
    /// Whether workers may join and leave the running job, and be lost. Then there are no collectives.
    pub elastic: bool,
    /// Silence after which a member counts as lost.
    pub suspect_ms: u64,
    /// Time for all members to arrive.
    pub join_ms: u64,
    /// How long members go on while the scheduler is away; 0 if it does not come back.
    pub patience_ms: u64,
    /// The job's number.
    pub job: u64,
}

/// What happens to a scheduler. `conn` names a connection and is never used again after it is gone.
#[derive(Debug)]
pub enum Input {
    /// A message came.
    Message {
        /// On this connection.
        conn: u64,
        /// The message.
        message: Control,
    },
    /// A connection broke or closed.
    Gone {
        /// The connection.
        conn: u64,
        /// The evidence.
        how: String,
    },
    /// Time passed.
    Tick,
}

/// What a scheduler wants done, in this order: nothing that follows a [`Store`](Self::Store) may happen before the
/// state is safe.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Keep the state where it survives this process.
    Store(Box<State>),
    /// Send a message.
    Send {
        /// On this connection.
        conn: u64,
        /// The message.
        message: Control,
    },
    /// Close a connection once everything was sent.
    Close {
        /// The connection.
        conn: u64,
    },
    /// The job is over.
    End(Result<(), Error>),
}

#[derive(Debug)]
struct Member {
    role: Role,
    rank: Option<usize>,
    name: String,
    addr: String,
    /// `None` while it is away: after a restart of the scheduler members come back one by one.
    conn: Option<u64>,
    heard: Millis,
    progress: u64,
    left: bool,
}

/// The name that a member was given. Behind a `#` it says which process it is, so that one that greets again is told from
/// another that was started in its place.
fn given(name: &str) -> &str {
    name.rsplit_once('#').map_or(name, |(given, _)| given)
}

/// The scheduler. Knows no socket, thread or clock.
#[derive(Debug)]
pub struct SchedulerEngine {
    params: SchedulerParams,
    start: Option<Millis>,
    stepped: Millis,
    /// By order of arrival.
    members: BTreeMap<u64, Member>,
    member_next: u64,
    server_next: usize,
    /// The rank the next worker gets.
    worker_next: usize,
    /// `None` before the job begins.
    view: Option<Arc<View>>,
    /// Servers whose report on the present view is missing.
    awaited: BTreeSet<usize>,
    /// Restored from a state: until then members may come back.
    back_until_ms: Option<u64>,
    over: bool,
}

impl SchedulerEngine {
    /// A scheduler that waits for its members.
    pub fn new(params: SchedulerParams) -> Self {
        Self {
            server_next: params.servers,
            worker_next: params.workers,
            params,
            start: None,
            stepped: Millis(0),
            members: BTreeMap::new(),
            member_next: 0,
            view: None,
            awaited: BTreeSet::new(),
            back_until_ms: None,
            over: false,
        }
    }

    /// A scheduler that takes over a running job. Its members get `back_ms` to find it.
    pub fn resume(params: SchedulerParams, state: State, back_ms: u64) -> Self {
        let State { job, workers, servers, copies, server_next, worker_next, view, members, over: _ } = state;
        let elastic = worker_next.is_some();
        let mut engine = Self::new(SchedulerParams { job, workers, servers, copies, elastic, ..params });
        (engine.server_next, engine.worker_next) = (server_next, worker_next.unwrap_or(workers));
        for m in members {
            let MemberState { role, rank, name, addr, left } = m;
            let member = Member { role, rank: Some(rank), name, addr, conn: None, heard: Millis(0), progress: 0, left };
            engine.members.insert(engine.member_next, member);
            engine.member_next += 1;
        }
        engine.awaited = place::reporters(&view);
        engine.view = Some(view);
        engine.back_until_ms = Some(back_ms);
        engine
    }

    /// The present view; `None` before the job begins.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.view.as_ref()
    }

    /// Advances by one input. Reads no clock, socket or disk.
    pub fn step(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) {
        if self.over {
            return;
        }
        self.forgive(now);
        match input {
            Input::Message { conn, message } => self.message(now, conn, message, out),
            Input::Gone { conn, how } => {
                // Strangers come and go; a member that did not leave in order is lost.
                if let Some(at) = self.by_conn(conn)
                    && self.members.get(&at).is_some_and(|m| !m.left || m.role == Role::Server)
                {
                    self.lose(at, how, out);
                }
            }
            Input::Tick => self.tick(now, out),
        }
    }

    fn by_conn(&self, conn: u64) -> Option<u64> {
        self.members.iter().find(|(_, m)| m.conn == Some(conn)).map(|(&at, _)| at)
    }

    fn message(&mut self, now: Millis, conn: u64, message: Control, out: &mut Vec<Output>) {
        let at = self.by_conn(conn);
        let Some(member) = at.and_then(|at| self.members.get_mut(&at)) else {
            match message {
                Control::Hello { role, rank, name, addr, job } => {
                    self.hello(now, conn, (role, rank, name, addr, job), out);
                }
                _ => out.push(Output::Close { conn }),
            }
            return;
        };
        let (role, rank) = (member.role, member.rank);
        match message {
            Control::Beat { progress, epoch } => {
                (member.heard, member.progress) = (now, progress);
                let view = self.view.clone();
                let present = view.as_ref().map_or(0, |v| v.epoch);
                out.push(Output::Send { conn, message: Control::Beat { progress, epoch: present } });
                if let Some(view) = view {
                    // Either can have been lost on its way.
                    if epoch < view.epoch {
                        out.push(Output::Send { conn, message: Control::View(view) });
                    } else if role == Role::Server && rank.is_some_and(|r| self.awaited.contains(&r)) {
                        out.push(Output::Send { conn, message: Control::Remind { epoch } });
                    }
                }
            }
            Control::Report(report) if role == Role::Server => {
                member.heard = now;
                self.report(rank, report, out);
            }
            Control::Leave if role == Role::Worker => {
                member.left = true;
                // Who takes over must not wait for it.
                self.store(out);
                out.push(Output::Send { conn, message: Control::End });
                self.end_if_all_left(out);
                self.staff(out);
            }
            Control::Leave if role == Role::Server => {
                if !member.left {
                    member.left = true;
                    self.reshape(out);
                }
            }
            // A greeting that came twice.
            Control::Hello { .. } => self.welcome(conn, rank, out),
            _ => {
                if let Some(at) = at {
                    self.lose(at, "it sent a message that does not fit its state".into(), out);
                }
            }
        }
    }

    pub(super) fn end_if_all_left(&mut self, out: &mut Vec<Output>) {
        if self.view.is_none() || !self.of(Role::Worker).all(|m| m.left) {
            return;
        }
        self.over = true;
        self.store(out);
        for member in self.members.values_mut().filter(|m| m.role == Role::Server) {
            member.left = true;
            if let Some(conn) = member.conn {
                out.push(Output::Send { conn, message: Control::End });
            }
        }
        out.push(Output::End(Ok(())));
    }

    fn of(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.values().filter(move |m| m.role == role)
    }
}
