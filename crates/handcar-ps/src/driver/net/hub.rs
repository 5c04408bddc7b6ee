//! `Hub`: the event loop of a scheduler or server - one listener, many connections, one thread.

use super::control;
use super::inbox::{Filled, Inbox};
use super::outbox::Outbox;
use super::parcel::Parcel;
use crate::engine::control::Control;
use crate::error::{Error, Result};
use crate::values::{Dtype, Values};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{Shutdown, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections at once: the published system had 1000 nodes.
const CONNECTIONS_MAX: usize = 4096;
/// Reads of one connection before the others have their turn.
const READS_PER_TURN: usize = 16;
/// Bytes queued for a peer that does not read; beyond this it is cut off. The parcel being written and the one that comes
/// do not count: however large, they show nothing about the peer.
const QUEUED_BYTES_MAX: usize = 1 << 30;
/// Time for a peer to read the last word and close; then this side does.
const CLOSING: Duration = Duration::from_secs(5);
/// Between looks for connections that are of no more use.
const SWEEP: Duration = Duration::from_secs(1);
/// Time for a new connection to say who it is.
const GREETING: Duration = Duration::from_secs(5);

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST: u64 = 2;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A message came.
    Parcel {
        /// The connection.
        conn: u64,
        /// The message.
        parcel: Parcel,
    },
    /// A connection is no more.
    Gone {
        /// The connection.
        conn: u64,
        /// The evidence.
        how: String,
    },
}

struct Conn {
    stream: TcpStream,
    inbox: Inbox,
    outbox: Outbox,
    born: Instant,
    admitted: bool,
    /// Close once everything is written, since when; what it sends meanwhile is read for nothing.
    closing: Option<Instant>,
}

/// Connections by number; a number is never used twice.
pub struct Hub {
    poll: Poll,
    ready: Events,
    listener: TcpListener,
    conns: BTreeMap<u64, Conn>,
    next: u64,
    /// Connections that may hold more to read.
    again: Vec<u64>,
    pending: Vec<Event>,
    queued_bytes_max: usize,
    closing_max: Duration,
    swept: Instant,
    /// Parcels written whole, for their buffers.
    pub written: Vec<Parcel>,
}

fn system(op: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |e| Error::System { op, how: e.to_string() }
}

