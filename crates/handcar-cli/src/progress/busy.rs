//! A line that says what takes long, while nothing can be counted.

use super::{bar::duration, terminal};
use std::{
    io::Write,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Work shorter than this shows nothing.
const AFTER: Duration = Duration::from_millis(400);
const EVERY: Duration = Duration::from_millis(100);

/// Shows `what  3.2 s` on a terminal until dropped.
pub struct Busy {
    end: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Busy {
    /// Starts to show `what`, if `shown` and stderr is a terminal.
    pub fn start(what: &str, shown: bool) -> Self {
        let Some(terminal) = terminal::Terminal::stderr().filter(|_| shown) else { return Self { end: None } };
        let what: String = what.chars().take(terminal.width.saturating_sub(16)).collect();
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            let began = Instant::now();
            let mut wait = AFTER;
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                wait = EVERY;
                let seconds = duration(began.elapsed().as_secs_f64());
                // A courtesy, as all progress is.
                let _ = write!(std::io::stderr(), "\r\x1b[2K{what}  {seconds}");
                terminal::set_bar_shown(true);
            }
        });
        Self { end: Some((end, thread)) }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.end.take() {
            drop(end);
            // A panic there has cost a line of progress, nothing else.
            let _ = thread.join();
        }
    }
}
