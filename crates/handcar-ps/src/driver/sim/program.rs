//! What the workers of a simulated job do, and the reference that says what they must see.

use crate::engine::policy::Policy;
use crate::filter::TableFilters;
use crate::registry::Registry;
use crate::shard::{Contribution, Shard};
use crate::store::Store;
use crate::updater::Updater;
use crate::values::Values;
use handcar_base::{Key, KeyList, Rng, Seed};

/// The tables and their updaters: one that all push to together, one in which each worker has keys of its own, one in
/// which all push to the same keys.
pub(super) const TABLES: [(&str, &str); 3] = [("shared", "decay"), ("own", "sum.i64"), ("mixed", "decay")];
/// Keys of the table that all push to together.
pub(super) const SHARED_KEYS: usize = 48;
/// Keys of the other table that each worker pushes to alone.
pub(super) const OWN_KEYS: u64 = 6;

/// Keys of the third table.
const MIXED_KEYS: u64 = 8;

/// Updates whose order shows in the bits: a decaying sum.
pub(super) struct Decay;

impl Updater for Decay {
    type Entry = f64;
    type Push = f64;
    type Pull = f64;

    fn init(&self, key: Key) -> f64 {
        (key % 1000) as f64 / 7.0
    }

    fn begin(&mut self, args: &[u8]) -> Result<(), String> {
        if args == b"refuse" { Err("expected another argument, got \"refuse\"".into()) } else { Ok(()) }
    }

    fn apply(&mut self, _key: Key, entry: &mut f64, pushed: &[f64]) {
        *entry = *entry * 0.9 + pushed[0];
    }

    fn end(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn read(&self, _key: Key, entry: &f64, out: &mut [f64]) {
        out[0] = *entry;
    }

    /// Changes every entry, and tells their number and the wrapping sum of their bits.
    fn call(&mut self, store: &mut Store<f64>, args: &[u8]) -> Result<Vec<u8>, String> {
        let factor = 1.0 + args.first().copied().unwrap_or(0) as f64 / 1000.0;
        let (mut count, mut bits) = (0u64, 0u64);
        for (key, entry) in store.iter_mut() {
            *entry /= factor;
            count += 1;
            bits = bits.wrapping_add(entry.to_bits() ^ key);
        }
        Ok([count.to_le_bytes(), bits.to_le_bytes()].concat())
    }
}

pub(super) fn registry() -> Registry {
    let mut r = Registry::new();
    r.register("decay", |_| Ok(Decay));
    r
}

/// A step that all workers take.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// An aggregated push by each, perhaps with a pull.
    Push {
        of: Vec<(KeyList, Vec<f64>)>,
        pull: bool,
        args: Vec<u8>,
    },
    Call {
        args: Vec<u8>,
    },
    Reduce {
        of: Vec<Vec<i64>>,
        max: bool,
    },
    Policy(Policy),
}

/// The steps of a job and what they lead to.
pub(super) struct Program {
    pub steps: Vec<Step>,
    /// By round of the shared table: the values of all shared keys after it, and what a call returned.
    pub rounds: Vec<Round>,
    pub shared: Vec<Key>,
    /// What messages of the shared and of the other table go through: nothing, or what changes no bit.
    pub filters: [TableFilters; 2],
    /// Milliseconds between steps, at most.
    pub think_ms: u64,
    /// Milliseconds that a task may take.
    pub deadline_ms: u64,
    /// Whether each worker works for itself. Deadlines are then short enough to be missed: a collective that one worker
    /// gave up would never end for the others.
    pub alone: bool,
    /// Whether workers come and go, and do portions of passes instead of steps together.
    pub elastic: bool,
}

/// So long that nobody ever runs out of time.
const DEADLINE_LONG_MS: u64 = 3_600_000;

pub(super) struct Round {
    pub values: Vec<u64>,
    pub called: Option<(u64, u64)>,
    pub refused: bool,
}

