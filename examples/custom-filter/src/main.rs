//! Two workers find the least squares distance to their targets; their gradients go through a filter of this crate to
//! a server function of this crate.

mod momentum;
mod top_k;

use handcar_base::{KeyList, Seed};
use handcar_ps::driver::local;
use handcar_ps::filter::{Context, Direction, FilterRegistry, Spec};
use handcar_ps::{Dtype, Registry, Task, Worker};
use momentum::Momentum;
use std::error::Error;
use std::thread;
use top_k::TopK;

const KEYS: usize = 1000;
const STEPS: u64 = 400;
/// What is not among the hundred largest rows of a step goes with a later step.
const SPEC: &str = "error-feedback:top-k:100,lz4";

/// What one worker reports: its distance to the solution, and the bytes before and after the filters.
type Report = (f32, u64, u64);

/// The target of one worker; the sum of the two losses is least halfway between their targets.
fn target(rank: usize, key: usize) -> f32 {
    (key as f32 * 0.37).sin() + if rank == 0 { 0.1 } else { -0.1 }
}

fn train(mut worker: Worker, filters: &FilterRegistry) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let keys = KeyList::new((0..KEYS as u64).collect())?;
    let table = worker.create_table("w", "momentum", b"0.02 0.8")?;
    let spec: Spec = SPEC.parse()?;
    // The two ends of the way to a server. A spec is all that they have in common.
    let mut sender = filters.chain(&spec, Direction::Push, Dtype::F32, 1)?;
    let mut receiver = filters.chain(&spec, Direction::Push, Dtype::F32, 1)?;
    let mut w = vec![0.0f32; KEYS];
    for step in 1..=STEPS {
        let gradient: Vec<f32> = w.iter().enumerate().map(|(k, w)| w - target(worker.rank(), k)).collect();
        let cx = Context::new(table, Task(step), Direction::Push, 0, Seed(7));
        let message = sender.encode(&cx, &keys, gradient.into())?;
        let received = receiver.decode(&cx, &keys, &message)?;
        worker.push(table, &received.keys(&keys), received.values).wait()?;
        w = worker.pull(table, &keys).wait()?.pulled.and_then(|v| v.into_vec()).unwrap_or_default();
    }
    let distance = (0..KEYS).map(|k| (w[k] - (target(0, k) + target(1, k)) / 2.0).abs()).fold(0.0, f32::max);
    let saved = sender.saved();
    let (before, after) = (saved.first().map_or(0, |s| s.before), saved.last().map_or(0, |s| s.after));
    worker.finish()?;
    Ok((distance, before, after))
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut updaters = Registry::new();
    updaters.register("momentum", Momentum::new);
    let mut filters = FilterRegistry::new();
    filters.register("top-k", TopK::new);
    let workers = local::cluster(2, 2, &updaters);
    let reports = thread::scope(|scope| {
        let started: Vec<_> = workers.into_iter().map(|w| scope.spawn(|| train(w, &filters))).collect();
        started.into_iter().map(|t| t.join().map_err(|_| "a worker panicked")?).collect::<Result<Vec<_>, _>>()
    })?;
    for (rank, (distance, before, after)) in reports.into_iter().enumerate() {
        println!("worker {rank}: {distance:.4} from the solution after {STEPS} steps; {before} bytes became {after}");
        if distance > 0.05 {
            return Err(format!("expected to come within 0.05 of the solution, got {distance}").into());
        }
    }
    // A name that nobody registered is refused with those that are known.
    if let Err(e) = FilterRegistry::new().chain(&SPEC.parse()?, Direction::Push, Dtype::F32, 1) {
        println!("without the registration: {e}");
    }
    Ok(())
}
