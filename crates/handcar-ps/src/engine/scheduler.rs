//! `SchedulerEngine`: who belongs to the job, and who is still alive.

use crate::engine::control::Control;
use crate::error::{Error, Role};
use crate::message::Millis;
use std::collections::BTreeMap;

/// What a scheduler must know.
#[derive(Clone, Debug)]
pub struct SchedulerParams {
    /// Workers in the job.
    pub workers: usize,
    /// Servers in the job.
    pub servers: usize,
    /// Silence after which a member counts as lost.
    pub suspect_ms: u64,
    /// Time for all members to arrive.
    pub join_ms: u64,
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

/// What a scheduler wants done.
#[derive(Debug, PartialEq)]
pub enum Output {
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
    members: BTreeMap<u64, Member>,
    begun: bool,
    over: bool,
}

impl SchedulerEngine {
    /// A scheduler that waits for its members.
    pub fn new(params: SchedulerParams) -> Self {
        Self { params, start: None, stepped: Millis(0), members: BTreeMap::new(), begun: false, over: false }
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
                if self.members.get(&conn).is_some_and(|m| !m.left) {
                    self.lose(conn, how, out);
                }
            }
            Input::Tick => self.tick(now, out),
        }
    }

    /// If this process itself was stopped, its members' beats are waiting unread: their silence proves nothing.
    fn forgive(&mut self, now: Millis) {
        let start = *self.start.get_or_insert(now);
        let gap = now.since(self.stepped.max(start));
        if gap > self.params.suspect_ms / 2 {
            self.members.values_mut().for_each(|m| m.heard = m.heard.plus(gap));
        }
        self.stepped = now;
    }

    fn message(&mut self, now: Millis, conn: u64, message: Control, out: &mut Vec<Output>) {
        match (message, self.members.get_mut(&conn)) {
            (Control::Hello { role, rank, name, addr }, None) => {
                let member = Member { role, rank, name, addr, heard: now, progress: 0, left: false };
                if let Err(reason) = self.acceptable(&member) {
                    out.push(Output::Send { conn, message: Control::Refuse { reason } });
                    out.push(Output::Close { conn });
                    return;
                }
                self.members.insert(conn, member);
                self.begin(now, out);
            }
            (Control::Beat { progress }, Some(member)) => {
                (member.heard, member.progress) = (now, progress);
                out.push(Output::Send { conn, message: Control::Beat { progress } });
            }
            (Control::Leave, Some(member)) if member.role == Role::Worker => {
                member.left = true;
                out.push(Output::Send { conn, message: Control::End });
                let mut workers = self.members.values().filter(|m| m.role == Role::Worker);
                if self.begun && workers.all(|m| m.left) {
                    for (&conn, member) in self.members.iter_mut().filter(|(_, m)| m.role == Role::Server) {
                        member.left = true;
                        out.push(Output::Send { conn, message: Control::End });
                    }
                    self.over = true;
                    out.push(Output::End(Ok(())));
                }
            }
            (_, Some(_)) => self.lose(conn, "it sent a message that does not fit its state".into(), out),
            (_, None) => out.push(Output::Close { conn }),
        }
    }

    fn acceptable(&self, new: &Member) -> Result<(), String> {
        let (role, expected) = match new.role {
            Role::Worker => ("workers", self.params.workers),
            Role::Server => ("servers", self.params.servers),
            Role::Scheduler => return Err("expected a worker or server, got a second scheduler".into()),
        };
        if let Some(rank) = new.rank.filter(|&r| r >= expected) {
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
        if same == expected { Err(format!("expected {expected} {role}, got one more")) } else { Ok(()) }
    }

    /// Begins the job once everybody is here.
    fn begin(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.begun || self.members.len() < self.params.workers + self.params.servers {
            return;
        }
        self.begun = true;
        for role in [Role::Server, Role::Worker] {
            let taken: Vec<usize> = self.of(role).filter_map(|m| m.rank).collect();
            let mut free = (0..).filter(|r| !taken.contains(r));
            // Connections are numbered by arrival.
            for m in self.members.values_mut().filter(|m| m.role == role && m.rank.is_none()) {
                m.rank = free.next();
            }
        }
        let mut servers = vec![String::new(); self.params.servers];
        for m in self.of(Role::Server) {
            servers[m.rank.unwrap_or(0)].clone_from(&m.addr);
        }
        for (&conn, m) in &mut self.members {
            m.heard = now;
            let (rank, workers, job) = (m.rank.unwrap_or(0), self.params.workers, self.params.job);
            out.push(Output::Send { conn, message: Control::Welcome { rank, workers, job, servers: servers.clone() } });
        }
    }

    fn of(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.values().filter(move |m| m.role == role)
    }

    fn tick(&mut self, now: Millis, out: &mut Vec<Output>) {
        // Before the job begins members only wait; then the time to join is the limit.
        let silent = |m: &Member| self.begun && !m.left && now.since(m.heard) > self.params.suspect_ms;
        let worst = self.members.iter().filter(|(_, m)| silent(m)).min_by_key(|(_, m)| m.heard);
        if let Some((&conn, m)) = worst {
            let how = format!("silent for {} ms (engine at step {})", now.since(m.heard), m.progress);
            return self.lose(conn, how, out);
        }
        let start = self.start.unwrap_or(now);
        if !self.begun && now.since(start) > self.params.join_ms {
            let got = |role| self.of(role).map(|m| m.name.clone()).collect::<Vec<_>>().join(", ");
            let waiting_for = format!(
                "{} of {} servers and {} of {} workers (here: {}; {})",
                self.params.servers - self.of(Role::Server).count(),
                self.params.servers,
                self.params.workers - self.of(Role::Worker).count(),
                self.params.workers,
                got(Role::Server),
                got(Role::Worker)
            );
            for &conn in self.members.keys() {
                let reason = format!("the job did not begin: waiting for {waiting_for}");
                out.push(Output::Send { conn, message: Control::Refuse { reason } });
            }
            self.over = true;
            out.push(Output::End(Err(Error::Deadline { op: "join", deadline_ms: self.params.join_ms, waiting_for })));
        }
    }

    fn lose(&mut self, conn: u64, how: String, out: &mut Vec<Output>) {
        let Some(lost) = self.members.get(&conn) else { return };
        // One that was lost before ranks were given is named by its place in line.
        let place = || self.members.range(..conn).filter(|(_, m)| m.role == lost.role).count();
        let (role, rank, addr) = (lost.role, lost.rank.unwrap_or_else(place), lost.addr.clone());
        // The lost one is told too: it may only have been stopped, and must not go on alone.
        for (&conn, _) in self.members.iter().filter(|(_, m)| !m.left) {
            let message = Control::Lost { role, rank, addr: addr.clone(), how: how.clone() };
            out.push(Output::Send { conn, message });
        }
        self.over = true;
        out.push(Output::End(Err(Error::NodeLost { role, rank, addr, how })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(workers: usize, servers: usize) -> SchedulerEngine {
        SchedulerEngine::new(SchedulerParams { workers, servers, suspect_ms: 1000, join_ms: 5000, job: 7 })
    }

    fn hello(role: Role, rank: Option<usize>, name: &str) -> Control {
        Control::Hello { role, rank, name: name.into(), addr: format!("at-{name}") }
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
        let welcome = |rank| Control::Welcome { rank, workers: 2, job: 7, servers: vec!["at-s".into()] };
        let out = trio(&mut scheduler(2, 1));
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
        let out = play(&mut s, &[(0, 9, hello(Role::Server, None, "t"))]);
        assert!(
            matches!(&out[0], Output::Send { message: Control::Refuse { reason }, .. } if reason == "expected 1 servers, got one more")
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
            play(&mut s, &[(400, 1, Control::Beat { progress: 1 }), (800, 3, Control::Beat { progress: 1 })]);
            let out = at(&mut s, now, input);
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
        assert_eq!(play(&mut s, &[(20, 2, Control::Leave)]), [end(2), end(3), Output::End(Ok(()))]);
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
