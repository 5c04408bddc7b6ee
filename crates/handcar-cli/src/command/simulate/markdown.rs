//! Reports as pages for people: `docs/simulation` keeps them as they were written.

use super::report::{Faults, Mistakes};
use crate::progress::grouped;
use handcar_ps::driver::sim::{ENVIRONMENT, FAILPOINTS};
use std::fmt::Write;

/// A table of two columns, the second for numbers.
fn table(out: &mut String, head: [&str; 2], rows: impl IntoIterator<Item = (String, String)>) {
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "\n| {} | {} |\n|---|---:|", head[0], head[1]);
    for (name, value) in rows {
        let _ = writeln!(out, "| {name} | {value} |");
    }
}

fn command(first: u64, seeds: u64, minutes: u32) -> String {
    format!("handcar simulate faults --seeds {first}..{} --minutes {minutes}", first + seeds)
}

/// What seeds with faults found.
pub fn campaign(r: &Faults) -> String {
    let mut out = String::from("# A campaign of simulated faults\n\n");
    let shown = command(r.first_seed, r.seeds_asked, r.minutes);
    let _ = writeln!(out, "Written by handcar {}:\n\n```sh\n{shown} --report campaign.md\n```", r.version);
    let counts = |names: &[&'static str]| names.iter().filter_map(|n| r.faults.get(n)).sum::<u64>();
    let struck = |names: &[&'static str]| names.iter().filter(|n| r.faults.contains_key(*n)).count();
    let messages = counts(&ENVIRONMENT.into_iter().filter(|n| n.starts_with("message ")).collect::<Vec<_>>());
    let ratio = r.cluster_hours * 3600.0 / r.seconds.max(1e-9);
    let kinds = |names: &[&'static str]| format!("{} of {}", struck(names), names.len());
    let rows = [
        ("seeds", grouped(r.seeds)),
        ("violations", grouped(r.violations.len() as u64)),
        ("virtual hours of clusters", grouped(r.cluster_hours as u64)),
        ("virtual hours of processes", grouped(r.process_hours as u64)),
        ("faults", grouped(r.faults_total)),
        ("of them to processes, links and disks, not single messages", grouped(r.faults_total - messages)),
        ("kinds of faults around the processes that struck", kinds(&ENVIRONMENT)),
        ("failpoints that struck", kinds(&FAILPOINTS)),
        ("tasks compared with the reference", grouped(r.tasks)),
        ("of them out of time", grouped(r.tasks_expired)),
        ("views", grouped(r.views)),
        ("moments of rest, all copies compared byte by byte", grouped(r.rests)),
        ("answers of older views, without effect", grouped(r.old_answers)),
        ("records kept by one server for repetition, at most", grouped(r.kept_max)),
        ("wall time, seconds", grouped(r.seconds as u64)),
        ("times faster than real time", grouped(ratio as u64)),
    ];
    table(&mut out, ["", "count"], rows.map(|(name, value)| (name.to_string(), value)));
    for (title, names) in [("Around the processes", &ENVIRONMENT[..]), ("Failpoints", &FAILPOINTS[..])] {
        let _ = writeln!(out, "\n## {title}");
        let count = |n: &&'static str| (n.to_string(), grouped(r.faults.get(n).copied().unwrap_or(0)));
        table(&mut out, ["fault", "struck"], names.iter().map(count));
    }
    if !r.violations.is_empty() {
        out.push_str("\n## Violations\n\n");
        for (seed, what) in &r.violations {
            let _ = writeln!(out, "- seed {seed}: {what}");
        }
    }
    out
}

/// At which seed each deliberate mistake was found.
pub fn mistakes(r: &Mistakes) -> String {
    let mut out = String::from("# Deliberate mistakes\n\n");
    let count = if r.counted { " --count" } else { "" };
    let shown = command(r.first_seed, r.seeds, r.minutes);
    let _ = writeln!(
        out,
        "Each is built in alone, and the seeds must find it. Written by handcar {}:\n\n```sh\n{shown} --broken \
         all{count} --report mistakes.md\n```\n\n| mistake | what is wrong | found by seeds | seeds until found |\n\
         |---|---|---:|---:|",
        r.version
    );
    for (name, f) in &r.mistakes {
        let found = if r.counted { format!("{} of {}", f.seeds_found, f.seeds_run) } else { String::new() };
        let until = f.seed.map_or("never".into(), |seed| (seed - r.first_seed + 1).to_string());
        let _ = writeln!(out, "| `{name}` | {} | {found} | {until} |", f.about);
    }
    out
}
