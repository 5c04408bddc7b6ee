//! A worker over TCP: the caller's own thread writes and reads, so a call costs no thread switch.

use super::call::Call;
use super::codec;
use super::config::NodeConfig;
use super::control;
use super::inbox::{Filled, Inbox};
use super::outbox::Outbox;
use super::parcel::{HEAD_BYTES_MAX, HEAD_ROOM, Parcel};
use super::watch::{Verdict, Watch, Welcome};
use crate::engine::control::Control;
use crate::engine::view::View;
use crate::engine::worker::{Input, WorkerEngine, WorkerParams};
use crate::error::{Error, Result, Role};
use crate::link::{Link, Stats};
use crate::message::{Answer, Millis, Request};
use crate::values::Values;
use crate::worker::Worker;
use handcar_base::Seed;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Joins a job as a worker: waits until all members are there, then connects to every server.
///
/// # Errors
/// [`Error::Connect`] or [`Error::Deadline`] if somebody is not there in time, [`Error::Refused`] if this process may
/// not take part, [`Error::NodeLost`] if a member is lost meanwhile whom the job cannot do without.
pub fn connect_worker(scheduler: &str, config: &NodeConfig) -> Result<Worker> {
    let (welcome, watch) = Watch::join(scheduler, Role::Worker, None, config)?;
    let until = Instant::now() + Duration::from_millis(config.join_ms);
    let made = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC);
    let (woken, wake) = made.map_err(|e| Error::System { op: "pipe", how: io::Error::from(e).to_string() })?;
    // A full pipe wakes as well as one more byte would.
    watch.wake_by(Box::new(move || {
        let _ = rustix::io::write(&wake, &[1]);
    }));
    let rank = welcome.rank;
    let params = WorkerParams {
        workers: welcome.workers,
        deadline_ms: config.deadline_ms,
        resend_ms: None,
        shared_memory: false,
        plan_bytes_max: config.plan_bytes_max,
        key_cache_bytes_max: config.key_cache_bytes_max,
    };
    let mut link = NetLink {
        start: Instant::now(),
        watch,
        woken,
        view: Arc::clone(&welcome.view),
        welcome,
        conns: BTreeMap::new(),
        retry_at: Instant::now(),
        waited: Duration::ZERO,
        attempt: ATTEMPT,
        unreached: String::new(),
        bytes: (0, 0),
        arrived: Vec::new(),
        written: Vec::new(),
    };
    link.reach_all(until, config.join_ms)?;
    let engine =
        WorkerEngine::new(params, Arc::clone(&link.view)).with_filters(config.filters.clone(), Seed(rank as u64));
    Ok(Worker::new(rank, engine, Box::new(link)))
}

/// One attempt to reach a server again.
const ATTEMPT: Duration = Duration::from_millis(50);
/// The longest attempt before the work begins, when nothing else waits: a busy server may need more than the shortest.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);
/// Between attempts.
const RETRY: Duration = Duration::from_millis(200);

struct Conn {
    stream: TcpStream,
    inbox: Inbox,
    outbox: Outbox,
    /// Callers' buffers for pulled values, by task.
    buffers: BTreeMap<u64, Values>,
    addr: String,
}

struct NetLink {
    start: Instant,
    watch: Watch,
    /// Readable when the watch has news.
    woken: OwnedFd,
    welcome: Welcome,
    view: Arc<View>,
    /// By server. One is missing while its connection is broken.
    conns: BTreeMap<usize, Conn>,
    retry_at: Instant,
    /// Time spent waiting in `poll`.
    waited: Duration,
    /// How long one attempt may take.
    attempt: Duration,
    /// How the last one failed.
    unreached: String,
    /// Written and read on connections that are no more.
    bytes: (u64, u64),
    arrived: Vec<Input>,
    written: Vec<Parcel>,
}

impl NetLink {
    /// Reaches every server of the view. Of a server that is lost meanwhile the scheduler tells in the next view, so no
    /// single one is waited for.
    fn reach_all(&mut self, until: Instant, join_ms: u64) -> Result<()> {
        loop {
            self.hear()?;
            if self.complete() {
                // The engine begins with the view there is; nobody was asked anything yet.
                self.arrived.clear();
                self.attempt = ATTEMPT;
                return Ok(());
            }
            if Instant::now() >= until {
                let missing = self.view.servers.iter().find(|(s, _)| !self.conns.contains_key(s));
                let addr = missing.map_or(String::new(), |(_, addr)| addr.clone());
                let how = std::mem::take(&mut self.unreached);
                let error = Error::Connect { role: Role::Server, addr, deadline_ms: join_ms, how };
                return Err(self.watch.judge(error));
            }
            self.attempt = (2 * self.attempt).min(ATTEMPT_MAX);
            self.wait(self.now().plus(RETRY.as_millis() as u64), None)?;
        }
    }

