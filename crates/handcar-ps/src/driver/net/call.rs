//! `Call`: a blocking connection used for greetings.

use super::control;
use super::inbox::{Filled, Inbox};
use super::outbox::Outbox;
use crate::engine::control::Control;
use crate::error::{Error, Result, Role};
use crate::values::Values;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Between attempts to reach a peer that may not have started yet.
const RETRY: Duration = Duration::from_millis(20);

/// A fresh connection to a peer.
pub struct Call {
    pub stream: TcpStream,
    pub inbox: Inbox,
    pub outbox: Outbox,
    role: Role,
    rank: usize,
    addr: String,
}

impl Call {
    /// Reaches a peer, trying again until `until`: it may not listen yet.
    pub fn reach(role: Role, rank: usize, addr: &str, until: Instant) -> Result<Self> {
        let start = Instant::now();
        let stream = loop {
            let how = match attempt(addr, until) {
                Ok(stream) => break stream,
                Err(e) => e.to_string(),
            };
            if Instant::now() + RETRY >= until {
                let deadline_ms = until.saturating_duration_since(start).as_micros().div_ceil(1000) as u64;
                return Err(Error::Connect { role, addr: addr.into(), deadline_ms, how });
            }
            #[expect(clippy::disallowed_methods, reason = "a port that will be opened cannot be waited for otherwise")]
            std::thread::sleep(RETRY);
        };
        let inbox = Inbox::new(format!("the {role} at {addr}"));
        Ok(Self { stream, inbox, outbox: Outbox::default(), role, rank, addr: addr.into() })
    }

    /// Sends a message; it is small enough for the socket's buffer.
    pub fn send(&mut self, message: &Control) -> Result<()> {
        self.outbox.push(control::pack(message));
        match self.outbox.flush(&mut self.stream, &mut Vec::new()) {
            Ok(_) => Ok(()),
            Err(e) => Err(self.lost(e.to_string())),
        }
    }

    /// Receives a message, for `op`.
    pub fn receive(&mut self, op: &'static str, until: Instant) -> Result<Control> {
        let start = Instant::now();
        loop {
            if let Some(parcel) = self.inbox.next(&mut |_, _, dtype| Values::empty(dtype))? {
                return control::unpack(&parcel).map_err(|expected| {
                    let from = self.inbox.from().into();
                    Error::Wire { from, expected, got: format!("a message of kind {}", parcel.kind) }
                });
            }
            let left = until.saturating_duration_since(Instant::now());
            let deadline_ms = until.saturating_duration_since(start).as_micros().div_ceil(1000) as u64;
            let late =
                || Error::Deadline { op, deadline_ms, waiting_for: format!("the {} at {}", self.role, self.addr) };
            if left.is_zero() {
                return Err(late());
            }
            // A timed-out read looks like one that would block: the loop above sees the clock.
            let filled = self.stream.set_read_timeout(Some(left)).and_then(|()| self.inbox.fill(&mut self.stream));
            match filled {
                Ok(Filled::Closed) => return Err(self.lost("connection closed".into())),
                Ok(_) => {}
                Err(e) => return Err(self.lost(e.to_string())),
            }
        }
    }

    fn lost(&self, how: String) -> Error {
        Error::NodeLost { role: self.role, rank: self.rank, addr: self.addr.clone(), how }
    }
}

fn attempt(addr: &str, until: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in addr.to_socket_addrs()? {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&addr, left) {
            // A port the system picked for us may be the very one we call: that is a connection to ourselves.
            Ok(s) if s.local_addr()? == s.peer_addr()? => last = io::ErrorKind::ConnectionRefused.into(),
            Ok(s) => {
                s.set_nodelay(true)?;
                return Ok(s);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}
