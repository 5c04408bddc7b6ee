//! Standard input that can be told to end, for who learns from a pipe that may stay silent.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether reading should end; asked several times a second.
pub type Until = Arc<dyn Fn() -> bool + Send + Sync>;

/// Reads standard input until its end, or until it is told to end.
pub(crate) struct Stdin {
    until: Option<Until>,
    cut: Arc<AtomicBool>,
}

impl Stdin {
    /// `cut` becomes true if it was told to end.
    pub fn new(until: Option<Until>, cut: Arc<AtomicBool>) -> Self {
        Self { until, cut }
    }
}

impl Read for Stdin {
    #[cfg(unix)]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use std::os::fd::AsFd;
        const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        // Past the buffer of the standard library, whose content a poll would not tell of.
        let stdin = io::stdin();
        let stdin = stdin.as_fd();
        loop {
            if self.until.as_ref().is_some_and(|until| until()) {
                self.cut.store(true, Ordering::Relaxed);
                return Ok(0);
            }
            let ready = match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], self.until.as_ref().map(|_| &WAIT)) {
                Ok(n) => n > 0,
                Err(rustix::io::Errno::INTR) => false,
                Err(e) => return Err(e.into()),
            };
            if ready {
                match rustix::io::read(stdin, &mut *buf) {
                    Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                    read => return Ok(read?),
                }
            }
        }
    }

    #[cfg(not(unix))]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.until.as_ref().is_some_and(|until| until()) {
            self.cut.store(true, Ordering::Relaxed);
            return Ok(0);
        }
        io::stdin().read(buf)
    }
}
