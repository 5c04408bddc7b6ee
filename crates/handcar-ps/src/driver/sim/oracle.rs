//! What workers may see, checked as they see it.

use super::passes::Passes;
use super::program::{Program, Step, counts, own_keys};
use crate::engine::task::Outcome;
use crate::error::Error;
use handcar_base::Key;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a task's result must agree with.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    Created,
    /// Step and round of the shared table.
    Round {
        step: usize,
        round: usize,
    },
    Reduce {
        step: usize,
    },
    /// An own push to the other table: how many a key.
    Own {
        add: Vec<(Key, i64)>,
    },
    /// A push to the third table.
    Mixed,
    /// A wish for a portion.
    Given,
    /// A push made for a portion.
    Portion,
    /// A pull of the keys of a pass that is over.
    Pass {
        pass: u64,
    },
    /// A pull of the other table: own keys and others'.
    Look {
        keys: Vec<Key>,
        at_least: Vec<i64>,
    },
    /// A pull of the shared table after this many rounds that the worker knows to be finished.
    Shared {
        rounds_known: usize,
    },
}

/// One worker's knowledge.
#[derive(Debug, Default)]
struct Known {
    /// What it pushed itself, submitted and acknowledged.
    submitted: BTreeMap<Key, i64>,
    acked: BTreeMap<Key, i64>,
    /// The largest value it ever saw.
    seen: BTreeMap<Key, i64>,
    /// Pushes that ran out of time: each took effect once or never.
    unknown: BTreeMap<Key, Vec<i64>>,
    rounds_begun: usize,
    rounds_acked: usize,
}

/// Pushes of unknown fate to one key of which every sum is tried.
const UNKNOWN_MAX: usize = 16;

pub(super) struct Oracle {
    pub program: Arc<Program>,
    workers: Vec<Known>,
    /// Rounds of the shared table that some worker has begun.
    rounds_begun: usize,
    pub passes: Passes,
    pub tasks: u64,
    /// Tasks that ran out of time.
    pub expired: u64,
}

impl Oracle {
    pub fn new(program: Arc<Program>, workers: usize) -> Self {
        Self {
            program,
            workers: (0..workers).map(|_| Known::default()).collect(),
            rounds_begun: 0,
            passes: Passes::default(),
            tasks: 0,
            expired: 0,
        }
    }

    /// Workers that there are or were.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// A worker joins.
    pub fn joins(&mut self, rank: usize) {
        let all = self.workers.len().max(rank + 1);
        self.workers.resize_with(all, Known::default);
    }

    pub fn begun(&mut self, rounds: usize) {
        self.rounds_begun = self.rounds_begun.max(rounds);
    }

    pub fn submitted(&mut self, worker: usize, add: &[(Key, i64)]) {
        for &(k, v) in add {
            *self.workers[worker].submitted.entry(k).or_default() += v;
        }
    }

    /// What a pull of the other table must show at least: what the worker itself knows.
    pub fn at_least(&self, worker: usize, keys: &[Key]) -> Vec<i64> {
        let known = &self.workers[worker];
        let least = |k| known.acked.get(k).max(known.seen.get(k)).copied().unwrap_or(0);
        keys.iter().map(least).collect()
    }

    pub fn rounds_acked(&self, worker: usize) -> usize {
        self.workers[worker].rounds_acked
    }

    /// What is wrong if a worker submits a task now: it would lead the others, or look at data, by more than its policy
    /// allows.
    pub fn stale(&mut self, worker: usize, expect: &Expect, delay_max: u64) -> Option<String> {
        let needed = |rounds: usize| (rounds as u64).saturating_sub(delay_max);
        match expect {
            Expect::Round { round, .. } => {
                self.workers[worker].rounds_begun = round + 1;
                let (last, slowest) = self.workers.iter().map(|w| w.rounds_begun).enumerate().min_by_key(|w| w.1)?;
                let fits = slowest as u64 >= needed(*round);
                (!fits).then(|| {
                    format!(
                        "worker {worker} begins round {round} under tau = {delay_max}, worker {last} is at {slowest}"
                    )
                })
            }
            Expect::Shared { rounds_known } => {
                let begun = self.workers[worker].rounds_begun;
                let fits = *rounds_known as u64 >= needed(begun);
                (!fits).then(|| {
                    format!(
                        "worker {worker} looks under tau = {delay_max} after {begun} rounds, knows of {rounds_known}"
                    )
                })
            }
            _ => None,
        }
    }

