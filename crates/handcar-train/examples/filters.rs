//! Question: how many bytes do filters save from workers to servers, and back, and what do they do to the objective?
//! Data: `filters L1 OPTIMUM WORKERS SERVERS FILE...`; scheduler, servers and workers are threads that talk over loopback.
//! Machine: the caller's; bytes and objectives do not depend on it.
//!
//! Prints each filter's bytes before and after over a whole run, then all of them together against none: bytes until
//! `F <= (1 + 1e-4)·OPTIMUM`. "None" sends every key in every pass as 8 bytes, with every number as 4, and no key list is
//! ever named; its run has the KKT filter off.

use handcar_data::{Dataset, ReadOptions, read};
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};
use handcar_ps::filter::TableFilters;
use handcar_train::job::{FitOptions, Fitted, Silent, TrainInput, fit, registry};

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Run {
    fitted: Fitted,
    sent: u64,
    received: u64,
    plain_received: u64,
    plain_sent: u64,
}

/// Trains over TCP with as many workers and servers; counters are of all workers.
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
            let s = worker.stats();
            worker.finish()?;
            let (plain_received, plain_sent) = (s.plain_received, s.plain_sent);
            Ok(Run { fitted, sent: s.bytes_sent, received: s.bytes_received, plain_received, plain_sent })
        };
        let threads: Vec<_> = (0..workers).map(|rank| scope.spawn(move || work(rank))).collect();
        let mut runs = Vec::new();
        for thread in threads {
            runs.push(thread.join().map_err(|_| "a worker panicked")??);
        }
        let mut first = runs.remove(0);
        for run in &runs {
            first.sent += run.sent;
            first.received += run.received;
            first.plain_sent += run.plain_sent;
            first.plain_received += run.plain_received;
            for (all, pass) in first.fitted.trace.iter_mut().zip(&run.fitted.trace) {
                all.bytes_sent += pass.bytes_sent;
                all.plain_sent += pass.plain_sent;
            }
        }
        Ok(first)
    })
}

/// Bytes sent and plain bytes until the objective is there, and the passes that took.
fn until(run: &Run, optimum: f64) -> Option<(u64, u64, u64)> {
    let at = run.fitted.trace.iter().position(|p| p.objective <= (1.0 + 1e-4) * optimum)?;
    let passes = &run.fitted.trace[..=at];
    Some((passes.iter().map(|p| p.bytes_sent).sum(), passes.iter().map(|p| p.plain_sent).sum(), at as u64 + 1))
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [l1, optimum, workers, servers, files @ ..] = &args[..] else {
        return Err("expected L1 OPTIMUM WORKERS SERVERS FILE..., got fewer".into());
    };
    let (l1, optimum): (f64, f64) = (l1.parse()?, optimum.parse()?);
    let (workers, servers) = (workers.parse()?, servers.parse()?);
    let data = read(files, &ReadOptions::default())?;
    let base = FitOptions { l1, intercept: false, passes: 400, ..FitOptions::default() };
    println!("{workers} workers, {servers} servers, {} rows, {} keys", data.rows(), data.keys().len());

    let mut plain = None;
    println!(
        "| push | pull | filter | direction | before | after | sent in all | received in all | F/F* - 1 | passes |"
    );
    for (push, pull) in [
        ("", ""),
        ("key-cache", ""),
        ("zero", "zero"),
        ("lz4", "lz4"),
        ("zstd:1", "zstd:1"),
        ("zstd:9", "zstd:9"),
        ("fixed-point:2", ""),
        ("fixed-point:3", ""),
        ("random-skip:0.9", ""),
        ("significant:1", ""),
        ("error-feedback:fixed-point:2", ""),
        ("key-cache,zero,zstd:9", "zero,zstd:9"),
        ("key-cache,zero,fixed-point:3,zstd:9", "zero,zstd:9"),
    ] {
        let options = FitOptions { filters: TableFilters::parse(push, pull)?, ..base.clone() };
        let run = train(&data, workers, servers, &options)?;
        let facts = &run.fitted.model.facts;
        let (off, passes) = (facts.objective / optimum - 1.0, facts.passes);
        let mut lines: Vec<_> = run.fitted.filters.iter().filter(|s| push.is_empty() || s.name != "kkt").collect();
        lines.sort_by_key(|s| s.direction);
        for s in lines {
            println!(
                "| {push} | {pull} | {} | {} | {} | {} | {} | {} | {off:.2e} | {passes} |",
                s.name, s.direction, s.before, s.after, run.sent, run.received
            );
        }
        let exact = !["fixed", "random", "signif", "error"].iter().any(|n| push.contains(n));
        match &plain {
            None => plain = Some(run.fitted.model.clone()),
            Some(plain) if exact => println!("the same model, bit by bit: {}", *plain == run.fitted.model),
            Some(_) => {}
        }
        if let Some((sent, _, passes)) = until(&run, optimum) {
            println!("| {push} | {pull} | until F*(1+1e-4) | {sent} bytes in {passes} passes |");
        }
    }
    let off = train(&data, workers, servers, &FitOptions { kkt_filter: false, ..base.clone() })?;
    let Some((_, before, passes)) = until(&off, optimum) else { return Err("the optimum was not reached".into()) };
    println!("no filter, no key list named, u64 keys, f32 values: {before} bytes in {passes} passes");
    println!("whole run: {} sent plain, {} received plain", off.plain_sent, off.plain_received);
    for (push, pull) in
        [("key-cache,zero,zstd:9", "zero,zstd:9"), ("key-cache,zero,fixed-point:3,zstd:9", "zero,zstd:9")]
    {
        let options = FitOptions { filters: TableFilters::parse(push, pull)?, ..base.clone() };
        let on = train(&data, workers, servers, &options)?;
        let Some((sent, _, passes)) = until(&on, optimum) else { continue };
        println!("kkt,{push}: {sent} bytes in {passes} passes; {:.1} times fewer", before as f64 / sent as f64);
    }
    Ok(())
}