impl Hub {
    /// Takes over a listener. The waker ends a [`wait`](Self::wait) from another thread.
    pub fn new(listener: std::net::TcpListener) -> Result<(Self, Arc<Waker>)> {
        listener.set_nonblocking(true).map_err(system("listen"))?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new().map_err(system("epoll"))?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(system("epoll"))?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(system("epoll"))?);
        let hub = Self {
            poll,
            ready: Events::with_capacity(256),
            listener,
            conns: BTreeMap::new(),
            next: FIRST,
            again: Vec::new(),
            pending: Vec::new(),
            queued_bytes_max: QUEUED_BYTES_MAX,
            closing_max: CLOSING,
            swept: Instant::now(),
            written: Vec::new(),
        };
        Ok((hub, waker))
    }

    /// Waits for something, at most so long, and appends what happened. `buffers` finds memory for values.
    pub fn wait(
        &mut self,
        timeout: Duration,
        events: &mut Vec<Event>,
        buffers: &mut dyn FnMut(u8, u64, Dtype) -> Values,
    ) -> Result<()> {
        let timeout = if self.again.is_empty() && self.pending.is_empty() { timeout } else { Duration::ZERO };
        match self.poll.poll(&mut self.ready, Some(timeout)) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(system("epoll")(e)),
            _ => {}
        }
        events.append(&mut self.pending);
        let mut readable = std::mem::take(&mut self.again);
        let mut writable = Vec::new();
        let mut knocks = false;
        for event in &self.ready {
            match event.token() {
                LISTENER => knocks = true,
                WAKER => {}
                Token(conn) => {
                    if event.is_writable() {
                        writable.push(conn as u64);
                    }
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        readable.push(conn as u64);
                    }
                }
            }
        }
        for conn in writable {
            self.flush(conn);
        }
        readable.sort_unstable();
        readable.dedup();
        for conn in readable {
            self.read(conn, events, buffers);
        }
        if knocks {
            self.accept();
        }
        if self.swept.elapsed() >= SWEEP.min(self.closing_max) {
            self.sweep();
        }
        events.append(&mut self.pending);
        Ok(())
    }

    fn accept(&mut self) {
        loop {
            let (mut stream, addr) = match self.listener.accept() {
                Ok(found) => found,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // A peer that gave up before it was accepted, or no free handle: neither is ours to die of.
                Err(e) => return tracing::warn!(%e, "accept"),
            };
            self.sweep();
            if self.conns.len() >= CONNECTIONS_MAX {
                tracing::warn!(%addr, "refused: {CONNECTIONS_MAX} connections are open");
                continue;
            }
            let token = Token(self.next as usize);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let prepared =
                stream.set_nodelay(true).and_then(|()| self.poll.registry().register(&mut stream, token, interest));
            if let Err(e) = prepared {
                tracing::warn!(%addr, %e, "accept");
                continue;
            }
            let inbox = Inbox::new(addr.to_string());
            let conn =
                Conn { stream, inbox, outbox: Outbox::default(), born: Instant::now(), admitted: false, closing: None };
            self.conns.insert(self.next, conn);
            self.next += 1;
        }
    }

    /// Opens a connection; whether it succeeds shows later. Whom one calls one trusts with large messages.
    ///
    /// # Errors
    /// The system's, if the address has no meaning or there is no free handle.
    pub fn connect(&mut self, addr: &str) -> io::Result<u64> {
        let socket = addr.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect(socket)?;
        stream.set_nodelay(true)?;
        let number = self.next;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(number as usize), interest)?;
        let mut inbox = Inbox::new(addr.into());
        inbox.admit(addr.into());
        let (outbox, born) = (Outbox::default(), Instant::now());
        self.conns.insert(number, Conn { stream, inbox, outbox, born, admitted: true, closing: None });
        self.next += 1;
        Ok(number)
    }

    /// Ends a connection at once, without an event.
    pub fn cut(&mut self, conn: u64) {
        if let Some(mut c) = self.conns.remove(&conn) {
            let _ = self.poll.registry().deregister(&mut c.stream);
        }
    }

    /// Closes connections that never said who they are, and those that their peer should have closed.
    fn sweep(&mut self) {
        self.swept = Instant::now();
        let late = |c: &Conn| match c.closing {
            Some(since) if since.elapsed() > self.closing_max => Some("it did not close in time"),
            None if !c.admitted && c.born.elapsed() > GREETING => Some("it did not say who it is in time"),
            _ => None,
        };
        let old: Vec<_> = self.conns.iter().filter_map(|(&n, c)| Some((n, late(c)?))).collect();
        for (conn, how) in old {
            self.drop_conn(conn, how.into());
        }
    }

    /// Whether a connection only has its last word left to read.
    pub fn closing(&self, conn: u64) -> bool {
        self.conns.get(&conn).is_some_and(|c| c.closing.is_some())
    }

    /// Bytes waiting to be written, about; `None` if the connection is no more.
    pub fn queued_bytes(&self, conn: u64) -> Option<usize> {
        self.conns.get(&conn).map(|c| c.outbox.queued_bytes())
    }

    fn read(&mut self, number: u64, events: &mut Vec<Event>, buffers: &mut dyn FnMut(u8, u64, Dtype) -> Values) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        for _ in 0..READS_PER_TURN {
            if conn.closing.is_some() {
                // Unread bytes would make the system discard the last word with the connection.
                match conn.stream.read(&mut [0; 4096]) {
                    Ok(0) => return self.drop_conn(number, "connection closed".into()),
                    Ok(_) => continue,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => return self.drop_conn(number, e.to_string()),
                }
            }
            let filled = match conn.inbox.fill(&mut conn.stream) {
                Ok(filled) => filled,
                Err(e) => return self.drop_conn(number, e.to_string()),
            };
            loop {
                match conn.inbox.next(buffers) {
                    Ok(Some(parcel)) => {
                        events.push(Event::Parcel { conn: number, parcel });
                        if !conn.admitted {
                            // What follows a greeting is read once the greeting was judged.
                            return self.again.push(number);
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        let reason = error.to_string();
                        conn.outbox.push(control::pack(&Control::Refuse { reason: reason.clone() }));
                        self.flush(number);
                        return self.drop_conn(number, reason);
                    }
                }
            }
            match filled {
                Filled::Drained => return,
                Filled::Closed => return self.drop_conn(number, "connection closed".into()),
                Filled::More => {}
            }
        }
        self.again.push(number);
    }

    /// The connection's peer is known by this name now, and may send large messages.
    pub fn admit(&mut self, conn: u64, name: String) {
        if let Some(c) = self.conns.get_mut(&conn) {
            c.admitted = true;
            c.inbox.admit(name);
        }
    }

    /// Queues a message and writes as much as the socket takes.
    pub fn send(&mut self, conn: u64, parcel: Parcel) {
        if let Some(c) = self.conns.get_mut(&conn) {
            let behind = c.outbox.behind_bytes();
            c.outbox.push(parcel);
            if behind > self.queued_bytes_max {
                let got = format!("it left more than {} bytes unread", self.queued_bytes_max);
                return self.drop_conn(conn, format!("expected it to read, but {got}"));
            }
            self.flush(conn);
        }
    }

    /// Closes a connection once everything is written.
    pub fn close(&mut self, conn: u64) {
        if let Some(c) = self.conns.get_mut(&conn) {
            c.closing.get_or_insert_with(Instant::now);
        }
        self.flush(conn);
    }

    fn flush(&mut self, number: u64) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        match conn.outbox.flush(&mut conn.stream, &mut self.written) {
            // The other side closes when it has read everything; closing first could discard it.
            Ok(true) if conn.closing.is_some() => drop(conn.stream.shutdown(Shutdown::Write)),
            Ok(_) => {}
            Err(e) => self.drop_conn(number, e.to_string()),
        }
    }

    fn drop_conn(&mut self, conn: u64, how: String) {
        if let Some(mut c) = self.conns.remove(&conn) {
            // Closing ends the registration anyway.
            let _ = self.poll.registry().deregister(&mut c.stream);
            self.pending.push(Event::Gone { conn, how });
        }
    }

    /// Writes what is queued, then waits for the peers to close, at most so long.
    pub fn linger(mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let all: Vec<u64> = self.conns.keys().copied().collect();
        all.into_iter().for_each(|conn| self.close(conn));
        let mut events = Vec::new();
        while !self.conns.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.wait(left, &mut events, &mut |_, _, dtype| Values::empty(dtype))?;
            events.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
