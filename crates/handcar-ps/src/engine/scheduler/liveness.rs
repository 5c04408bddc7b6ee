//! Who is alive: silence, broken connections, and what follows.

use super::{Member, Output, SchedulerEngine, given};
use crate::engine::control::Control;
use crate::error::{Error, Role};
use crate::message::Millis;

impl SchedulerEngine {
    /// If this process itself was stopped, its members' beats are waiting unread: their silence proves nothing.
    pub(super) fn forgive(&mut self, now: Millis) {
        let start = *self.start.get_or_insert(now);
        let gap = now.since(self.stepped.max(start));
        if gap > self.params.suspect_ms / 2 {
            self.members.values_mut().for_each(|m| m.heard = m.heard.plus(gap));
        }
        self.stepped = now;
    }

    pub(super) fn tick(&mut self, now: Millis, out: &mut Vec<Output>) {
        let start = self.start.unwrap_or(now);
        if self.view.is_none() && now.since(start) > self.params.join_ms {
            return self.give_up(out);
        }
        // Before the job begins members only wait; then the time to join is the limit.
        while self.view.is_some() && !self.over {
            let back = self.back_until_ms.is_some_and(|ms| now.since(start) <= ms);
            if self.back_until_ms.is_some() && !back {
                // The scheduler before this one kept that the last worker had left, and died before it ended the job.
                self.end_if_all_left(out);
                if self.over {
                    return;
                }
            }
            let done = |m: &Member| m.left && m.role == Role::Worker;
            let away = |m: &Member| match m.conn {
                None => !back,
                Some(_) => now.since(m.heard) > self.params.suspect_ms,
            };
            let silent = |m: &Member| !done(m) && away(m);
            let worst = self.members.iter().filter(|(_, m)| silent(m)).min_by_key(|(_, m)| m.heard);
            let Some((&at, m)) = worst else { return };
            let how = match m.conn {
                Some(_) => format!("silent for {} ms (engine at step {})", now.since(m.heard), m.progress),
                None => "it did not come back".into(),
            };
            self.lose(at, how, out);
        }
    }

    fn give_up(&mut self, out: &mut Vec<Output>) {
        let got = |role| self.of(role).map(|m| given(&m.name).to_string()).collect::<Vec<_>>().join(", ");
        let waiting_for = format!(
            "{} of {} servers and {} of {} workers (here: {}; {})",
            self.params.servers - self.of(Role::Server).count(),
            self.params.servers,
            self.params.workers - self.of(Role::Worker).count(),
            self.params.workers,
            got(Role::Server),
            got(Role::Worker)
        );
        for conn in self.members.values().filter_map(|m| m.conn) {
            let reason = format!("the job did not begin: waiting for {waiting_for}");
            out.push(Output::Send { conn, message: Control::Refuse { reason } });
        }
        self.over = true;
        out.push(Output::End(Err(Error::Deadline { op: "join", deadline_ms: self.params.join_ms, waiting_for })));
    }

    /// A member is gone. If others have copies of all it kept, the job goes on.
    pub(super) fn lose(&mut self, at: u64, how: String, out: &mut Vec<Output>) {
        let Some(lost) = self.members.get(&at) else { return };
        // One that was lost before ranks were given is named by its place in line.
        let place = || self.members.range(..at).filter(|(_, m)| m.role == lost.role).count();
        let (role, rank, addr) = (lost.role, lost.rank.unwrap_or_else(place), lost.addr.clone());
        let message = Control::Lost { role, rank, addr: addr.clone(), how: how.clone() };
        if role == Role::Server
            && let Some(view) = self.without(rank)
        {
            tracing::warn!(rank, addr, how, epoch = view.epoch, "lost a server; its copies take over");
            let conn = self.members.remove(&at).and_then(|m| m.conn);
            self.announce(view, out);
            // It may only have been stopped, and must not go on alone.
            if let Some(conn) = conn {
                out.push(Output::Send { conn, message });
                out.push(Output::Close { conn });
            }
            return;
        }
        // Those that left do no work any more.
        let others = || self.of(Role::Worker).filter(|m| m.rank != lost.rank && !m.left);
        if role == Role::Worker && self.params.elastic && self.view.is_some() && others().next().is_some() {
            tracing::warn!(rank, addr, how, "lost a worker; others do its work");
            let conn = self.members.remove(&at).and_then(|m| m.conn);
            self.end_if_all_left(out);
            self.staff(out);
            if let Some(conn) = conn {
                out.push(Output::Send { conn, message });
                out.push(Output::Close { conn });
            }
            return;
        }
        self.over = true;
        self.store(out);
        // The lost one is told too, for the same reason.
        for conn in self.members.values().filter(|m| !m.left).filter_map(|m| m.conn) {
            out.push(Output::Send { conn, message: message.clone() });
        }
        out.push(Output::End(Err(Error::NodeLost { role, rank, addr, how })));
    }
}
