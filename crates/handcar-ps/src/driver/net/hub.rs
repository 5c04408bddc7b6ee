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
use std::io;
use std::net::{Shutdown, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections at once: the published system had 1000 nodes.
const CONNECTIONS_MAX: usize = 4096;
/// Reads of one connection before the others have their turn.
const READS_PER_TURN: usize = 16;
/// Bytes queued for a peer that does not read; beyond this it is cut off.
const QUEUED_BYTES_MAX: usize = 1 << 30;
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
    /// Close once everything is written.
    closing: bool,
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
            let conn = Conn {
                stream,
                inbox,
                outbox: Outbox::default(),
                born: Instant::now(),
                admitted: false,
                closing: false,
            };
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
        self.conns.insert(number, Conn { stream, inbox, outbox, born, admitted: true, closing: false });
        self.next += 1;
        Ok(number)
    }

    /// Ends a connection at once, without an event.
    pub fn cut(&mut self, conn: u64) {
        if let Some(mut c) = self.conns.remove(&conn) {
            let _ = self.poll.registry().deregister(&mut c.stream);
        }
    }

    /// Closes connections that never said who they are.
    fn sweep(&mut self) {
        let silent = |c: &Conn| !c.admitted && c.born.elapsed() > GREETING;
        let old: Vec<u64> = self.conns.iter().filter(|(_, c)| silent(c)).map(|(&n, _)| n).collect();
        for conn in old {
            self.drop_conn(conn, "it did not say who it is in time".into());
        }
    }

    fn read(&mut self, number: u64, events: &mut Vec<Event>, buffers: &mut dyn FnMut(u8, u64, Dtype) -> Values) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        for _ in 0..READS_PER_TURN {
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
            c.outbox.push(parcel);
            if c.outbox.queued_bytes() > self.queued_bytes_max {
                let got = format!("it left more than {} bytes unread", self.queued_bytes_max);
                return self.drop_conn(conn, format!("expected it to read, but {got}"));
            }
            self.flush(conn);
        }
    }

    /// Closes a connection once everything is written.
    pub fn close(&mut self, conn: u64) {
        if let Some(c) = self.conns.get_mut(&conn) {
            c.closing = true;
        }
        self.flush(conn);
    }

    fn flush(&mut self, number: u64) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        match conn.outbox.flush(&mut conn.stream, &mut self.written) {
            // The other side closes when it has read everything; closing first could discard it.
            Ok(true) if conn.closing => drop(conn.stream.shutdown(Shutdown::Write)),
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
mod tests {
    use super::*;
    use std::io::Read;

    fn nothing(_: u8, _: u64, dtype: Dtype) -> Values {
        Values::empty(dtype)
    }

    fn bulk() -> Parcel {
        Parcel { kind: 100, values: Some(vec![1.0f32; 1 << 20].into()), width: 1, ..Parcel::default() }
    }

    /// A client and the number of its connection.
    fn client(hub: &mut Hub) -> (std::net::TcpStream, u64) {
        let client = std::net::TcpStream::connect(hub.listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let known = hub.next;
        while hub.next == known {
            hub.wait(Duration::from_secs(60), &mut Vec::new(), &mut nothing).unwrap();
        }
        hub.admit(known, "it".into());
        (client, known)
    }

    #[test]
    fn a_peer_that_stops_reading_is_cut_off_and_the_others_are_served() {
        let (mut hub, _) = Hub::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        hub.queued_bytes_max = 64 << 20;
        let (_deaf, deaf) = client(&mut hub);
        let (mut well, fine) = client(&mut hub);
        let mut events = Vec::new();
        // Each parcel is 4 MiB; what the system's own buffers take may come on top.
        let cut = (1..1000).find(|_| {
            hub.send(deaf, bulk());
            hub.wait(Duration::ZERO, &mut events, &mut nothing).unwrap();
            !events.is_empty()
        });
        assert!(cut.is_some_and(|n| n >= 16), "{cut:?}");
        let [Event::Gone { conn, how }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((*conn, how.as_str()), (deaf, "expected it to read, but it left more than 67108864 bytes unread"));
        hub.send(deaf, bulk());
        assert!(!hub.conns.contains_key(&deaf), "what is sent to it afterwards goes nowhere");
        hub.send(fine, bulk());
        let reader = std::thread::spawn(move || {
            let mut got = vec![0; 4 << 20];
            well.read_exact(&mut got).map(|()| got.len())
        });
        while !reader.is_finished() {
            hub.wait(Duration::from_millis(20), &mut events, &mut nothing).unwrap();
        }
        assert_eq!(reader.join().unwrap().unwrap(), 4 << 20);
    }
}
