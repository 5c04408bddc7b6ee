//! `SchedulerEngine`: who belongs to the job, who is still alive, and which view of the cluster follows.

use crate::engine::control::Control;
use crate::engine::view::View;
use crate::error::{Error, Role};
use crate::message::Millis;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod liveness;
mod place;
mod state;

pub use state::{MemberState, State, read_view, write_view};

/// What a scheduler must know.
#[derive(Clone, Debug)]
pub struct SchedulerParams {
    /// Workers in the job.
    pub workers: usize,
    /// Servers in the job at its beginning.
    pub servers: usize,
    /// Copies of each key in all; with one, the loss of a server ends the job.
    pub copies: usize,
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
        let State { job, workers, servers, copies, server_next, view, members, over: _ } = state;
        let mut engine = Self::new(SchedulerParams { job, workers, servers, copies, ..params });
        engine.server_next = server_next;
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
                out.push(Output::Send { conn, message: Control::End });
                self.end_if_all_left(out);
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

    fn end_if_all_left(&mut self, out: &mut Vec<Output>) {
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

    fn hello(
        &mut self,
        now: Millis,
        conn: u64,
        (role, rank, name, addr, job): (Role, Option<usize>, String, String, Option<u64>),
        out: &mut Vec<Output>,
    ) {
        if let Some(job) = job {
            return self.come_back(now, conn, (role, rank, job), out);
        }
        // The same process greets again because its first connection broke before it was heard.
        if self.view.is_none()
            && let Some(m) = self.members.values_mut().find(|m| m.name == name && m.conn.is_none())
        {
            (m.conn, m.heard) = (Some(conn), now);
            return self.begin(now, out);
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
            member.rank = Some(self.server_next);
            self.server_next += 1;
            let rank = member.rank;
            self.reshape(out);
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

    fn welcome(&self, conn: u64, rank: Option<usize>, out: &mut Vec<Output>) {
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
        let joins = running && new.role == Role::Server;
        if let Some(rank) = new.rank.filter(|&r| r >= expected && !joins) {
            return Err(format!("expected a rank below {expected} {role}, got {rank}"));
        }
        let mut same = 0;
        for m in self.members.values() {
            if m.name == new.name {
                return Err(format!("expected a name of its own, got {:?}, which is taken by {}", new.name, m.addr));
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
        self.view = Some(Arc::new(View::first(self.alive(), self.params.copies)));
        self.store(out);
        self.members.values_mut().for_each(|m| m.heard = now);
        for m in self.members.values() {
            if let Some(conn) = m.conn {
                self.welcome(conn, m.rank, out);
            }
        }
    }

    fn of(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.values().filter(move |m| m.role == role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(workers: usize, servers: usize) -> SchedulerEngine {
        SchedulerEngine::new(SchedulerParams {
            workers,
            servers,
            copies: 1,
            suspect_ms: 1000,
            join_ms: 5000,
            patience_ms: 0,
            job: 7,
        })
    }

    fn hello(role: Role, rank: Option<usize>, name: &str) -> Control {
        Control::Hello { role, rank, name: name.into(), addr: format!("at-{name}"), job: None }
    }

    /// Feeds a story of (time, connection, message) and returns what came out of the last step.
    fn play(s: &mut SchedulerEngine, story: &[(u64, u64, Control)]) -> Vec<Output> {
        let mut out = Vec::new();
        for (now, conn, message) in story {
            out.clear();
            s.step(Millis(*now), Input::Message { conn: *conn, message: message.clone() }, &mut out);
        }
        out
    }

    fn at(s: &mut SchedulerEngine, now: u64, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        s.step(Millis(now), input, &mut out);
        out
    }

    fn trio(s: &mut SchedulerEngine) -> Vec<Output> {
        let (a, b) = (hello(Role::Worker, None, "a"), hello(Role::Worker, Some(0), "b"));
        play(s, &[(0, 1, a), (0, 2, b), (0, 3, hello(Role::Server, None, "s"))])
    }

    #[test]
    fn wanted_ranks_come_first_then_arrival() {
        let view = Arc::new(View::first([(0, "at-s".to_string())].into(), 1));
        let welcome = |rank| {
            let view = Arc::clone(&view);
            Control::Welcome { rank, workers: 2, job: 7, patience_ms: 0, view }
        };
        let mut out = trio(&mut scheduler(2, 1));
        let Output::Store(state) = out.remove(0) else { panic!("the state is stored before anybody is told: {out:?}") };
        assert_eq!((state.view, state.members.len()), (Arc::clone(&view), 3));
        let want: Vec<_> = [(1, 1), (2, 0), (3, 0)].map(|(conn, r)| Output::Send { conn, message: welcome(r) }).into();
        assert_eq!(out, want);
    }

    #[test]
    fn misfits_are_refused_with_the_reason() {
        for (second, reason) in [
            (hello(Role::Worker, None, "a"), "expected a name of its own, got \"a\", which is taken by at-a"),
            (hello(Role::Worker, Some(1), "b"), "expected a free rank, got worker 1, which is at-a"),
            (hello(Role::Worker, Some(2), "b"), "expected a rank below 2 workers, got 2"),
            (hello(Role::Scheduler, None, "b"), "expected a worker or server, got a second scheduler"),
        ] {
            let out = play(&mut scheduler(2, 1), &[(0, 1, hello(Role::Worker, Some(1), "a")), (0, 2, second)]);
            let message = Control::Refuse { reason: reason.into() };
            assert_eq!(out, [Output::Send { conn: 2, message }, Output::Close { conn: 2 }]);
        }
        let mut s = scheduler(2, 1);
        trio(&mut s);
        let out = play(&mut s, &[(0, 9, hello(Role::Worker, None, "t"))]);
        assert!(
            matches!(&out[0], Output::Send { message: Control::Refuse { reason }, .. } if reason == "expected 2 workers, got one more")
        );
    }

    #[test]
    fn silence_and_closed_connections_are_losses_told_to_everyone() {
        let lost = |how: &str| (Role::Worker, 0usize, "at-b".to_string(), how.to_string());
        for (now, input, how) in [
            (1200, Input::Tick, "silent for 1200 ms (engine at step 0)"),
            (800, Input::Gone { conn: 2, how: "reset".into() }, "reset"),
        ] {
            let mut s = scheduler(2, 1);
            trio(&mut s);
            play(
                &mut s,
                &[(400, 1, Control::Beat { progress: 1, epoch: 1 }), (800, 3, Control::Beat { progress: 1, epoch: 1 })],
            );
            let mut out = at(&mut s, now, input);
            out.retain(|o| !matches!(o, Output::Store(_)));
            let (role, rank, addr, how) = lost(how);
            let message = Control::Lost { role, rank, addr: addr.clone(), how: how.clone() };
            let end = Output::End(Err(Error::NodeLost { role, rank, addr, how }));
            let send = |conn| Output::Send { conn, message: message.clone() };
            assert_eq!(out, [send(1), send(2), send(3), end]);
        }
    }

    #[test]
    fn own_pause_is_not_held_against_members() {
        let mut s = scheduler(2, 1);
        trio(&mut s);
        assert_eq!(at(&mut s, 30_000, Input::Tick), []);
        assert_eq!(at(&mut s, 30_400, Input::Tick), []);
        assert!(!at(&mut s, 30_800, Input::Tick).is_empty() || !at(&mut s, 31_200, Input::Tick).is_empty());
    }

    #[test]
    fn leaving_is_no_loss_and_the_last_one_ends_the_job() {
        let mut s = scheduler(2, 1);
        trio(&mut s);
        let end = |conn| Output::Send { conn, message: Control::End };
        assert_eq!(play(&mut s, &[(10, 1, Control::Leave)]), [end(1)]);
        assert_eq!(at(&mut s, 11, Input::Gone { conn: 1, how: "closed".into() }), []);
        let out = play(&mut s, &[(20, 2, Control::Leave)]);
        assert!(matches!(&out[1], Output::Store(state) if state.over), "nobody shall take over what has ended");
        assert_eq!([&out[..1], &out[2..]].concat(), [end(2), end(3), Output::End(Ok(()))]);
        assert_eq!(at(&mut s, 21, Input::Gone { conn: 3, how: "closed".into() }), []);
    }

    #[test]
    fn an_incomplete_job_says_who_did_not_come() {
        let mut s = scheduler(2, 1);
        let mut now = 0;
        play(&mut s, &[(0, 1, hello(Role::Worker, None, "a"))]);
        let out = loop {
            now += 400;
            let out = at(&mut s, now, Input::Tick);
            if !out.is_empty() {
                break out;
            }
        };
        let Some(Output::End(Err(error))) = out.last() else { panic!("{out:?}") };
        let text =
            "join: expected an answer within 5000 ms, still waiting for 1 of 1 servers and 1 of 2 workers (here: ; a)";
        assert_eq!(error.to_string(), text);
    }
}