impl Program {
    pub fn new(seed: u64, workers: usize, virtual_ms: u64) -> Self {
        let mut rng = Rng::new(Seed(seed), 101);
        let mut shared: Vec<Key> = (0..SHARED_KEYS).map(|_| rng.next_u64()).collect();
        shared.sort_unstable();
        let think_ms = [20, 200, 1000, 2000][rng.below(4) as usize];
        let count = (virtual_ms / think_ms.max(1) / 2).clamp(20, 400);
        let policies = [Policy::Sequential, Policy::BoundedDelay(2), Policy::Eventual];
        let short_ms = 400 + rng.below(2_000);
        let alone = rng.below(8) == 0;
        let first = if alone { 0 } else { [0, 0, 0, 1, 2][rng.below(5) as usize] };
        let mut steps = vec![Step::Policy(policies[first])];
        let elastic = !alone && Rng::new(Seed(seed), 103).below(5) == 0;
        for _ in 0..if elastic { 0 } else { count } {
            if alone {
                steps.push(Step::Policy(Policy::Sequential));
                continue;
            }
            steps.push(match rng.below(20) {
                0..=1 => Step::Call { args: vec![rng.below(5) as u8] },
                2..=3 => Step::Reduce {
                    of: (0..workers).map(|_| (0..3).map(|_| rng.next_u64() as i64).collect()).collect(),
                    max: rng.below(2) == 0,
                },
                4 if rng.below(4) == 0 => Step::Policy(policies[rng.below(3) as usize]),
                _ => {
                    let part = |rng: &mut Rng| {
                        let share = 1 + rng.below(4);
                        let keys: Vec<Key> = shared.iter().copied().filter(|_| rng.below(4) < share).collect();
                        let values = keys.iter().map(|_| uneven(rng)).collect();
                        (KeyList::new(keys).unwrap_or_default(), values)
                    };
                    let args = if rng.below(40) == 0 { b"refuse".to_vec() } else { Vec::new() };
                    Step::Push { of: (0..workers).map(|_| part(&mut rng)).collect(), pull: rng.below(3) > 0, args }
                }
            });
        }
        let rounds = reference(&steps, &shared);
        let deadline_ms = if alone { short_ms } else { DEADLINE_LONG_MS };
        Self { steps, rounds, shared, filters: filters(seed), think_ms, deadline_ms, alone, elastic }
    }
}

/// A number that rounds when it is added to others: their order shows in the sum.
pub(super) fn uneven(rng: &mut Rng) -> f64 {
    (rng.uniform() - 0.5) / (1 + rng.below(1000)) as f64
}

/// Half of all seeds do without. `significant:0` tells only what changed, so that a reply builds on all earlier ones.
fn filters(seed: u64) -> [TableFilters; 2] {
    let mut rng = Rng::new(Seed(seed), 102);
    let some = rng.below(2) == 0;
    std::array::from_fn(|_| {
        let push = ["", "zero,lz4", "key-cache,zero,zstd:1", "zero"][rng.below(4) as usize];
        let pull = ["", "zstd", "zero,lz4", "significant:0,zero"][rng.below(4) as usize];
        TableFilters::parse(push, pull).ok().filter(|_| some).unwrap_or_default()
    })
}

/// One table in one place: what every cluster must agree with.
fn reference(steps: &[Step], shared: &[Key]) -> Vec<Round> {
    let Ok(mut shard) = registry().make("decay", &[]) else { return Vec::new() };
    let all = KeyList::new(shared.to_vec()).unwrap_or_default();
    let mut rounds = Vec::new();
    for step in steps {
        let (called, refused) = match step {
            Step::Push { of, args, .. } => {
                let values: Vec<Values> = of.iter().map(|(_, values)| values.clone().into()).collect();
                let mut pushed = Vec::with_capacity(of.len());
                for ((keys, _), values) in of.iter().zip(&values) {
                    pushed.push(Contribution { keys, values });
                }
                (None, shard.apply(args, &pushed).is_err())
            }
            Step::Call { args } => (shard.call(args).ok().and_then(|r| counts(&r)), false),
            _ => continue,
        };
        rounds.push(Round { values: bits(&mut *shard, &all), called, refused });
    }
    rounds
}

fn bits(shard: &mut dyn Shard, keys: &KeyList) -> Vec<u64> {
    let mut out = Values::F64(Vec::new());
    shard.read(keys, &mut out);
    out.as_slice::<f64>().unwrap_or_default().iter().map(|v| v.to_bits()).collect()
}

/// The numbers in a call's result.
pub(super) fn counts(bytes: &[u8]) -> Option<(u64, u64)> {
    let (a, rest) = bytes.split_first_chunk()?;
    let (b, _) = rest.split_first_chunk()?;
    Some((u64::from_le_bytes(*a), u64::from_le_bytes(*b)))
}

/// The keys of a third table, to which all workers push without waiting for each other: only the copies know the order.
pub(super) fn mixed_keys() -> Vec<Key> {
    let mut keys: Vec<Key> = (0..MIXED_KEYS).map(|n| handcar_base::hash::bytes(&n.to_le_bytes(), 6)).collect();
    keys.sort_unstable();
    keys
}

/// The keys of the other table that a worker pushes to.
pub(super) fn own_keys(worker: usize) -> Vec<Key> {
    let mut keys: Vec<Key> =
        (0..OWN_KEYS).map(|n| handcar_base::hash::bytes(&(worker as u64 * OWN_KEYS + n).to_le_bytes(), 5)).collect();
    keys.sort_unstable();
    keys
}
