//! Prints the passes of one fit: `trace INPUT... [NAME=NUMBER]... [solver=NAME]` with names `history l1 l2 tol passes threads delay intercept
//! filter workers servers transpose` (1: also times the transposition of rows into column blocks).

use handcar_data::{CachePolicy, ReadOptions, read};
use handcar_train::job::{self, FitOptions, Observer, PassTrace, TrainInput};

struct Print;

impl Observer for Print {
    fn pass(&mut self, p: &PassTrace) {
        let gap = p.gap.map_or(String::new(), |g| format!("gap {g:.2e}"));
        println!(
            "pass {:3} {:7.3}s F {:.4} change {:.2e} nnz {} active {:.4} violation {:.4} {gap}",
            p.pass,
            p.seconds,
            p.objective,
            p.relative_change,
            p.nnz,
            p.active,
            p.violation.unwrap_or(f64::NAN)
        );
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (settings, inputs): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.contains('='));
    let get = |name: &str, default: f64| {
        let found = settings.iter().find_map(|s| s.strip_prefix(name)?.strip_prefix('='));
        found.map_or(Ok(default), str::parse::<f64>)
    };
    let threads = get("threads", 1.0)? as usize;
    let data = read(&inputs, &ReadOptions { threads, cache: CachePolicy::off(), ..ReadOptions::default() })?;
    println!("{} rows, {} keys, {} blocks", data.rows(), data.keys().len(), data.blocks().len());
    if get("transpose", 0.0)? != 0.0 {
        let rows = data.csr();
        let began = std::time::Instant::now();
        let blocks = handcar_data::build_blocks(rows, data.keys());
        println!("transpose {:.3}s, {} blocks", began.elapsed().as_secs_f64(), blocks.blocks().len());
    }
    let solver = settings.iter().find_map(|s| s.strip_prefix("solver=")).unwrap_or("dbpg").parse()?;
    let options = FitOptions {
        solver,
        history: get("history", 10.0)? as u32,
        l1: get("l1", 1.0)?,
        l2: get("l2", 0.0)?,
        tol: get("tol", 1e-4)?,
        passes: get("passes", 200.0)? as u32,
        threads,
        delay: get("delay", 0.0)? as u32,
        intercept: get("intercept", 1.0)? != 0.0,
        kkt_filter: get("filter", 1.0)? != 0.0,
        ..FitOptions::default()
    };
    let (workers, servers) = (get("workers", 1.0)? as usize, get("servers", 1.0)? as usize);
    let cluster = handcar_ps::driver::local::cluster(workers, servers, &job::registry());
    std::thread::scope(|scope| {
        for mut worker in cluster {
            let (data, options) = (&data, &options);
            scope.spawn(move || {
                let (n, rank) = (data.rows(), worker.rank());
                let rows = n * rank / workers..n * (rank + 1) / workers;
                let input = TrainInput { rows, ..TrainInput::new(data) };
                let mut silent = job::Silent;
                let mut print = Print;
                let observer: &mut dyn Observer = if rank == 0 { &mut print } else { &mut silent };
                match job::fit(&mut worker, input, options, observer) {
                    Ok(fitted) if rank == 0 => println!("{:#?}", fitted.model.facts),
                    Ok(_) => {}
                    Err(e) => println!("worker {rank}: {e}"),
                }
                if let Err(e) = worker.finish() {
                    println!("worker {rank}: {e}");
                }
            });
        }
    });
    Ok(())
}
