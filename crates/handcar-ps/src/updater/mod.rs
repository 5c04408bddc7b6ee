//! `Updater`: a server function, run where the values live.

use crate::entry::Entry;
use crate::store::Store;
use crate::values::Number;
use handcar_base::Key;

mod assign;
mod sum;

pub use assign::Assign;
pub use sum::Sum;

/// What a table does with pushes, how it answers pulls, and what else it can be asked.
///
/// Each server holds one updater a table and calls it from one thread. Servers come, go and repeat each other's work, so:
///
/// * given equal calls in equal order an updater gives equal results;
/// * keys do not see each other: an update of half of the keys after the other half equals an update of all;
/// * fields of the updater itself last from `begin` to `end`, or during a `call`; what must last is an entry's;
/// * notes and results of calls say the same whether they come in one piece or, for parts of the keys, in several.
pub trait Updater: Send + 'static {
    /// Value and state of one key, side by side.
    type Entry: Entry;
    /// Type of the pushed numbers.
    type Push: Number;
    /// Type of the pulled numbers.
    type Pull: Number;

    /// Numbers pushed for each key.
    fn push_width(&self) -> usize {
        1
    }

    /// Numbers pulled for each key.
    fn pull_width(&self) -> usize {
        1
    }

    /// The entry of a key nobody has pushed yet.
    fn init(&self, key: Key) -> Self::Entry;

    /// Starts one task's update; `args` came with the push (equal bytes from all workers when it is aggregated).
    ///
    /// # Errors
    /// Text for the workers; the task is then refused and nothing is applied.
    fn begin(&mut self, _args: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// Updates one key with what was pushed to it, `[push_width]`, summed over workers when aggregated. Called in
    /// ascending key order over the union of the pushed keys.
    fn apply(&mut self, key: Key, entry: &mut Self::Entry, pushed: &[Self::Push]);

    /// Ends one task's update; the bytes go to the pushing workers with the reply (see `Outcome::notes`).
    fn end(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Answers a pull of one key into `out`, `[pull_width]`.
    fn read(&self, key: Key, entry: &Self::Entry, out: &mut [Self::Pull]);

    /// A named question over all of this server's keys.
    ///
    /// # Errors
    /// Text for the workers.
    fn call(&mut self, _store: &mut Store<Self::Entry>, _args: &[u8]) -> Result<Vec<u8>, String> {
        Err("expected an updater with server functions, got one without".into())
    }
}
