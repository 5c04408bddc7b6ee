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
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between attempts to reach a server that does not listen.
pub const RETRY: Duration = Duration::from_millis(50);

struct Out {
    conn: u64,
    /// The other side knows who we are.
    admitted: bool,
    lists: Lists,
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
                    self.out.insert(id, Out { conn, admitted: false, lists: Lists::default() });
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
        let found = match message.say {
            Say::Update { .. } => self.out.get_mut(&to).filter(|o| o.admitted).map(|o| (o.conn, &mut o.lists)),
            Say::Ack { .. } => self.inward.get_mut(&to).map(|i| (i.conn, &mut i.lists)),
        };
        if let Some((conn, lists)) = found {
            hub.send(conn, peer::pack(message, lists, |values| copy(values, pool)));
        }
    }
}
