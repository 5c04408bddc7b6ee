//! Simulates fault seeds: `simulate A..B [story]`, or `simulate A..B broken N` with the N-th deliberate mistake.

use handcar_ps::driver::sim::{Broken, SimConfig, run};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (a, b) = args[0].split_once("..").expect("A..B");
    let broken = args.iter().position(|a| a == "broken").map(|at| Broken::ALL[args[at + 1].parse::<usize>().unwrap()]);
    let story = args.iter().any(|a| a == "story");
    let begin = std::time::Instant::now();
    let (mut hours, mut faults, mut bad) = (0.0, 0, 0);
    for seed in a.parse().unwrap()..b.parse().unwrap() {
        let report = run(&SimConfig { broken, story, ..SimConfig::new(seed) });
        hours += report.cluster_hours;
        faults += report.faults.values().sum::<u64>();
        if story {
            report.story.iter().for_each(|l| println!("{l}"));
            println!(
                "{:?} tasks {} views {} failover {} ms",
                report.faults, report.tasks, report.views, report.failover_ms_max
            );
        }
        if let Some(violation) = report.violation {
            bad += 1;
            println!("seed {seed}: {violation}");
        }
    }
    println!("{bad} bad, {hours:.1} h, {faults} faults, {:.1} s", begin.elapsed().as_secs_f64());
}