    /// Whether every server of the view is connected.
    fn complete(&self) -> bool {
        self.view.servers.keys().all(|s| self.conns.contains_key(s))
    }

    fn connect(&self, server: usize, addr: &str, until: Instant) -> Result<Conn> {
        let mut call = Call::reach(Role::Server, server, addr, until)?;
        call.send(&Control::Join { job: self.welcome.job, role: Role::Worker, rank: self.welcome.rank })?;
        match call.receive("join", until)? {
            Control::Admit => {}
            Control::Refuse { reason } => {
                return Err(Error::Refused { op: "join", by: format!("server {server} at {addr}"), reason });
            }
            other => {
                let (from, expected) = (format!("server {server} at {addr}"), "an admission".into());
                return Err(Error::Wire { from, expected, got: format!("{other:?}") });
            }
        }
        let Call { stream, mut inbox, outbox, .. } = call;
        inbox.admit(format!("server {server} at {addr}"));
        stream.set_nonblocking(true).map_err(|e| Error::System { op: "join", how: e.to_string() })?;
        Ok(Conn { stream, inbox, outbox, buffers: BTreeMap::new(), addr: addr.into() })
    }

    /// A connection broke: the scheduler will say whether its server is lost, else it is opened again.
    fn broken(&mut self, server: usize, how: &str) {
        if let Some(mut conn) = self.conns.remove(&server) {
            // What was not written comes back for its buffers.
            self.written.extend(conn.outbox.take_back());
            tracing::debug!(server, conn.addr, how, "a connection to a server ended");
            self.bytes.0 += conn.outbox.bytes();
            self.bytes.1 += conn.inbox.bytes();
            // The scheduler probably knows more by then.
            self.retry_at = Instant::now() + RETRY;
        }
    }

    /// Hears the scheduler's news: a verdict ends the job, a view changes the connections.
    fn hear(&mut self) -> Result<()> {
        if let Some(Verdict::Lost(error)) = self.watch.verdict() {
            return Err(error);
        }
        if let Some(view) = self.watch.news().view
            && view.epoch > self.view.epoch
        {
            self.view = Arc::clone(&view);
            let gone: Vec<usize> = self.conns.keys().filter(|s| !view.servers.contains_key(s)).copied().collect();
            gone.into_iter().for_each(|server| self.broken(server, "it is out of the job"));
            self.retry_at = Instant::now();
            self.arrived.push(Input::View(view));
        }
        if Instant::now() >= self.retry_at {
            let view = Arc::clone(&self.view);
            for (&server, addr) in view.servers.iter().filter(|(s, _)| !self.conns.contains_key(s)).collect::<Vec<_>>()
            {
                match self.connect(server, addr, Instant::now() + self.attempt) {
                    Ok(conn) => {
                        self.conns.insert(server, conn);
                        self.arrived.push(Input::Reconnected { server });
                    }
                    Err(error @ Error::Refused { .. }) => return Err(self.watch.judge(error)),
                    Err(error) => {
                        tracing::debug!(server, %error, "cannot reach a server");
                        self.unreached = error.to_string();
                    }
                }
            }
            self.retry_at = Instant::now() + RETRY;
        }
        Ok(())
    }

    /// Reads what has come from a server.
    fn read(&mut self, server: usize) -> Result<()> {
        loop {
            let Some(conn) = self.conns.get_mut(&server) else { return Ok(()) };
            let filled = conn.inbox.fill(&mut conn.stream);
            let Conn { inbox, buffers, .. } = conn;
            while let Some(parcel) =
                inbox.next(&mut |_, task, dtype| buffers.remove(&task).unwrap_or(Values::empty(dtype)))?
            {
                let task = parcel.task;
                let kind = parcel.kind;
                // A server that cannot read what we sent says so before it closes.
                if kind == control::REFUSE
                    && let Ok(Control::Refuse { reason }) = control::unpack(&parcel)
                {
                    return Err(Error::Refused { op: "wire", by: inbox.from().into(), reason });
                }
                let mut reply = codec::unpack_reply(parcel).map_err(|expected| {
                    let got = format!("a message of kind {kind}");
                    Error::Wire { from: inbox.from().into(), expected, got }
                })?;
                let buffer = buffers.remove(&task);
                if let Answer::Miss { pull, .. } = &mut reply.answer {
                    *pull = buffer;
                }
                self.arrived.push(Input::Reply { server, reply });
            }
            match filled {
                Ok(Filled::More) => {}
                Ok(Filled::Drained) => return Ok(()),
                Ok(Filled::Closed) => {
                    self.broken(server, "connection closed");
                    return Ok(());
                }
                Err(e) => {
                    self.broken(server, &e.to_string());
                    return Ok(());
                }
            }
        }
    }

