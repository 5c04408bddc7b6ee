//! `Peers`: a server's connections to the others of its chains.
//!
//! Updates go out on a connection that their sender opened; their acknowledgements come back on the same one.

use super::control;
use super::hub::Hub;
use super::parcel::Parcel;
use super::peer::{self, Lists};
use super::server;
use crate::engine::control::Control;
use crate::engine::server::Input;
use crate::engine::view::View;
use crate::error::Role;
use crate::peer::{PeerMessage, Say};
use crate::values::Values;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Bytes of updates written to one server at a time. What it has not acknowledged is sent again when it comes back, which
/// may be more than one connection may hold: the rest is packed as it reads.
const WINDOW_BYTES: usize = 64 << 20;
/// Between attempts to reach a server that does not listen.
pub const RETRY: Duration = Duration::from_millis(50);

struct Out {
    conn: u64,
    /// The other side knows who we are.
    admitted: bool,
    lists: Lists,
    /// Updates behind the window, in order. The engine keeps them anyway until they are acknowledged.
    waiting: VecDeque<PeerMessage>,
}

impl Out {
    fn go_on(&mut self, hub: &mut Hub, pool: &mut Vec<Values>) {
        // Once the connection is gone nothing is packed: all of it will be sent again on the next.
        while hub.queued_bytes(self.conn).is_some_and(|bytes| bytes < WINDOW_BYTES)
            && let Some(message) = self.waiting.pop_front()
        {
            hub.send(self.conn, peer::pack(&message, &mut self.lists, |values| copy(values, pool)));
        }
    }
}

struct In {
    conn: u64,
    lists: Lists,
}

/// A copy in a buffer used before: fresh memory costs more than the copy.
fn copy(values: &Values, pool: &mut Vec<Values>) -> Values {
    let mut to = server::take(pool, values.dtype());
    match (&mut to, values) {
        (Values::F32(to), Values::F32(from)) => from.clone_into(to),
        (Values::F64(to), Values::F64(from)) => from.clone_into(to),
        (Values::I64(to), Values::I64(from)) => from.clone_into(to),
        _ => return values.clone(),
    }
    to
}

/// The connections between one server and others.
pub struct Peers {
    id: usize,
    job: u64,
    /// To whom updates go, and where.
    wanted: BTreeMap<usize, String>,
    out: BTreeMap<usize, Out>,
    inward: BTreeMap<usize, In>,
    retry_at: Instant,
}

impl Peers {
    /// No connections yet.
    pub fn new(id: usize, job: u64) -> Self {
        let (out, inward) = (BTreeMap::new(), BTreeMap::new());
        Self { id, job, wanted: BTreeMap::new(), out, inward, retry_at: Instant::now() }
    }

    /// Opens the connections that a view needs and closes those to servers that are out.
    pub fn enter(&mut self, view: &View, hub: &mut Hub) {
        let next = view.next_of(self.id);
        // Updates of the view before would not be taken any more.
        self.out.values_mut().for_each(|out| out.waiting.retain(|m| m.epoch >= view.epoch));
        self.wanted = next.keys().filter_map(|id| Some((*id, view.servers.get(id)?.clone()))).collect();
        let out = |id: &usize| !view.servers.contains_key(id);
        for (_, gone) in self.out.extract_if(.., |id, _| out(id)) {
            hub.cut(gone.conn);
        }
        for (_, gone) in self.inward.extract_if(.., |id, _| out(id)) {
            hub.cut(gone.conn);
        }
        self.retry_at = Instant::now();
        self.connect(hub);
    }

    /// Tries again where there is no connection.
    pub fn connect(&mut self, hub: &mut Hub) {
        let now = Instant::now();
        if now < self.retry_at {
            return;
        }
        self.retry_at = now + RETRY;
        for (&id, addr) in &self.wanted {
            if self.out.contains_key(&id) {
                continue;
            }
            match hub.connect(addr) {
                Ok(conn) => {
                    let join = Control::Join { job: self.job, role: Role::Server, rank: self.id };
                    hub.send(conn, control::pack(&join));
                    self.out
                        .insert(id, Out { conn, admitted: false, lists: Lists::default(), waiting: VecDeque::new() });
                }
                Err(e) => tracing::debug!(server = id, addr, %e, "cannot connect"),
            }
        }
    }

    /// Whether some connection is missing.
    pub fn incomplete(&self) -> bool {
        self.wanted.keys().any(|id| !self.out.contains_key(id))
    }

    /// Another server opened a connection.
    pub fn admit(&mut self, id: usize, conn: u64, hub: &mut Hub) {
        if let Some(old) = self.inward.insert(id, In { conn, lists: Lists::default() }) {
            hub.cut(old.conn);
        }
    }

    /// Ends the connection that another server opened: it opens a new one, and sends again what was not acknowledged.
    pub fn cut(&mut self, id: usize, hub: &mut Hub) {
        if let Some(inward) = self.inward.remove(&id) {
            tracing::warn!(server = id, "sent too much for a view to come; it has to connect again");
            hub.cut(inward.conn);
        }
    }

    /// A connection ended.
    pub fn gone(&mut self, conn: u64) {
        self.out.retain(|_, o| o.conn != conn);
        self.inward.retain(|_, i| i.conn != conn);
    }

