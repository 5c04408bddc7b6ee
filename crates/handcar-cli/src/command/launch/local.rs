//! `handcar launch local`: scheduler, servers and workers as processes of this machine, over loopback.

use super::children::{Children, Show, by_signal, describe, pause};
use crate::{
    command::{General, job::Job},
    outcome::Outcome,
    signals::Stop,
};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::ExitStatus,
    time::Duration,
};

/// After the first failure the others have this long to say what they lost before they are killed.
const LAST_WORDS: Duration = Duration::from_millis(2500);
/// After the workers are done, servers and scheduler have this long to end.
const GOOD_BYE: Duration = Duration::from_secs(5);

/// Scheduler, servers and workers as processes of this machine.
#[derive(Args, Debug)]
pub struct LocalArgs {
    /// Server processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    servers: u16,
    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// The job: fit and its options, behind --
    #[arg(value_name = "JOB", required = true, last = true)]
    job: Vec<OsString>,
}

/// Runs the command.
pub fn run(args: LocalArgs, general: &General) -> Result<Outcome> {
    let job = Job::parse(&args.job)?;
    ensure!(
        !job.fit.input.reads_stdin(),
        "launch local: expected files as inputs, got -: standard input cannot be shared by several workers"
    );
    // Packed once here, so that the workers find the cache instead of each parsing the text; and so that bad input is
    // told once, before anything is started.
    job.fit.warm_cache(general.quiet || job.general.quiet)?;
    let stop = Stop::install()?;
    let mut children = Children::default();
    start(&args, general, &mut children)?;
    watch(&mut children, &stop)
}

fn start(args: &LocalArgs, general: &General, children: &mut Children) -> Result<()> {
    let (servers, workers) = (args.servers.to_string(), args.workers.to_string());
    let shared: [OsString; 3] = ["--die-with-parent".into(), "--log-level".into(), (&general.log_level).into()];
    let words = |words: &[&str]| words.iter().map(OsString::from).chain(shared.iter().cloned()).collect::<Vec<_>>();

    let scheduler = words(&["scheduler", "--listen", "127.0.0.1:0", "--servers", &servers, "--workers", &workers]);
    let out = children.start("scheduler", scheduler, Show::Caught)?.context("scheduler: no standard output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).context("read the scheduler's address")?;
    let addr: SocketAddr = match line.trim().strip_prefix("listening ").map(str::parse) {
        Some(Ok(addr)) => addr,
        _ => {
            let failed = children.finish(LAST_WORDS)?;
            bail!("launch local: the scheduler did not start{}", blame(&failed));
        }
    };
    let addr = addr.to_string();
    for rank in 0..args.servers {
        let name = format!("server {rank}");
        children.start(&name, words(&["server", "--scheduler", &addr, "--rank", &rank.to_string()]), Show::Named)?;
    }
    for rank in 0..args.workers {
        let name = format!("worker {rank}");
        let rank_text = rank.to_string();
        let mut job = words(&["worker", "--scheduler", &addr, "--rank", &rank_text, "--share-cores", &workers]);
        if general.quiet {
            job.push("--quiet".into());
        }
        job.push("--".into());
        job.extend(args.job.iter().cloned());
        children.start(&name, job, if rank == 0 { Show::Through } else { Show::Named })?;
    }
    Ok(())
}

fn watch(children: &mut Children, stop: &Stop) -> Result<Outcome> {
    let mut told = None;
    loop {
        if let (None, Some(signal)) = (told, stop.signal()) {
            // Workers agree among themselves to stop, save the model so far, and leave; the others follow them.
            children.signal("worker", signal);
            told = Some(signal);
        }
        let mut failed = children.look()?;
        if told.is_some() {
            // Asked to stop, a worker ends with the signal's status: that is no failure.
            failed.retain(|(_, status)| status.code() != told.map(|s| crate::signals::status(s) as i32));
        }
        if !failed.is_empty() {
            failed.extend(children.finish(LAST_WORDS)?);
            bail!("launch local: the job ended{}", blame(&failed));
        }
        if children.all_ended("worker") {
            break;
        }
        pause();
    }
    let failed = children.finish(GOOD_BYE)?;
    ensure!(failed.is_empty(), "launch local: the workers are done, but the job did not end well{}", blame(&failed));
    let status = children.ended("worker 0").and_then(|s| s.code()).unwrap_or(1);
    Ok(match (told, status) {
        (_, 0) => Outcome::Done,
        (Some(signal), _) => Outcome::Stopped(signal),
        (None, status) => Outcome::Child(u8::try_from(status).unwrap_or(1)),
    })
}

/// Who failed first: one that a signal ended, or else the first that failed; the others failed because of it.
fn blame(failed: &[(String, ExitStatus)]) -> String {
    let cause = failed.iter().find(|(_, s)| by_signal(*s)).or(failed.first());
    cause.map_or(String::new(), |(name, status)| format!(": {name} {}", describe(*status)))
}
