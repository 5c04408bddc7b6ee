//! Question: how many bytes do filters save from workers to servers, and back, and what do they do to the objective?
//! Data: `filters L1 TOL OPTIMUM WORKERS SERVERS RUNS FILE...`; RUNS are specs of pushes, a `;` between two runs, the pulls' after
//! a `|`: `;zstd|zstd` is a run without filters and one with. A run that begins with `-` has the KKT filter off.
//! Machine: the caller's; bytes and objectives do not depend on it.
//!
//! Scheduler, servers and workers are threads that talk over loopback. Prints, separated by tabs, a line for each filter
//! of each run with its bytes before and after, and one line for the run: objective over the optimum less one, and what the
//! workers sent and received of all kinds until `F <= (1 + 1e-4)·OPTIMUM`, with what they would have sent had every key
//! taken 8 bytes, every number pushed 4 and every integer of a reduction 8.

use handcar_data::{Dataset, ReadOptions, read};
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};
use handcar_ps::filter::TableFilters;
use handcar_train::job::{FitOptions, Fitted, PassTrace, Silent, TrainInput, fit, registry};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A model, and bytes sent and received; also those of its passes are of all workers.
type Run = (Fitted, u64, u64);

/// Trains over TCP with as many workers and servers.
fn train(data: &Dataset, workers: usize, servers: usize, options: &FitOptions) -> Result<Run, Failure> {
    let listener = listen("127.0.0.1:0", false)?;
    let address = listener.local_addr()?.to_string();
    let config = SchedulerConfig { suspect_ms: 60_000, ..SchedulerConfig::new(workers, servers) };
    std::thread::scope(|scope| {
        scope.spawn(move || run_scheduler(listener, &config));
        for _ in 0..servers {
            let address = address.clone();
            scope.spawn(move || {
                let config = NodeConfig { suspect_ms: 60_000, ..NodeConfig::default() };
                listen("127.0.0.1:0", false).and_then(|l| run_server(l, &address, &registry(), &config))
            });
        }
        let work = |rank: usize| -> Result<Run, Failure> {
            let config = NodeConfig { rank: Some(rank), suspect_ms: 60_000, ..NodeConfig::default() };
            let mut worker = connect_worker(&address, &config)?;
            let rows = data.rows() * rank / workers..data.rows() * (rank + 1) / workers;
            let fitted = fit(&mut worker, TrainInput { rows, ..TrainInput::new(data) }, options, &mut Silent)?;
            let stats = worker.stats();
            worker.finish()?;
            Ok((fitted, stats.bytes_sent, stats.bytes_received))
        };
        let threads: Vec<_> = (0..workers).map(|rank| scope.spawn(move || work(rank))).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.push(thread.join().map_err(|_| "a worker panicked")??);
        }
        let mut first = all.remove(0);
        for (other, sent, received) in all {
            (first.1, first.2) = (first.1 + sent, first.2 + received);
            for (sum, pass) in first.0.trace.iter_mut().zip(&other.trace) {
                sum.bytes_sent += pass.bytes_sent;
                sum.plain_sent += pass.plain_sent;
            }
        }
        Ok(first)
    })
}

/// The passes until the objective is there.
fn until(trace: &[PassTrace], optimum: f64) -> &[PassTrace] {
    let at = trace.iter().position(|p| p.objective <= (1.0 + 1e-4) * optimum);
    &trace[..at.map_or(trace.len(), |at| at + 1)]
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [l1, tol, optimum, workers, servers, runs, files @ ..] = &args[..] else {
        return Err("expected L1 TOL OPTIMUM WORKERS SERVERS RUNS FILE..., got fewer".into());
    };
    let (l1, tol, optimum): (f64, f64, f64) = (l1.parse()?, tol.parse()?, optimum.parse()?);
    let (workers, servers) = (workers.parse()?, servers.parse()?);
    let data = read(files, &ReadOptions::default())?;
    for run in runs.split(';') {
        let (push, pull) = run.split_once('|').unwrap_or((run, ""));
        let (push, kkt_filter) = push.strip_prefix('-').map_or((push, true), |push| (push, false));
        let filters = TableFilters::parse(push, pull)?;
        let options =
            FitOptions { l1, tol, intercept: false, passes: 400, kkt_filter, filters, ..FitOptions::default() };
        let (fitted, all_sent, all_received) = match train(&data, workers, servers, &options) {
            Ok(done) => done,
            Err(error) => {
                println!("failed\t{run}\t{error}");
                continue;
            }
        };
        for s in &fitted.filters {
            println!("filter\t{run}\t{}\t{}\t{}\t{}", s.name, s.direction, s.before, s.after);
        }
        let passes = until(&fitted.trace, optimum);
        let (sent, plain) = passes.iter().fold((0, 0), |(s, p), pass| (s + pass.bytes_sent, p + pass.plain_sent));
        let (off, facts) = (fitted.model.facts.objective / optimum - 1.0, &fitted.model.facts);
        let (there, all) = (passes.len(), facts.passes);
        let converged = facts.converged;
        println!("run\t{run}\t{off:e}\t{sent}\t{plain}\t{there}\t{all}\t{converged}\t{all_sent}\t{all_received}");
    }
    Ok(())
}
