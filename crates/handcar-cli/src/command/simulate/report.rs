//! The reports of simulations: JSON with stable keys, one object; or Markdown, a page for people.

use super::{campaign::Campaign, markdown, mistakes::Hunt};
use crate::command::output;
use anyhow::{Context, Result};
use serde::Serialize;
use std::{collections::BTreeMap, ops::Range, path::Path};

/// What seeds with faults found.
#[derive(Debug, Serialize)]
pub struct Faults {
    pub command: &'static str,
    pub version: &'static str,
    pub first_seed: u64,
    /// Seeds run: fewer than asked for if a signal came.
    pub seeds: u64,
    pub seeds_asked: u64,
    pub minutes: u32,
    pub seconds: f64,
    pub cluster_hours: f64,
    pub process_hours: f64,
    pub tasks: u64,
    pub tasks_expired: u64,
    pub views: u64,
    pub rests: u64,
    pub old_answers: u64,
    pub kept_max: u64,
    pub failover_ms_max: u64,
    pub failover_seed: u64,
    pub faults_total: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub faults_never: Vec<&'static str>,
    pub violations: BTreeMap<u64, String>,
}

impl Faults {
    pub fn new(asked: Range<u64>, minutes: u32, c: &Campaign, seconds: f64) -> Self {
        Self {
            command: "simulate faults",
            version: env!("CARGO_PKG_VERSION"),
            first_seed: asked.start,
            seeds: c.seeds,
            seeds_asked: asked.end - asked.start,
            minutes,
            seconds,
            cluster_hours: c.cluster_hours,
            process_hours: c.process_hours,
            tasks: c.tasks,
            tasks_expired: c.expired,
            views: c.views,
            rests: c.rests,
            old_answers: c.old_answers,
            kept_max: c.kept_max,
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
    pub command: &'static str,
    pub version: &'static str,
    pub first_seed: u64,
    pub seeds: u64,
    pub minutes: u32,
    pub seconds: f64,
    /// Whether every seed was run, and not only those up to the first that found the mistake.
    pub counted: bool,
    pub mistakes: BTreeMap<String, Found>,
}

/// How long one mistake lived.
#[derive(Debug, Serialize)]
pub struct Found {
    pub about: &'static str,
    pub seed: Option<u64>,
    pub seeds_run: u64,
    pub seeds_found: u64,
    pub violation: Option<String>,
}

impl Mistakes {
    pub fn new(seeds: Range<u64>, minutes: u32, counted: bool, hunts: &[Hunt], seconds: f64) -> Self {
        let fact = |h: &Hunt| Found {
            about: h.broken.about(),
            seed: h.first.as_ref().map(|r| r.seed),
            seeds_run: h.seeds,
            seeds_found: h.found,
            violation: h.first.as_ref().and_then(|r| r.violation.clone()),
        };
        Self {
            command: "simulate faults --broken",
            version: env!("CARGO_PKG_VERSION"),
            first_seed: seeds.start,
            seeds: seeds.end - seeds.start,
            minutes,
            seconds,
            counted,
            mistakes: hunts.iter().map(|h| (h.broken.to_string(), fact(h))).collect(),
        }
    }
}

/// What can be a page for people as well.
pub trait Page: Serialize {
    /// The page.
    fn page(&self) -> String;
}

impl Page for Faults {
    fn page(&self) -> String {
        markdown::campaign(self)
    }
}

impl Page for Mistakes {
    fn page(&self) -> String {
        markdown::mistakes(self)
    }
}

/// Writes a report, if one was asked for.
pub fn save(path: Option<&Path>, report: &impl Page) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = if path.extension().is_some_and(|e| e == "md") {
        report.page()
    } else {
        serde_json::to_string_pretty(report).context("write a report as JSON")? + "\n"
    };
    output::write(path, |out| Ok(out.write_all(text.as_bytes())?))
}
