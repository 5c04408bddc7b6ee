//! Two workers find the least squares distance to their targets; over TCP their gradients go through a filter of this crate
//! to a server function of this crate. Here all roles are threads; as processes they would register the same names.

mod momentum;
mod top_k;

use handcar_base::KeyList;
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};
use handcar_ps::filter::{Saved, TableFilters};
use handcar_ps::{Registry, Worker};
use momentum::Momentum;
use std::error::Error;
use std::thread;
use top_k::TopK;

const WORKERS: usize = 2;
const SERVERS: usize = 2;
const KEYS: usize = 1000;
const STEPS: u64 = 400;
/// What is not among the fifty largest rows of a step's message to a server goes with a later step.
const FILTERS: &str = "error-feedback:top-k:50,lz4";

type Failure = Box<dyn Error + Send + Sync>;

/// The names that every role must know: servers both kinds, workers the filters.
fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register("momentum", Momentum::new);
    registry.register_filter("top-k", TopK::new);
    registry
}

/// The target of one worker; the sum of the two losses is least halfway between their targets.
fn target(rank: usize, key: usize) -> f32 {
    (key as f32 * 0.37).sin() + if rank == 0 { 0.1 } else { -0.1 }
}

/// One worker's distance to the solution, and what each filter saved.
fn train(mut worker: Worker) -> Result<(f32, Vec<Saved>), Failure> {
    let keys = KeyList::new((0..KEYS as u64).collect())?;
    let filters = TableFilters::parse(FILTERS, "")?;
    let table = worker.create_table_with("w", "momentum", b"0.02 0.8", &filters)?;
    let mut w = vec![0.0f32; KEYS];
    for _ in 0..STEPS {
        let gradient: Vec<f32> = w.iter().enumerate().map(|(k, w)| w - target(worker.rank(), k)).collect();
        worker.push(table, &keys, gradient).wait()?;
        w = worker.pull(table, &keys).wait()?.pulled.and_then(|v| v.into_vec()).unwrap_or_default();
    }
    let distance = (0..KEYS).map(|k| (w[k] - (target(0, k) + target(1, k)) / 2.0).abs()).fold(0.0, f32::max);
    let saved = worker.stats().filters;
    worker.finish()?;
    Ok((distance, saved))
}

fn main() -> Result<(), Failure> {
    let listener = listen("127.0.0.1:0", false)?;
    let scheduler = listener.local_addr()?.to_string();
    let reports = thread::scope(|scope| {
        scope.spawn(move || run_scheduler(listener, &SchedulerConfig::new(WORKERS, SERVERS)));
        for _ in 0..SERVERS {
            scope.spawn(|| {
                listen("127.0.0.1:0", false)
                    .and_then(|l| run_server(l, &scheduler, &registry(), &NodeConfig::default()))
            });
        }
        let work = |rank| -> Result<_, Failure> {
            let filters = registry().filters().clone();
            train(connect_worker(&scheduler, &NodeConfig { rank: Some(rank), filters, ..NodeConfig::default() })?)
        };
        let started: Vec<_> = (0..WORKERS).map(|rank| scope.spawn(move || work(rank))).collect();
        started.into_iter().map(|t| t.join().map_err(|_| "a worker panicked")?).collect::<Result<Vec<_>, _>>()
    })?;
    for (rank, (distance, saved)) in reports.into_iter().enumerate() {
        println!("worker {rank}: {distance:.4} from the solution after {STEPS} steps");
        for Saved { name, direction, before, after } in saved {
            println!("  {name}, {direction}: {before} bytes became {after}");
        }
        if distance > 0.05 {
            return Err(format!("expected to come within 0.05 of the solution, got {distance}").into());
        }
    }
    Ok(())
}
