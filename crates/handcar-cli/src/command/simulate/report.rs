//! The JSON reports of simulations: stable keys, one object.

use super::campaign::Campaign;
use crate::command::output;
use anyhow::{Context, Result};
use handcar_ps::driver::sim::{Broken, SimReport};
use serde::Serialize;
use std::{collections::BTreeMap, ops::Range, path::Path};

/// What seeds with faults found.
#[derive(Debug, Serialize)]
pub struct Faults {
    command: &'static str,
    version: &'static str,
    seeds: u64,
    minutes: u32,
    seconds: f64,
    virtual_hours: f64,
    cluster_hours: f64,
    tasks: u64,
    tasks_expired: u64,
    views: u64,
    rests: u64,
    old_answers: u64,
    failover_ms_max: u64,
    failover_seed: u64,
    faults_total: u64,
    faults: BTreeMap<&'static str, u64>,
    faults_never: Vec<&'static str>,
    violations: BTreeMap<u64, String>,
}

impl Faults {
    pub fn new(minutes: u32, c: &Campaign, seconds: f64) -> Self {
        Self {
            command: "simulate faults",
            version: env!("CARGO_PKG_VERSION"),
            seeds: c.seeds,
            minutes,
            seconds,
            virtual_hours: c.virtual_hours,
            cluster_hours: c.cluster_hours,
            tasks: c.tasks,
            tasks_expired: c.expired,
            views: c.views,
            rests: c.rests,
            old_answers: c.old_answers,
            failover_ms_max: c.failover_ms_max,
            failover_seed: c.failover_seed,
            faults_total: c.faults_total(),
            faults: c.faults.clone(),
            faults_never: c.never(),
            violations: c.violations.clone(),
        }
    }
}

/// At which seed each deliberate mistake was found.
#[derive(Debug, Serialize)]
pub struct Mistakes {
    command: &'static str,
    version: &'static str,
    seeds: Range<u64>,
    seconds: f64,
    mistakes: BTreeMap<String, Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    seed: Option<u64>,
    violation: Option<String>,
}

impl Mistakes {
    pub fn new(seeds: Range<u64>, found: &[(Broken, Option<SimReport>)], seconds: f64) -> Self {
        let fact = |report: &Option<SimReport>| Found {
            seed: report.as_ref().map(|r| r.seed),
            violation: report.as_ref().and_then(|r| r.violation.clone()),
        };
        let mistakes = found.iter().map(|(broken, report)| (broken.to_string(), fact(report))).collect();
        Self { command: "simulate faults --broken", version: env!("CARGO_PKG_VERSION"), seeds, seconds, mistakes }
    }
}

/// Writes a report, if one was asked for.
pub fn save(path: Option<&Path>, report: &impl Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(report).context("write a report as JSON")?;
    output::write(path, |out| Ok(writeln!(out, "{text}")?))
}
