//! `Watch`: a member's connection to the scheduler, kept by a thread of its own so that a busy engine still beats.

use super::call::Call;
use super::config::NodeConfig;
use super::keeper::Keeper;
use crate::engine::control::Control;
use crate::engine::server::Report;
use crate::engine::view::View;
use crate::error::{Error, Result, Role};
use mio::net::TcpStream as MioStream;
use mio::{Interest, Poll, Token, Waker};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How the job ended for this member.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// In good order.
    Ended,
    /// Somebody was lost.
    Lost(Error),
}

/// What the scheduler told a member at the beginning.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// The member's rank.
    pub rank: usize,
    /// Number of workers.
    pub workers: usize,
    /// The job's number.
    pub job: u64,
    /// How long the member goes on without the scheduler.
    pub patience: Duration,
    /// Who keeps what.
    pub view: Arc<View>,
}

/// News of the scheduler that the member's engine must hear.
#[derive(Debug, Default)]
pub struct News {
    /// The latest view.
    pub view: Option<Arc<View>>,
    /// The scheduler still waits for a report on the view of this epoch.
    pub remind: Option<u64>,
}

/// Wakes the thread that waits on the member's sockets.
pub type Hook = Box<dyn Fn() + Send>;

/// What the member's threads share.
#[derive(Default)]
pub struct Shared {
    pub(super) verdict: Mutex<Option<Verdict>>,
    pub(super) changed: Condvar,
    pub(super) progress: AtomicU64,
    pub(super) epoch: AtomicU64,
    pub(super) leave: AtomicBool,
    pub(super) abandon: AtomicBool,
    pub(super) news: Mutex<News>,
    /// Set after `news`, so that an engine need not take a lock to see that there is none.
    pub(super) has_news: AtomicBool,
    pub(super) reports: Mutex<Vec<Report>>,
    pub(super) hook: Mutex<Option<Hook>>,
}

impl Shared {
    pub(super) fn wake(&self) {
        if let Some(hook) = &*lock(&self.hook) {
            hook();
        }
    }
}

/// The member's side of the scheduler's watch.
pub struct Watch {
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
    grace: Duration,
}