    /// Nobody will know what became of a task.
    pub fn abandoned(&mut self, worker: usize, expect: &Expect) {
        if let Expect::Own { add } = expect {
            for &(k, v) in add {
                self.workers[worker].unknown.entry(k).or_default().push(v);
            }
        }
    }

    /// Whether a key of the other table may end with a sum: what was acknowledged, and some of what is unknown.
    pub fn may_end(&self, key: Key, got: i64) -> Result<(), String> {
        let of = |known: &Known| {
            let acked = known.acked.get(&key).copied().unwrap_or(0);
            (acked, known.unknown.get(&key).cloned().unwrap_or_default())
        };
        let (acked, unknown) =
            self.workers.iter().map(of).fold((0, Vec::new()), |a, b| (a.0 + b.0, [a.1, b.1].concat()));
        let most = acked + unknown.iter().sum::<i64>();
        if got < acked || got > most {
            return Err(format!("key {key:016x} must end with the sum {acked} to {most}, has {got}"));
        }
        if unknown.len() > UNKNOWN_MAX {
            return Ok(());
        }
        let sum = |set: usize| unknown.iter().enumerate().filter(|(n, _)| set >> n & 1 == 1).map(|u| u.1).sum::<i64>();
        if (0..1usize << unknown.len()).any(|set| acked + sum(set) == got) {
            return Ok(());
        }
        Err(format!("key {key:016x} must end with {acked} and some of {unknown:?}, each once, has {got}"))
    }

    /// Every own push of all workers, at the end.
    pub fn final_own(&self) -> BTreeMap<Key, i64> {
        let mut all = BTreeMap::new();
        for known in &self.workers {
            for (&k, &v) in &known.submitted {
                *all.entry(k).or_default() += v;
            }
        }
        all
    }

