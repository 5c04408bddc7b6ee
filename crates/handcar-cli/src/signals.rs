//! SIGINT and SIGTERM: the first asks a run to end well, the second ends it at once.

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Which signal has come, if any.
#[derive(Clone)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Catches SIGINT and SIGTERM from now on.
    ///
    /// # Errors
    /// If the system does not let them be caught.
    pub fn install() -> Result<Self> {
        let came = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM] {
            let armed = Arc::new(AtomicBool::new(false));
            // Order matters: the exit must be registered before what arms it, so that only a second signal exits.
            flag::register_conditional_shutdown(signal, status(signal) as i32, armed.clone())
                .and_then(|_| flag::register(signal, armed))
                .and_then(|_| flag::register_usize(signal, came.clone(), signal as usize))
                .context("catch SIGINT and SIGTERM")?;
        }
        Ok(Self(came))
    }

    /// The signal that came.
    pub fn signal(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal as i32),
        }
    }
}

/// The exit status that shells expect of a process ended by a signal.
pub fn status(signal: i32) -> u8 {
    128 + signal as u8
}

/// The name of a signal for messages.
pub fn name(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}
