//! A worker over TCP: the caller's own thread writes and reads, so a call costs no thread switch.

use super::call::Call;
use super::codec;
use super::config::NodeConfig;
use super::control;
use super::inbox::{Filled, Inbox};
use super::outbox::Outbox;
use super::parcel::Parcel;
use super::watch::Watch;
use crate::engine::control::Control;
use crate::engine::worker::{Input, WorkerEngine, WorkerParams};
use crate::error::{Error, Result, Role};
use crate::link::{Link, Stats};
use crate::message::{Answer, Millis, Request};
use crate::values::Values;
use crate::worker::Worker;
use handcar_base::Seed;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Joins a job as a worker: waits until all members are there, then connects to every server.
///
/// # Errors
/// [`Error::Connect`] or [`Error::Deadline`] if somebody is not there in time, [`Error::Refused`] if this process may
/// not take part, [`Error::NodeLost`] if a member is lost meanwhile.
pub fn connect_worker(scheduler: &str, config: &NodeConfig) -> Result<Worker> {
    let (welcome, watch) = Watch::join(scheduler, Role::Worker, None, config)?;
    let until = Instant::now() + Duration::from_millis(config.join_ms);
    let mut conns = Vec::with_capacity(welcome.view.servers.len());
    for (&server, addr) in &welcome.view.servers {
        conns.push(connect(server, addr, &welcome, &watch, until).map_err(|e| watch.judge(e))?);
    }
    let view = Arc::clone(&welcome.view);
    let params = WorkerParams {
        workers: welcome.workers,
        deadline_ms: config.deadline_ms,
        resend_ms: None,
        shared_memory: false,
        plan_bytes_max: config.plan_bytes_max,
        key_cache_bytes_max: config.key_cache_bytes_max,
    };
    let link = NetLink {
        start: Instant::now(),
        watch,
        conns,
        arrived: Vec::new(),
        written: Vec::new(),
        deadline_ms: config.deadline_ms,
    };
    let engine = WorkerEngine::new(params, view).with_filters(config.filters.clone(), Seed(welcome.rank as u64));
    Ok(Worker::new(welcome.rank, engine, Box::new(link)))
}

fn connect(server: usize, addr: &str, welcome: &super::watch::Welcome, watch: &Watch, until: Instant) -> Result<Conn> {
    let mut call = Call::reach(Role::Server, server, addr, until)?;
    watch.guard(&call.stream)?;
    call.send(&Control::Join { job: welcome.job, role: Role::Worker, rank: welcome.rank })?;
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
    conns: Vec<Conn>,
    arrived: Vec<Input>,
    written: Vec<Parcel>,
    deadline_ms: u64,
}

impl NetLink {
    fn lost(&self, server: usize, how: String) -> Error {
        let addr = self.conns[server].addr.clone();
        self.watch.judge(Error::NodeLost { role: Role::Server, rank: server, addr, how })
    }

    /// Writes what is queued for a server; `false` if its socket is full.
    fn flush(&mut self, server: usize) -> Result<bool> {
        let conn = &mut self.conns[server];
        match conn.outbox.flush(&mut conn.stream, &mut self.written) {
            Ok(done) => Ok(done),
            // The server may have said why before it closed.
            Err(e) => match self.read(server) {
                Ok(()) => Err(self.lost(server, e.to_string())),
                Err(error) => Err(error),
            },
        }
    }

    /// Reads what has come from a server.
    fn read(&mut self, server: usize) -> Result<()> {
        loop {
            let conn = &mut self.conns[server];
            let filled = match conn.inbox.fill(&mut conn.stream) {
                Ok(filled) => filled,
                Err(e) => return Err(self.lost(server, e.to_string())),
            };
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
                Filled::More => {}
                Filled::Drained => return Ok(()),
                Filled::Closed => return Err(self.lost(server, "connection closed".into())),
            }
        }
    }

    /// Waits until some socket is ready, at most until `until`, and reads. `writing` also waits to write to a server.
    fn wait(&mut self, until: Millis, writing: Option<usize>) -> Result<()> {
        let left = Duration::from_millis(until.since(self.now()));
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(self.conns.len());
        for (server, conn) in self.conns.iter().enumerate() {
            let out = if writing == Some(server) { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(&conn.stream, PollFlags::IN | out));
        }
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::System { op: "poll", how: io::Error::from(e).to_string() }),
        }
        let readable = |f: &PollFd<'_>| f.revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        let ready: Vec<usize> = fds.iter().enumerate().filter(|(_, f)| readable(f)).map(|(i, _)| i).collect();
        ready.into_iter().try_for_each(|server| self.read(server))
    }
}

impl Link for NetLink {
    fn now(&self) -> Millis {
        Millis(self.start.elapsed().as_millis() as u64)
    }

    fn send(&mut self, server: usize, request: Request) -> Result<Option<Request>> {
        let (task, until) = (request.task.0, self.now().plus(request.deadline_ms));
        let op = request.ask.op();
        let (parcel, buffer) = codec::pack_request(request);
        let conn = &mut self.conns[server];
        conn.buffers.extend(buffer.map(|b| (task, b)));
        conn.outbox.push(parcel);
        // The server reads while it writes and so must we, or two full sockets would wait for each other.
        while !self.flush(server)? {
            self.wait(until, Some(server))?;
            if self.now() >= until {
                let waiting_for = format!("server {server} at {} to read", self.conns[server].addr);
                return Err(Error::Deadline { op, deadline_ms: self.deadline_ms, waiting_for });
            }
        }
        Ok(self.written.pop().map(|parcel| codec::sent_request(parcel, None)))
    }

    fn receive(&mut self, until: Millis, inbox: &mut Vec<Input>) -> Result<()> {
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
        self.watch.set_progress(progress);
    }

    fn finish(&mut self) -> Result<()> {
        self.watch.leave()
    }

    fn stats(&self) -> Stats {
        let bytes_sent = self.conns.iter().map(|c| c.outbox.bytes()).sum();
        let bytes_received = self.conns.iter().map(|c| c.inbox.bytes()).sum();
        Stats { bytes_sent, bytes_received, ..Stats::default() }
    }
}
