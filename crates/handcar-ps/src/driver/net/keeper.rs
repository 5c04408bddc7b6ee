//! `Keeper`: the thread behind a [`Watch`](super::watch::Watch) - beats, listens, and finds the scheduler again.

use super::call::Call;
use super::config::LossHook;
use super::control;
use super::inbox::Filled;
use super::watch::{Shared, Verdict, lock};
use crate::engine::control::Control;
use crate::error::{Error, Result, Role};
use crate::values::Values;
use mio::net::TcpStream as MioStream;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One attempt to find the scheduler again.
const ATTEMPT: Duration = Duration::from_millis(500);
/// Between attempts.
const RETRY: Duration = Duration::from_millis(50);

pub(super) struct Keeper {
    pub shared: Arc<Shared>,
    pub poll: Poll,
    pub stream: MioStream,
    pub call: Call,
    pub scheduler: String,
    /// What the member says when its connection was broken.
    pub back: Control,
    pub patience: Duration,
    pub beat: Duration,
    pub suspect: Duration,
    pub heard: Instant,
    pub on_loss: Option<LossHook>,
    pub leave: Option<Arc<AtomicBool>>,
}

/// Why the keeper stopped listening to one connection.
enum Broken {
    /// The job is over for this member.
    Verdict(Verdict),
    /// The member is gone.
    Abandoned,
    /// The scheduler is, for now.
    Connection(String),
}

impl Keeper {
    pub fn run(mut self) {
        let verdict = loop {
            match self.watch() {
                Broken::Verdict(verdict) => break Some(verdict),
                Broken::Abandoned => break None,
                Broken::Connection(how) => match self.find_again(&how) {
                    Ok(true) => {}
                    Ok(false) => break None,
                    Err(error) => break Some(Verdict::Lost(error)),
                },
            }
        };
        if let Some(verdict) = verdict {
            lock(&self.shared.verdict).get_or_insert(verdict.clone());
            self.shared.changed.notify_all();
            if let (Verdict::Lost(error), Some(LossHook(hook))) = (&verdict, &self.on_loss) {
                hook(error);
            }
            self.shared.wake();
        }
        let _ = self.call.stream.shutdown(Shutdown::Both);
    }

