//! `Watch`: a member's connection to the scheduler, kept by a thread of its own so that a busy engine still beats.

use super::call::Call;
use super::config::{LossHook, NodeConfig};
use super::control;
use super::inbox::Filled;
use crate::engine::control::Control;
use crate::engine::view::View;
use crate::error::{Error, Result, Role};
use crate::values::Values;
use mio::net::TcpStream as MioStream;
use mio::{Events, Interest, Poll, Token, Waker};
use std::io;
use std::net::{Shutdown, TcpStream};
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
    /// Who keeps what.
    pub view: Arc<View>,
}

#[derive(Default)]
struct Shared {
    verdict: Mutex<Option<Verdict>>,
    changed: Condvar,
    progress: AtomicU64,
    leave: AtomicBool,
    abandon: AtomicBool,
    /// Data sockets, shut down when somebody is lost so that blocked calls wake.
    sockets: Mutex<Vec<TcpStream>>,
    hook: Mutex<Option<Arc<Waker>>>,
}

/// The member's side of the scheduler's watch.
pub struct Watch {
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
    grace: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Greets the scheduler, waits until the job begins and starts beating.
    pub fn join(scheduler: &str, role: Role, addr: Option<String>, config: &NodeConfig) -> Result<(Welcome, Self)> {
        let until = Instant::now() + Duration::from_millis(config.join_ms);
        let mut call = Call::reach(Role::Scheduler, 0, scheduler, until)?;
        let own = call.stream.local_addr().map(|a| a.to_string()).unwrap_or_default();
        // A process may hold several members, so its number alone is no name; the port of this connection is unique.
        let name = config.name.clone().unwrap_or_else(|| format!("{role}-{}-{own}", std::process::id()));
        let hello = Control::Hello { role, rank: config.rank, name, addr: addr.unwrap_or(own), job: None };
        // Whom one calls one trusts with more than a greeting: a view names every server.
        call.inbox.admit(format!("the scheduler at {scheduler}"));
        call.send(&hello)?;
        // The scheduler's own deadline comes first and says who is missing.
        let until = until + Duration::from_secs(1);
        let welcome = match call.receive("join", until)? {
            Control::Welcome { rank, workers, job, view, .. } => Welcome { rank, workers, job, view },
            Control::Refuse { reason } => {
                return Err(Error::Refused { op: "join", by: format!("the scheduler at {scheduler}"), reason });
            }
            Control::Lost { role, rank, addr, how } => return Err(Error::NodeLost { role, rank, addr, how }),
            other => {
                let got = format!("{other:?}");
                return Err(Error::Wire { from: "the scheduler".into(), expected: "a welcome".into(), got });
            }
        };
        let poll = Poll::new().map_err(system)?;
        let waker = Waker::new(poll.registry(), Token(1)).map_err(system)?;
        call.stream.set_nonblocking(true).map_err(system)?;
        let mut stream = MioStream::from_std(call.stream.try_clone().map_err(system)?);
        poll.registry().register(&mut stream, Token(0), Interest::READABLE | Interest::WRITABLE).map_err(system)?;
        let shared = Arc::new(Shared::default());
        let keeper = Keeper {
            shared: Arc::clone(&shared),
            poll,
            stream,
            call,
            addr: scheduler.into(),
            beat: Duration::from_millis(config.beat_ms),
            suspect: Duration::from_millis(config.suspect_ms),
            heard: Instant::now(),
            on_loss: config.on_loss.clone(),
        };
        let run = std::thread::Builder::new().name("handcar-watch".into()).spawn(move || keeper.run());
        let grace = Duration::from_millis(config.suspect_ms + 4 * config.beat_ms);
        Ok((welcome, Self { shared, waker, thread: Some(run.map_err(system)?), grace }))
    }

    /// Shuts this socket down when somebody is lost.
    pub fn guard(&self, socket: &TcpStream) -> Result<()> {
        lock(&self.shared.sockets).push(socket.try_clone().map_err(system)?);
        // The verdict may have come before.
        if matches!(*lock(&self.shared.verdict), Some(Verdict::Lost(_))) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        Ok(())
    }

    /// Wakes an event loop at the verdict.
    pub fn wake_at_verdict(&self, waker: Arc<Waker>) {
        let mut hook = lock(&self.shared.hook);
        // The verdict may have come before.
        if self.verdict().is_some() {
            let _ = waker.wake();
        }
        *hook = Some(waker);
    }