    /// Whether a connection is one of these.
    pub fn has(&self, conn: u64) -> bool {
        self.out.values().any(|o| o.conn == conn) || self.inward.values().any(|i| i.conn == conn)
    }

    /// What a parcel on one of these connections says.
    ///
    /// # Errors
    /// What was expected.
    pub fn read(&mut self, conn: u64, parcel: Parcel) -> Result<Option<Input>, String> {
        if let Some((&id, out)) = self.out.iter_mut().find(|(_, o)| o.conn == conn) {
            if peer::is_peer(parcel.kind) {
                return peer::unpack(parcel, &mut out.lists).map(|message| Some(Input::Peer { from: id, message }));
            }
            return match control::unpack(&parcel)? {
                Control::Admit => {
                    out.admitted = true;
                    Ok(Some(Input::Reconnected { peer: id }))
                }
                Control::Refuse { reason } => {
                    // It may not have heard of the view yet; the next attempt finds out.
                    tracing::debug!(server = id, reason, "refused by a server");
                    Ok(None)
                }
                other => Err(format!("a message between servers, got {other:?}")),
            };
        }
        match self.inward.iter_mut().find(|(_, i)| i.conn == conn) {
            Some((&id, inward)) => {
                peer::unpack(parcel, &mut inward.lists).map(|message| Some(Input::Peer { from: id, message }))
            }
            None => Ok(None),
        }
    }

    /// Sends a message. Without a connection it is lost; a new one makes the engine send it again.
    pub fn send(&mut self, to: usize, message: &PeerMessage, hub: &mut Hub, pool: &mut Vec<Values>) {
        match message.say {
            Say::Update { .. } => {
                if let Some(out) = self.out.get_mut(&to).filter(|o| o.admitted) {
                    out.waiting.push_back(message.clone());
                    out.go_on(hub, pool);
                }
            }
            Say::Ack { .. } => {
                if let Some(i) = self.inward.get_mut(&to) {
                    hub.send(i.conn, peer::pack(message, &mut i.lists, |values| copy(values, pool)));
                }
            }
        }
    }

    /// Sends what waited for others to read.
    pub fn go_on(&mut self, hub: &mut Hub, pool: &mut Vec<Values>) {
        self.out.values_mut().for_each(|out| out.go_on(hub, pool));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::net::inbox::{Filled, Inbox};
    use crate::message::{TableId, Task};
    use crate::peer::{Change, Update};
    use handcar_base::{KeyList, RangeSet};
    use std::net::TcpListener;
    use std::sync::Arc;

    const KEYS: usize = 1 << 19;
    const MESSAGES: u64 = 60;

    fn update(seq: u64) -> PeerMessage {
        let keys = KeyList::new((0..KEYS as u64).collect()).unwrap();
        let (table, values) = (TableId(0), Some(vec![seq as f64; KEYS].into()));
        let change = Change::Single { table, worker: 0, task: Task(seq), args: vec![], keys, values, tag: None };
        let update = Arc::new(Update { within: Arc::new(RangeSet::all()), answered: vec![], change });
        PeerMessage { epoch: 1, say: Say::Update { seq, update } }
    }

    /// Here 4 MiB an update, 240 in all, with a window of 64.
    #[test]
    fn a_long_resend_goes_out_as_the_other_side_reads() {
        let (mut hub, _) = Hub::new(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let conn = hub.connect(&other.local_addr().unwrap().to_string()).unwrap();
        let (mut stream, _) = other.accept().unwrap();
        let mut peers = Peers::new(0, 7);
        peers.out.insert(1, Out { conn, admitted: true, lists: Lists::default(), waiting: VecDeque::new() });
        let (mut pool, mut most, one) = (Vec::new(), 0, 4 << 20);
        for seq in 0..MESSAGES {
            peers.send(1, &update(seq), &mut hub, &mut pool);
            most = most.max(hub.queued_bytes(conn).unwrap());
        }
        assert!(peers.out[&1].waiting.len() > 30, "most wait unpacked");
        let reader = std::thread::spawn(move || {
            let (mut inbox, mut lists, mut seen) = (Inbox::new("a test".into()), Lists::default(), Vec::new());
            inbox.admit("a test".into());
            while seen.len() < MESSAGES as usize {
                let filled = inbox.fill(&mut stream).unwrap();
                while let Some(parcel) = inbox.next(&mut |_, _, dtype| Values::empty(dtype)).unwrap() {
                    let message = peer::unpack(parcel, &mut lists).unwrap();
                    let Say::Update { seq, .. } = message.say else { panic!("{message:?}") };
                    seen.push(seq);
                }
                assert_ne!(filled, Filled::Closed);
            }
            (seen, stream)
        });
        let mut events = Vec::new();
        while !reader.is_finished() {
            hub.wait(Duration::from_millis(20), &mut events, &mut |_, _, dtype| Values::empty(dtype)).unwrap();
            peers.go_on(&mut hub, &mut pool);
            most = most.max(hub.queued_bytes(conn).unwrap());
            assert!(events.is_empty(), "{events:?}");
        }
        let (seen, _stream) = reader.join().unwrap();
        assert_eq!(seen, (0..MESSAGES).collect::<Vec<_>>());
        assert!(most <= WINDOW_BYTES + 2 * one, "{most} bytes were queued");
    }
}
