//! Long sums over workers that are no keys' values: those of screening, the Hessian of a Newton step.
//!
//! Without filters they are reductions. Where pushes have filters they are rows of a table of their own, of which each
//! push replaces what was there, so that they can go through filters as well. Most must be exact; the Hessian and its
//! products only say where to look for a lower objective, and may be rounded.

use crate::error::{Result, TrainError};
use handcar_base::{Key, KeyList};
use handcar_ps::filter::{Spec, TableFilters};
use handcar_ps::{Registry, TableId, Updater, Values, Worker};

const NAME: &str = "batch.sums";
/// Sums in a row: the keys of rows are then few beside the sums.
const WIDTH: usize = 64;
/// Sums joined at a time: 1 MiB.
const CHUNK: usize = 1 << 17;
/// The Hessian's least bytes a number: with one it would need so much more of a diagonal that steps were short.
const HESSIAN_BYTES: u32 = 2;

/// What a sum may lose on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Nothing,
    /// What the job's filters round.
    Rounding,
}

/// How this job adds up over workers; the same on all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    table: Option<TableId>,
    /// Levels between the least and the greatest number where sums are rounded.
    levels: Option<f64>,
}

impl Sums {
    /// Collective.
    pub fn new(worker: &mut Worker, filters: &TableFilters, name: &str) -> Result<Self> {
        let spec = of_sums(&filters.push);
        if worker.workers() == 1 || spec.filters().next().is_none() {
            return Ok(Self { table: None, levels: None });
        }
        let filters = TableFilters { push: spec, pull: filters.pull.clone() };
        let bytes =
            filters.push.filters().find(|f| f.0 == "fixed-point").and_then(|f| f.1.first()?.parse::<i32>().ok());
        let table = Some(worker.create_table_with(name, NAME, &[], &filters)?);
        Ok(Self { table, levels: bytes.map(|b| 2f64.powi(8 * b)) })
    }

    /// The standard deviation, at most, that rounding gives to a sum of numbers of `[-1, 1]`; `None` where nothing is
    /// rounded. Each of the workers' roundings has at most half of the way between two levels.
    pub fn error(self, worker: &Worker) -> Option<f64> {
        self.levels.map(|levels| (worker.workers() as f64).sqrt() / levels)
    }

    /// Each integer's sum over all workers. Collective.
    pub fn over_workers(self, worker: &mut Worker, mut sums: Vec<i64>, loss: Loss) -> Result<Vec<i64>> {
        if worker.workers() == 1 {
            return Ok(sums);
        }
        for chunk in sums.chunks_mut(CHUNK) {
            match self.table {
                None => chunk.copy_from_slice(&worker.reduce(chunk)?),
                Some(table) => {
                    let rows = chunk.len().div_ceil(WIDTH);
                    let keys = KeyList::new((0..rows as Key).collect())
                        .map_err(|e| TrainError::Data { expected: "rows in order".into(), got: e.to_string() })?;
                    let mut push = chunk.to_vec();
                    push.resize(rows * WIDTH, 0);
                    let transfer = worker.push_pull(table, &keys, push);
                    let transfer = if loss == Loss::Nothing { transfer.lossless() } else { transfer };
                    match transfer.wait()?.pulled {
                        Some(Values::I64(all)) if all.len() == rows * WIDTH => {
                            chunk.copy_from_slice(&all[..chunk.len()]);
                        }
                        other => {
                            let got = other.map_or("none".into(), |v| format!("{} {}", v.len(), v.dtype()));
                            return Err(TrainError::Answer { op: "sums", expected: format!("{rows} rows"), got });
                        }
                    }
                }
            }
        }
        Ok(sums)
    }
}

/// What sums go through of the filters of steps: what makes bytes fewer and what rounds. The others are about keys that
/// come again, and a row is not the same from one sum to the next.
fn of_sums(steps: &Spec) -> Spec {
    let names = steps.filters().filter_map(|(name, params)| match (name, params) {
        ("key-cache" | "lz4" | "zstd", _) => {
            Some(std::iter::once(name).chain(params.iter().map(String::as_str)).collect::<Vec<_>>().join(":"))
        }
        ("zero", _) => Some(name.into()),
        ("fixed-point", [bytes]) => Some(rounded(bytes)),
        ("error-feedback", [inner, bytes]) if inner == "fixed-point" => Some(rounded(bytes)),
        _ => None,
    });
    names.collect::<Vec<_>>().join(",").parse().unwrap_or_default()
}

fn rounded(bytes: &str) -> String {
    format!("fixed-point:{}", bytes.parse().unwrap_or(HESSIAN_BYTES).max(HESSIAN_BYTES))
}

/// Rows that hold what was pushed last, the sum over workers.
struct Rows;

impl Updater for Rows {
    type Entry = [i64; WIDTH];
    type Push = i64;
    type Pull = i64;

    fn push_width(&self) -> usize {
        WIDTH
    }

    fn pull_width(&self) -> usize {
        WIDTH
    }

    fn init(&self, _key: Key) -> [i64; WIDTH] {
        [0; WIDTH]
    }

    fn apply(&mut self, _key: Key, entry: &mut [i64; WIDTH], pushed: &[i64]) {
        entry.copy_from_slice(pushed);
    }

    fn read(&self, _key: Key, entry: &[i64; WIDTH], out: &mut [i64]) {
        out.copy_from_slice(entry);
    }
}

/// Makes servers know the rows of sums.
pub(crate) fn register(registry: &mut Registry) {
    registry.register(NAME, |_| Ok(Rows));
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_ps::driver::local;

    #[test]
    fn sums_are_reductions_with_filters_and_without() {
        let mut registry = Registry::new();
        register(&mut registry);
        for filters in ["", "zero,zstd", "error-feedback:fixed-point:1,lz4"] {
            let workers = local::cluster(2, 2, &registry);
            std::thread::scope(|scope| {
                for mut worker in workers {
                    scope.spawn(move || {
                        let filters = TableFilters::parse(filters, "").unwrap();
                        let sums = Sums::new(&mut worker, &filters, "sums").unwrap();
                        for n in [0, 1, 100, CHUNK + 7] {
                            let mine: Vec<i64> = (0..n as i64).map(|i| (i - 50) << (8 * worker.rank())).collect();
                            let all = sums.over_workers(&mut worker, mine.clone(), Loss::Nothing).unwrap();
                            assert!(all.iter().zip(0..).all(|(&sum, i)| sum == (i - 50) + ((i - 50) << 8)));
                            let near = sums.over_workers(&mut worker, mine, Loss::Rounding).unwrap();
                            // Two roundings, each to a part of 2^16 of what one column spans.
                            let most = ((n as i64) << 9 >> 15) + 2;
                            assert!(all.iter().zip(&near).all(|(a, b)| (a - b).abs() <= most));
                        }
                        worker.finish().unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn filters_about_keys_are_not_for_sums() {
        for (steps, sums) in [
            ("", ""),
            ("significant:1,countmin:2", ""),
            ("key-cache,zero:drop,random-skip:0.5,fixed-point:1,zstd:9", "key-cache,zero,fixed-point:2,zstd:9"),
            ("error-feedback:fixed-point:4", "fixed-point:4"),
            ("error-feedback:countmin:4,lz4", "lz4"),
        ] {
            assert_eq!(of_sums(&steps.parse().unwrap()).to_string(), sums);
        }
    }
}