    /// Beats and listens until something ends that.
    fn watch(&mut self) -> Broken {
        let mut events = Events::with_capacity(8);
        let mut turned = Instant::now();
        let mut next_beat = turned;
        let mut left = false;
        self.heard = turned;
        loop {
            let now = Instant::now();
            // If this process itself was stopped, the scheduler's silence proves nothing.
            if now - turned > self.suspect / 2 {
                self.heard += now - turned;
            }
            turned = now;
            if self.shared.abandon.load(Ordering::Acquire) {
                return Broken::Abandoned;
            }
            let asked = self.leave.as_ref().is_some_and(|l| l.load(Ordering::Acquire));
            if !left && (asked || self.shared.leave.load(Ordering::Acquire)) {
                left = true;
                self.call.outbox.push(control::pack(&Control::Leave));
            }
            for report in lock(&self.shared.reports).drain(..) {
                self.call.outbox.push(control::pack(&Control::Report(report)));
            }
            if now >= next_beat {
                next_beat = now + self.beat;
                let progress = self.shared.progress.load(Ordering::Relaxed);
                let epoch = self.shared.epoch.load(Ordering::Relaxed);
                self.call.outbox.push(control::pack(&Control::Beat { progress, epoch }));
            }
            // A failed write is judged by the read below: the scheduler's last word may still be waiting there.
            let wrote = self.call.outbox.flush(&mut self.stream, &mut Vec::new());
            let broken = wrote.as_ref().err().map(ToString::to_string);
            loop {
                let filled = self.call.inbox.fill(&mut self.stream);
                match self.messages() {
                    Ok(None) => {}
                    Ok(Some(verdict)) => return Broken::Verdict(verdict),
                    Err(error) => return Broken::Verdict(self.lost(error.to_string())),
                }
                match filled {
                    Ok(Filled::More) => {}
                    Ok(Filled::Drained) => break,
                    Ok(Filled::Closed) => return Broken::Connection("connection closed".into()),
                    Err(e) => return Broken::Connection(e.to_string()),
                }
            }
            if let Some(how) = broken {
                return Broken::Connection(how);
            }
            let silence = now.saturating_duration_since(self.heard);
            if silence > self.suspect {
                return Broken::Connection(format!("silent for {} ms", silence.as_millis()));
            }
            let timeout = next_beat.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                    return Broken::Verdict(self.lost(e.to_string()));
                }
                _ => {}
            }
        }
    }

    /// Looks for the scheduler, which may have been started again, as long as the member is patient. `false` if the
    /// member itself gave up.
    fn find_again(&mut self, how: &str) -> Result<bool> {
        let gone = || Error::NodeLost { role: Role::Scheduler, rank: 0, addr: self.scheduler.clone(), how: how.into() };
        let end = Instant::now() + self.patience;
        if self.patience.is_zero() {
            return Err(gone());
        }
        tracing::warn!(scheduler = self.scheduler, how, "the scheduler is away; going on without it");
        loop {
            if self.shared.abandon.load(Ordering::Acquire) {
                return Ok(false);
            }
            if Instant::now() >= end {
                return Err(gone());
            }
            let until = Instant::now() + ATTEMPT;
            let greeted = Call::reach(Role::Scheduler, 0, &self.scheduler, until).and_then(|mut call| {
                call.inbox.admit(format!("the scheduler at {}", self.scheduler));
                call.send(&self.back)?;
                let answer = call.receive("join", Instant::now() + ATTEMPT)?;
                Ok((call, answer))
            });
            match greeted {
                Ok((call, Control::Welcome { view, .. })) => {
                    self.take_view(view);
                    let system = super::watch::system;
                    call.stream.set_nonblocking(true).map_err(system)?;
                    let mut stream = MioStream::from_std(call.stream.try_clone().map_err(system)?);
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut stream, Token(0), interest).map_err(system)?;
                    (self.call, self.stream) = (call, stream);
                    return Ok(true);
                }
                Ok((_, Control::Refuse { reason })) => {
                    let by = format!("the scheduler at {}", self.scheduler);
                    return Err(Error::Refused { op: "join", by, reason });
                }
                _ => {}
            }
            #[expect(clippy::disallowed_methods, reason = "a port that will be opened cannot be waited for otherwise")]
            std::thread::sleep(RETRY);
        }
    }

    fn take_view(&self, view: Arc<crate::engine::view::View>) {
        let mut news = lock(&self.shared.news);
        if news.view.as_ref().is_none_or(|v| v.epoch < view.epoch) {
            news.view = Some(view);
        }
        drop(news);
        self.shared.has_news.store(true, Ordering::Release);
        self.shared.wake();
    }

    /// Reads whole messages; some of them end the job for this member.
    fn messages(&mut self) -> Result<Option<Verdict>> {
        while let Some(parcel) = self.call.inbox.next(&mut |_, _, dtype| Values::empty(dtype))? {
            self.heard = Instant::now();
            match control::unpack(&parcel) {
                Ok(Control::Beat { .. }) => {}
                Ok(Control::View(view) | Control::Welcome { view, .. }) => self.take_view(view),
                Ok(Control::Remind { epoch }) => {
                    lock(&self.shared.news).remind = Some(epoch);
                    self.shared.has_news.store(true, Ordering::Release);
                    self.shared.wake();
                }
                Ok(Control::End) => return Ok(Some(Verdict::Ended)),
                Ok(Control::Lost { role, rank, addr, how }) => {
                    return Ok(Some(Verdict::Lost(Error::NodeLost { role, rank, addr, how })));
                }
                Ok(Control::Refuse { reason }) => {
                    let by = format!("the scheduler at {}", self.scheduler);
                    return Ok(Some(Verdict::Lost(Error::Refused { op: "join", by, reason })));
                }
                Ok(other) => return Ok(Some(self.lost(format!("it sent an unfitting message: {other:?}")))),
                Err(expected) => {
                    return Ok(Some(self.lost(format!("it sent no control message: expected {expected}"))));
                }
            }
        }
        Ok(None)
    }

    fn lost(&self, how: String) -> Verdict {
        Verdict::Lost(Error::NodeLost { role: Role::Scheduler, rank: 0, addr: self.scheduler.clone(), how })
    }
}
