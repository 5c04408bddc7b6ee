//! scratch
use handcar_ps::driver::sim::{Broken, ENVIRONMENT, FAILPOINTS, SimConfig, run};
use std::collections::BTreeMap;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (a, b) = args[0].split_once("..").expect("A..B");
    let story = args.iter().any(|a| a == "story");
    let begin = std::time::Instant::now();
    let (mut hours, mut bad, mut rests, mut old, mut expired) = (0.0, 0, 0, 0, 0);
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    if args.iter().any(|a| a == "broken") {
        for broken in Broken::all() {
            let t = std::time::Instant::now();
            let found = (a.parse().unwrap()..b.parse().unwrap()).find_map(|seed| {
                run(&SimConfig { broken: Some(broken), ..SimConfig::new(seed) }).violation.map(|v| (seed, v))
            });
            println!("{broken}: {found:?} {:.1}", t.elapsed().as_secs_f64());
        }
        return;
    }
    for seed in a.parse().unwrap()..b.parse().unwrap() {
        let report = run(&SimConfig { story, ..SimConfig::new(seed) });
        hours += report.cluster_hours;
        rests += report.rests;
        old += report.old_answers;
        expired += report.expired;
        for (k, v) in &report.faults {
            *faults.entry(k).or_default() += v;
        }
        if story {
            report.story.iter().for_each(|l| println!("{l}"));
        }
        if let Some(violation) = report.violation {
            bad += 1;
            println!("seed {seed}: {violation}");
        }
    }
    println!(
        "{bad} bad, {hours:.1} h, {} faults, {:.1} s; rests {rests} old {old} expired {expired}",
        faults.values().sum::<u64>(),
        begin.elapsed().as_secs_f64()
    );
    for (k, v) in &faults {
        println!("{v:>9} {k}");
    }
    for p in ENVIRONMENT.iter().chain(&FAILPOINTS) {
        if !faults.contains_key(p) {
            println!("NEVER {p}");
        }
    }
}
