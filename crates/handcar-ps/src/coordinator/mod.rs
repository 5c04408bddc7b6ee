//! `Coordinator`: where a scheduler keeps its state, so that another process can go on with it.

use crate::engine::scheduler::State;
use crate::error::Result;

mod file;
mod log;

pub use file::FileCoordinator;
pub use log::{Log, Recovered};

/// Keeps the state of one job. What was stored is there after any crash; a state is there whole or not at all.
pub trait Coordinator: Send {
    /// The last state stored, if any.
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System) if it cannot be read, or is damaged.
    fn load(&mut self) -> Result<Option<State>>;

    /// Keeps a state; returns once it is safe.
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System): whether the state was kept is then unknown, and the scheduler must end.
    fn store(&mut self, state: &State) -> Result<()>;
}

/// Keeps nothing: the job ends with its scheduler.
#[derive(Debug, Default)]
pub struct Forgetful;

impl Coordinator for Forgetful {
    fn load(&mut self) -> Result<Option<State>> {
        Ok(None)
    }

    fn store(&mut self, _state: &State) -> Result<()> {
        Ok(())
    }
}