    /// Compares a finished task with what it must be.
    pub fn check(&mut self, worker: usize, expect: &Expect, result: Result<Outcome, Error>) -> Result<(), String> {
        self.tasks += 1;
        let program = Arc::clone(&self.program);
        match (expect, result) {
            (Expect::Created | Expect::Mixed | Expect::Given | Expect::Portion, Ok(_)) => Ok(()),
            (Expect::Pass { pass }, Ok(outcome)) => {
                let got = outcome.pulled.as_ref().and_then(|v| v.as_slice::<i64>()).unwrap_or_default();
                self.passes.check(*pass, got)
            }
            (Expect::Round { step, round }, result) => {
                let want = &program.rounds[*round];
                let known = &mut self.workers[worker];
                known.rounds_acked = known.rounds_acked.max(round + 1);
                let outcome = match result {
                    Err(Error::Refused { .. }) if want.refused => return Ok(()),
                    Err(error) => return Err(format!("round {round} failed: {error}")),
                    Ok(_) if want.refused => return Err(format!("round {round} must be refused, and was not")),
                    Ok(outcome) => outcome,
                };
                if let Some((count, bits)) = want.called {
                    let sums = outcome.notes.iter().filter_map(|n| counts(n));
                    let got = sums.fold((0u64, 0u64), |a, b| (a.0 + b.0, a.1.wrapping_add(b.1)));
                    if got != (count, bits) {
                        return Err(format!(
                            "call in round {round} must see {count} keys with sum {bits:016x}, saw {} with {:016x} in {} parts",
                            got.0,
                            got.1,
                            outcome.notes.len()
                        ));
                    }
                }
                let Step::Push { of, pull: true, .. } = &program.steps[*step] else { return Ok(()) };
                let got = outcome.pulled.as_ref().and_then(|v| v.as_slice::<f64>()).unwrap_or_default();
                self.agrees(of[worker].0.keys(), got, *round)
            }
            (Expect::Reduce { step }, Ok(outcome)) => {
                let Step::Reduce { of, max } = &program.steps[*step] else { return Err("not a reduction".into()) };
                let join = |n: usize| {
                    let column = of.iter().map(|w| w[n]);
                    if *max { column.max().unwrap_or(0) } else { column.fold(0i64, i64::wrapping_add) }
                };
                let want: Vec<i64> = (0..of[0].len()).map(join).collect();
                if outcome.words == want {
                    Ok(())
                } else {
                    Err(format!("reduction of step {step} must give {want:?}, gave {:?}", outcome.words))
                }
            }
            (Expect::Own { add }, Ok(_)) => {
                for &(k, v) in add {
                    *self.workers[worker].acked.entry(k).or_default() += v;
                }
                Ok(())
            }
            (Expect::Look { keys, at_least }, Ok(outcome)) => {
                let got = outcome.pulled.as_ref().and_then(|v| v.as_slice::<i64>()).unwrap_or_default().to_vec();
                if got.len() != keys.len() {
                    return Err(format!("a pull of {} keys must give as many values, gave {}", keys.len(), got.len()));
                }
                let most = self.final_own();
                let own = own_keys(worker);
                for ((&k, &v), &least) in keys.iter().zip(&got).zip(at_least) {
                    let whose = if own.contains(&k) { "its own" } else { "another worker's" };
                    let most = most.get(&k).copied().unwrap_or(0);
                    if v < least || v > most {
                        return Err(format!(
                            "worker {worker} must see {least} to {most} at {whose} key {k:016x}, saw {v}"
                        ));
                    }
                    let seen = self.workers[worker].seen.entry(k).or_default();
                    *seen = (*seen).max(v);
                }
                Ok(())
            }
            (Expect::Shared { rounds_known }, Ok(outcome)) => {
                let got = outcome.pulled.as_ref().and_then(|v| v.as_slice::<f64>()).unwrap_or_default();
                let keys = self.program.shared.clone();
                match rounds_known.checked_sub(1) {
                    Some(round) => self.agrees(&keys, got, round),
                    None => Ok(()),
                }
            }
            (Expect::Own { .. } | Expect::Mixed | Expect::Look { .. }, Err(Error::Deadline { .. }))
                if program.alone =>
            {
                self.expired += 1;
                self.abandoned(worker, expect);
                Ok(())
            }
            (expect, Err(error)) => Err(format!("{expect:?} failed: {error}")),
        }
    }

    /// Whether pulled values are those after some round from `round` on that was begun: each key by itself, since a
    /// pull reaches servers at different moments.
    fn agrees(&self, keys: &[Key], got: &[f64], round: usize) -> Result<(), String> {
        if keys.len() != got.len() {
            return Err(format!("a pull of {} keys must give as many values, gave {}", keys.len(), got.len()));
        }
        let last = self.rounds_begun.min(self.program.rounds.len());
        for (key, v) in keys.iter().zip(got) {
            let at = self.program.shared.binary_search(key).map_err(|_| "a key of the program".to_string())?;
            let fits = |r: &super::program::Round| r.values[at] == v.to_bits();
            if !self.program.rounds[round..last.max(round + 1)].iter().any(fits) {
                let want = f64::from_bits(self.program.rounds[round].values[at]);
                let earlier = self.program.rounds[..round].iter().rposition(fits);
                let hint = earlier.map_or("no round".into(), |r| format!("round {r}"));
                return Err(format!(
                    "key {key:016x} must be {want} as after round {round} (or a later one, {last} begun), is {v} as after {hint}"
                ));
            }
        }
        Ok(())
    }
}