/// A panic elsewhere must surface as a loss, not as a second panic here.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Greets the scheduler, waits until the job begins and starts beating.
    pub fn join(scheduler: &str, role: Role, addr: Option<String>, config: &NodeConfig) -> Result<(Welcome, Self)> {
        let until = Instant::now() + Duration::from_millis(config.join_ms);
        let mut call = Call::reach(Role::Scheduler, 0, scheduler, until)?;
        let own = call.stream.local_addr().map(|a| a.to_string()).unwrap_or_default();
        // A process may hold several members, so its number alone is no name; the port of this connection is unique.
        let unique = format!("{}-{own}", std::process::id());
        let name = match &config.name {
            Some(name) => format!("{name}#{unique}"),
            None => format!("{role}-{unique}"),
        };
        let addr = addr.unwrap_or(own);
        let hello = Control::Hello { role, rank: config.rank, name: name.clone(), addr: addr.clone(), job: None };
        let welcome = loop {
            // The scheduler's own deadline comes first and says who is missing.
            match welcomed(&mut call, &hello, scheduler, until + Duration::from_secs(1)) {
                // A scheduler that ended without a word may be started again, and by its name it knows this member.
                Err(gone @ Error::NodeLost { role: Role::Scheduler, .. }) => {
                    tracing::debug!(%gone, "greeting the scheduler again");
                    call = Call::reach(Role::Scheduler, 0, scheduler, until).map_err(|_| gone)?;
                }
                found => break found?,
            }
        };
        let poll = Poll::new().map_err(system)?;
        let waker = Waker::new(poll.registry(), Token(1)).map_err(system)?;
        call.stream.set_nonblocking(true).map_err(system)?;
        let mut stream = MioStream::from_std(call.stream.try_clone().map_err(system)?);
        poll.registry().register(&mut stream, Token(0), Interest::READABLE | Interest::WRITABLE).map_err(system)?;
        let shared = Arc::new(Shared::default());
        shared.epoch.store(welcome.view.epoch, Ordering::Relaxed);
        let keeper = Keeper {
            shared: Arc::clone(&shared),
            poll,
            stream,
            call,
            scheduler: scheduler.into(),
            back: Control::Hello { role, rank: Some(welcome.rank), name, addr, job: Some(welcome.job) },
            patience: welcome.patience,
            beat: Duration::from_millis(config.beat_ms),
            // A member that is told of losses by others need not fear for the scheduler as soon as the scheduler for it.
            suspect: Duration::from_millis(config.suspect_ms),
            heard: Instant::now(),
            on_loss: config.on_loss.clone(),
            leave: config.leave.clone(),
        };
        let run = std::thread::Builder::new().name("handcar-watch".into()).spawn(move || keeper.run());
        let grace = Duration::from_millis(config.suspect_ms + 4 * config.beat_ms);
        Ok((welcome, Self { shared, waker, thread: Some(run.map_err(system)?), grace }))
    }

    /// Called at the verdict and when there is news.
    pub fn wake_by(&self, hook: Hook) {
        *lock(&self.shared.hook) = Some(hook);
        // Something may have come before.
        self.shared.wake();
    }

    /// News since the last call.
    pub fn news(&self) -> News {
        if self.shared.has_news.swap(false, Ordering::AcqRel) {
            std::mem::take(&mut *lock(&self.shared.news))
        } else {
            News::default()
        }
    }

    /// Sends a server's report.
    pub fn report(&self, report: Report) {
        lock(&self.shared.reports).push(report);
        let _ = self.waker.wake();
    }

    /// The progress and epoch that beats carry.
    pub fn set_progress(&self, steps: u64, epoch: u64) {
        self.shared.progress.store(steps, Ordering::Relaxed);
        self.shared.epoch.store(epoch, Ordering::Relaxed);
    }

    /// The verdict, if there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        lock(&self.shared.verdict).clone()
    }

    /// After a broken data connection: the scheduler's word on who was lost first, or `error` if it has none in time.
    pub fn judge(&self, error: Error) -> Error {
        match self.wait(self.grace) {
            Some(Verdict::Lost(first)) => first,
            _ => error,
        }
    }

    fn wait(&self, time: Duration) -> Option<Verdict> {
        let verdict = lock(&self.shared.verdict);
        let waited = self.shared.changed.wait_timeout_while(verdict, time, |v| v.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Leaves in good order.
    pub fn leave(&mut self) -> Result<()> {
        self.shared.leave.store(true, Ordering::Release);
        let _ = self.waker.wake();
        // The keeper itself ends the wait: by the scheduler's answer or by its silence.
        let verdict = self.wait(Duration::from_secs(60));
        match verdict {
            Some(Verdict::Ended) => Ok(()),
            Some(Verdict::Lost(error)) => Err(error),
            None => Err(Error::Deadline { op: "finish", deadline_ms: 60_000, waiting_for: "the scheduler".into() }),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.abandon.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Greets the scheduler and waits until the job begins.
///
/// # Errors
/// [`Error::NodeLost`] of the scheduler if the connection broke before; what else the scheduler said, or its silence.
fn welcomed(call: &mut Call, hello: &Control, scheduler: &str, until: Instant) -> Result<Welcome> {
    // Whom one calls one trusts with more than a greeting: a view names every server.
    call.inbox.admit(format!("the scheduler at {scheduler}"));
    call.send(hello)?;
    let mut announced: Option<Arc<View>> = None;
    loop {
        match call.receive("join", until)? {
            Control::Welcome { rank, workers, job, patience_ms, view } => {
                let view = announced.filter(|v| v.epoch > view.epoch).unwrap_or(view);
                return Ok(Welcome { rank, workers, job, patience: Duration::from_millis(patience_ms), view });
            }
            Control::Refuse { reason } => {
                return Err(Error::Refused { op: "join", by: format!("the scheduler at {scheduler}"), reason });
            }
            Control::Lost { role, rank, addr, how } => return Err(Error::NodeLost { role, rank, addr, how }),
            // It joins a running job whose view was announced just before it was welcomed.
            Control::View(view) if announced.is_none() => announced = Some(view),
            other => return Err(unfitting(&other)),
        }
    }
}

fn unfitting(other: &Control) -> Error {
    Error::Wire { from: "the scheduler".into(), expected: "a welcome".into(), got: format!("{other:?}") }
}

pub(super) fn system(e: io::Error) -> Error {
    Error::System { op: "join", how: e.to_string() }
}