    /// Waits until some socket is ready or there is news, at most until `until`, and reads. `writing` also waits to
    /// write to a server.
    fn wait(&mut self, until: Millis, writing: Option<usize>) -> Result<()> {
        let mut left = Duration::from_millis(until.since(self.now()));
        if self.conns.len() < self.view.servers.len() {
            left = left.min(self.retry_at.saturating_duration_since(Instant::now()));
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(&self.woken, PollFlags::IN)];
        for (&server, conn) in &self.conns {
            let out = if writing == Some(server) { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(&conn.stream, PollFlags::IN | out));
        }
        let began = Instant::now();
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::System { op: "poll", how: io::Error::from(e).to_string() }),
        }
        self.waited += began.elapsed();
        let readable = |f: &PollFd<'_>| f.revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        let news = readable(&fds[0]);
        let ready: Vec<usize> =
            self.conns.keys().zip(&fds[1..]).filter(|(_, f)| readable(f)).map(|(&server, _)| server).collect();
        if news {
            let mut bytes = [0; 64];
            while rustix::io::read(&self.woken, &mut bytes).is_ok_and(|n| n == bytes.len()) {}
        }
        for server in ready {
            self.read(server)?;
        }
        if news || self.conns.len() < self.view.servers.len() {
            self.hear()?;
        }
        Ok(())
    }
}

impl Link for NetLink {
    fn now(&self) -> Millis {
        Millis(self.start.elapsed().as_millis() as u64)
    }

    fn small_bytes_max(&self) -> usize {
        HEAD_BYTES_MAX - HEAD_ROOM
    }

    fn send(&mut self, server: usize, request: Request) -> Result<Option<Request>> {
        let (task, until, deadline_ms) = (request.task.0, self.now().plus(request.deadline_ms), request.deadline_ms);
        let op = request.ask.op();
        // Without a connection it is as if sent and lost: a new connection or view makes the engine send it again.
        let Some(conn) = self.conns.get_mut(&server) else { return Ok(Some(request)) };
        let (parcel, buffer) = codec::pack_request(request);
        parcel.check().map_err(|(expected, got)| Error::argument(op, expected, got))?;
        conn.buffers.extend(buffer.map(|b| (task, b)));
        conn.outbox.push(parcel);
        while let Some(conn) = self.conns.get_mut(&server) {
            match conn.outbox.flush(&mut conn.stream, &mut self.written) {
                Ok(true) => break,
                // The server reads while it writes and so must we, or two full sockets would wait for each other.
                Ok(false) => {}
                Err(e) => {
                    // The server may have said why before it closed.
                    self.read(server)?;
                    self.broken(server, &e.to_string());
                    break;
                }
            }
            self.wait(until, Some(server))?;
            if self.now() >= until {
                let addr = self.conns.get(&server).map(|c| c.addr.clone()).unwrap_or_default();
                let waiting_for = format!("server {server} at {addr} to read");
                return Err(Error::Deadline { op, deadline_ms, waiting_for });
            }
        }
        Ok(self.written.pop().map(|parcel| codec::sent_request(parcel, None)))
    }

    fn receive(&mut self, until: Millis, inbox: &mut Vec<Input>) -> Result<()> {
        self.hear()?;
        while self.arrived.is_empty() {
            self.wait(until, None)?;
            if self.now() >= until {
                break;
            }
        }
        inbox.append(&mut self.arrived);
        Ok(())
    }

    fn report_progress(&mut self, progress: u64) {
        self.watch.set_progress(progress, self.view.epoch);
    }

    fn finish(&mut self) -> Result<()> {
        self.watch.leave()
    }

    fn stats(&self) -> Stats {
        let bytes_sent = self.bytes.0 + self.conns.values().map(|c| c.outbox.bytes()).sum::<u64>();
        let bytes_received = self.bytes.1 + self.conns.values().map(|c| c.inbox.bytes()).sum::<u64>();
        Stats { bytes_sent, bytes_received, waited: self.waited, ..Stats::default() }
    }
}
