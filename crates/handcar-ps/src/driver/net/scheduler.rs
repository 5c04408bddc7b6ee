//! The scheduler over TCP.

use super::config::SchedulerConfig;
use super::control;
use super::hub::{Event, Hub};
use crate::coordinator::{Coordinator, FileCoordinator, Forgetful};
use crate::engine::scheduler::{Input, Output, SchedulerEngine, SchedulerParams};
use crate::error::Result;
use crate::message::Millis;
use crate::values::Values;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Between looks at the clock: a fraction of any sensible suspicion time.
const TICK: Duration = Duration::from_millis(25);
/// Members of a job whose scheduler was started again get this long to find it, and the time of suspicion.
const BACK_MS: u64 = 2000;
/// Members get this long to read the last word.
const LINGER: Duration = Duration::from_millis(500);

/// Runs a job's scheduler until all workers have left or somebody is lost whom the job cannot do without.
///
/// # Errors
/// [`Error::System`](crate::Error::System) if its state cannot be kept or is damaged;
/// [`Error::NodeLost`](crate::Error::NodeLost) names the first member lost; [`Error::Deadline`](crate::Error::Deadline)
/// the members that did not arrive.
pub fn run_scheduler(listener: TcpListener, config: &SchedulerConfig) -> Result<()> {
    let (mut hub, _waker) = Hub::new(listener)?;
    let mut memory: Box<dyn Coordinator> = match &config.state {
        Some(folder) => Box::new(FileCoordinator::open(folder)?),
        None => Box::new(Forgetful),
    };
    let params = SchedulerParams {
        workers: config.workers,
        elastic: config.elastic,
        servers: config.servers,
        copies: config.copies.max(1),
        suspect_ms: config.suspect_ms,
        join_ms: config.join_ms,
        patience_ms: if config.state.is_some() { config.patience_ms } else { 0 },
        // Tells jobs apart, nothing else: randomness here changes no result.
        job: RandomState::new().hash_one(std::process::id()),
    };
    let mut engine = match memory.load()? {
        Some(state) if !state.over => {
            tracing::info!(epoch = state.view.epoch, "taking over a job");
            SchedulerEngine::resume(params, state, BACK_MS + config.suspect_ms)
        }
        _ => SchedulerEngine::new(params),
    };
    let start = Instant::now();
    let (mut events, mut outputs) = (Vec::new(), Vec::new());
    loop {
        hub.wait(TICK, &mut events, &mut |_, _, dtype| Values::empty(dtype))?;
        let now = Millis(start.elapsed().as_millis() as u64);
        for event in events.drain(..) {
            let input = match event {
                Event::Gone { conn, how } => Input::Gone { conn, how },
                Event::Parcel { conn, parcel } => match control::unpack(&parcel) {
                    Ok(message) => {
                        hub.admit(conn, format!("member {conn}"));
                        Input::Message { conn, message }
                    }
                    Err(expected) => {
                        hub.close(conn);
                        Input::Gone { conn, how: format!("it sent no control message: expected {expected}") }
                    }
                },
            };
            engine.step(now, input, &mut outputs);
        }
        engine.step(now, Input::Tick, &mut outputs);
        hub.written.clear();
        let mut end = None;
        for output in outputs.drain(..) {
            match output {
                Output::Send { conn, message } => hub.send(conn, control::pack(&message)),
                // Whatever follows is only said once this is safe.
                Output::Store(state) => memory.store(&state)?,
                Output::Close { conn } => hub.close(conn),
                Output::End(result) => end = Some(result),
            }
        }
        if let Some(result) = end {
            hub.linger(LINGER)?;
            return result;
        }
    }
}
