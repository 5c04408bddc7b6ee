//! Where workers come from: this process, or a job over TCP.

use super::worker::Worker;
use crate::error::value;
use crate::interrupt;
use handcar_ps::driver::local::{LocalConfig, cluster_with};
use handcar_ps::driver::net::{NodeConfig, connect_worker};
use handcar_train::job;
use pyo3::prelude::*;

/// As many workers, and servers, as a job over TCP may have.
const MEMBERS_MAX: i64 = 256;
/// A year: longer is a mistake.
const MILLIS_MAX: i64 = 365 * 24 * 3_600_000;

/// Workers of a cluster inside this process, by rank. See `handcar.ps.local`.
#[pyfunction]
#[pyo3(signature = (workers, servers, deadline_ms))]
pub fn local_workers(workers: i64, servers: i64, deadline_ms: i64) -> PyResult<Vec<Worker>> {
    let workers = within("local", "workers", workers, MEMBERS_MAX)?;
    let servers = within("local", "servers", servers, MEMBERS_MAX)?;
    let deadline_ms = within("local", "deadline_ms", deadline_ms, MILLIS_MAX)?;
    let config = LocalConfig { deadline_ms, ..LocalConfig::new(workers as usize, servers as usize) };
    Ok(cluster_with(&config, &job::registry()).into_iter().map(Worker::new).collect())
}

/// Joins a job over TCP as a worker: waits until all its members are there, then connects to every server.
///
/// scheduler: "host:port", as `handcar scheduler` prints it. rank: the rank wanted, otherwise the scheduler gives one.
/// name: unlike any other member's; made up if not given. deadline_ms: milliseconds a task may take. join_ms:
/// milliseconds for the scheduler to be reached and all members to arrive.
///
/// Raises `LostError` (a `ConnectionError`) if nobody listens there, `DeadlineError` with the members that did not
/// come, `RefusedError` if the rank or name is taken.
#[pyfunction]
#[pyo3(signature = (scheduler, *, rank=None, name=None, deadline_ms=600_000, join_ms=60_000))]
pub fn connect(
    py: Python<'_>,
    scheduler: String,
    rank: Option<usize>,
    name: Option<String>,
    deadline_ms: i64,
    join_ms: i64,
) -> PyResult<Worker> {
    let deadline_ms = within("connect", "deadline_ms", deadline_ms, MILLIS_MAX)?;
    let join_ms = within("connect", "join_ms", join_ms, MILLIS_MAX)?;
    let config = NodeConfig { name, rank, deadline_ms, join_ms, ..NodeConfig::default() };
    let joined = interrupt::wait_for(py, move || connect_worker(&scheduler, &config))?;
    Ok(Worker::new(joined.map_err(super::error::ps)?))
}

/// A whole number from 1 to `most`. Signed, so that a negative one is told like any other.
fn within(op: &str, name: &str, given: i64, most: i64) -> PyResult<u64> {
    if !(1..=most).contains(&given) {
        return Err(value(op, format!("{name} from 1 to {most}"), given));
    }
    Ok(given as u64)
}
