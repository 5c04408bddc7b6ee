//! `Campaign`: what many seeds add up to.

use crate::{progress::grouped, summary::item};
use handcar_ps::driver::sim::{ENVIRONMENT, FAILPOINTS, SimReport};
use std::{collections::BTreeMap, fmt::Write};

/// Sums over seeds.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// Seeds run.
    pub seeds: u64,
    /// Virtual hours of clusters.
    pub cluster_hours: f64,
    /// The same, times the processes that lived.
    pub process_hours: f64,
    /// By name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Tasks whose results were compared.
    pub tasks: u64,
    /// Those that ran out of time.
    pub expired: u64,
    /// Views entered.
    pub views: u64,
    /// Moments at rest at which all copies were compared.
    pub rests: u64,
    /// Answers of older views that workers ignored.
    pub old_answers: u64,
    /// Records that one server kept for repetition, at most.
    pub kept_max: u64,
    /// The slowest failover, in virtual milliseconds, and its seed.
    pub failover_ms_max: u64,
    /// The seed of that failover.
    pub failover_seed: u64,
    /// By seed.
    pub violations: BTreeMap<u64, String>,
}

impl Campaign {
    /// Adds one seed.
    pub fn add(&mut self, r: &SimReport) {
        self.seeds += 1;
        self.cluster_hours += r.virtual_ms as f64 / 3.6e6;
        self.process_hours += r.process_hours;
        for (name, count) in &r.faults {
            *self.faults.entry(name).or_default() += count;
        }
        self.tasks += r.tasks;
        self.expired += r.expired;
        self.views += r.views;
        self.rests += r.rests;
        self.old_answers += r.old_answers;
        self.kept_max = self.kept_max.max(r.kept_max);
        // Seeds come in any order; the report must not depend on it.
        if (r.failover_ms_max, self.failover_seed) > (self.failover_ms_max, r.seed) {
            (self.failover_ms_max, self.failover_seed) = (r.failover_ms_max, r.seed);
        }
        if let Some(violation) = &r.violation {
            self.violations.insert(r.seed, violation.clone());
        }
    }

    /// All faults.
    pub fn faults_total(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Faults that never struck.
    pub fn never(&self) -> Vec<&'static str> {
        ENVIRONMENT.into_iter().chain(FAILPOINTS).filter(|name| !self.faults.contains_key(name)).collect()
    }

    /// For people.
    pub fn summary(&self, seconds: f64) -> String {
        let mut out = String::new();
        item(&mut out, "seeds", &format!("{}, {} violations", grouped(self.seeds), self.violations.len()));
        let (cluster_h, process_h) = (self.cluster_hours, self.process_hours);
        let ratio = cluster_h * 3600.0 / seconds.max(1e-9);
        item(&mut out, "time", &format!("{cluster_h:.1} cluster-hours in {seconds:.1} s ({ratio:.0} times real time)"));
        item(&mut out, "processes", &format!("{process_h:.1} hours"));
        let (tasks, expired) = (grouped(self.tasks), grouped(self.expired));
        item(&mut out, "tasks", &format!("{tasks} compared with the reference, {expired} of them out of time"));
        let (views, rests) = (grouped(self.views), grouped(self.rests));
        item(&mut out, "views", &format!("{views}; all copies compared at {rests} moments of rest"));
        item(&mut out, "ignored", &format!("{} answers of older views", grouped(self.old_answers)));
        item(&mut out, "kept", &format!("{} records at most by one server for repetition", grouped(self.kept_max)));
        item(&mut out, "failover", &format!("{} ms at most (seed {})", self.failover_ms_max, self.failover_seed));
        item(&mut out, "faults", &grouped(self.faults_total()));
        let mut faults: Vec<_> = self.faults.iter().collect();
        faults.sort_by_key(|&(name, &count)| (std::cmp::Reverse(count), name));
        for (name, &count) in faults {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{:>21}  {name}", grouped(count));
        }
        let never = self.never();
        if !never.is_empty() {
            item(&mut out, "never", &never.join(", "));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_ps::driver::sim::{SimConfig, run};

    #[test]
    fn sums_do_not_depend_on_the_order_of_seeds() {
        let reports: Vec<_> = (0..3).map(|n| run(&SimConfig { virtual_ms: 10_000, ..SimConfig::new(n) })).collect();
        let (mut there, mut back) = (Campaign::default(), Campaign::default());
        reports.iter().for_each(|r| there.add(r));
        reports.iter().rev().for_each(|r| back.add(r));
        let facts = |c: &Campaign| (c.seeds, c.tasks, c.views, c.faults.clone(), c.failover_ms_max, c.failover_seed);
        assert_eq!(facts(&there), facts(&back));
        assert!(there.summary(1.0).contains("3, 0 violations"));
    }
}