    /// The progress that beats carry.
    pub fn set_progress(&self, steps: u64) {
        self.shared.progress.store(steps, Ordering::Relaxed);
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

fn system(e: io::Error) -> Error {
    Error::System { op: "join", how: e.to_string() }
}

struct Keeper {
    shared: Arc<Shared>,
    poll: Poll,
    stream: MioStream,
    call: Call,
    addr: String,
    beat: Duration,
    suspect: Duration,
    heard: Instant,
    on_loss: Option<LossHook>,
}

impl Keeper {
    fn run(mut self) {
        if let Some(verdict) = self.watch() {
            lock(&self.shared.verdict).get_or_insert(verdict.clone());
            self.shared.changed.notify_all();
            if let Verdict::Lost(error) = &verdict {
                for socket in lock(&self.shared.sockets).drain(..) {
                    let _ = socket.shutdown(Shutdown::Both);
                }
                if let Some(LossHook(hook)) = &self.on_loss {
                    hook(error);
                }
            }
            if let Some(waker) = &*lock(&self.shared.hook) {
                let _ = waker.wake();
            }
        }
        let _ = self.call.stream.shutdown(Shutdown::Both);
    }

    /// Beats and listens until there is a verdict, or the member gave up by itself.
    fn watch(&mut self) -> Option<Verdict> {
        let mut events = Events::with_capacity(8);
        let mut turned = Instant::now();
        let mut next_beat = turned;
        let mut left = false;
        loop {
            let now = Instant::now();
            // If this process itself was stopped, the scheduler's silence proves nothing.
            if now - turned > self.suspect / 2 {
                self.heard += now - turned;
            }
            turned = now;
            if self.shared.abandon.load(Ordering::Acquire) {
                return None;
            }
            if !left && self.shared.leave.load(Ordering::Acquire) {
                left = true;
                self.call.outbox.push(control::pack(&Control::Leave));
            }
            if now >= next_beat {
                next_beat = now + self.beat;
                let progress = self.shared.progress.load(Ordering::Relaxed);
                self.call.outbox.push(control::pack(&Control::Beat { progress, epoch: 1 }));
            }
            // A failed write is judged by the read below: the scheduler's last word may still be waiting there.
            let wrote = self.call.outbox.flush(&mut self.stream, &mut Vec::new());
            let broken = wrote.as_ref().err().map(ToString::to_string);
            loop {
                let filled = self.call.inbox.fill(&mut self.stream);
                match self.messages() {
                    Ok(None) => {}
                    Ok(Some(verdict)) => return Some(verdict),
                    Err(error) => return Some(self.lost(error.to_string())),
                }
                match filled {
                    Ok(Filled::More) => {}
                    Ok(Filled::Drained) => break,
                    Ok(Filled::Closed) => return Some(self.lost("connection closed".into())),
                    Err(e) => return Some(self.lost(e.to_string())),
                }
            }
            if let Some(how) = broken {
                return Some(self.lost(how));
            }
            let silence = now.saturating_duration_since(self.heard);
            if silence > self.suspect {
                let how = format!("silent for {} ms", silence.as_millis());
                return Some(self.lost(how));
            }
            let timeout = next_beat.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Some(self.lost(e.to_string())),
                _ => {}
            }
        }
    }

    /// Reads whole messages; some of them end the job for this member.
    fn messages(&mut self) -> Result<Option<Verdict>> {
        while let Some(parcel) = self.call.inbox.next(&mut |_, _, dtype| Values::empty(dtype))? {
            self.heard = Instant::now();
            match control::unpack(&parcel) {
                Ok(Control::Beat { .. }) => {}
                Ok(Control::End) => return Ok(Some(Verdict::Ended)),
                Ok(Control::Lost { role, rank, addr, how }) => {
                    return Ok(Some(Verdict::Lost(Error::NodeLost { role, rank, addr, how })));
                }
                Ok(Control::Refuse { reason }) => {
                    let by = format!("the scheduler at {}", self.addr);
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
        Verdict::Lost(Error::NodeLost { role: Role::Scheduler, rank: 0, addr: self.addr.clone(), how })
    }
}
