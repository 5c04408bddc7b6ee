//! What filters saved, over all workers.

use crate::error::Result;
use crate::solver::dbpg::Dbpg;
use handcar_ps::Worker;
use handcar_ps::filter::{Direction, Saved, TableFilters};

/// Adds up what the filters of all workers saved, `kkt` among them. Collective.
pub(super) fn joined(solve: &mut Dbpg<'_>, filters: &TableFilters) -> Result<Vec<Saved>> {
    let kkt = solve.kkt_saved().into();
    add_up(solve.worker, kkt, filters)
}

/// The same of a table without `kkt`. Collective.
pub(super) fn of_worker(worker: &mut Worker, filters: &TableFilters) -> Result<Vec<Saved>> {
    add_up(worker, Vec::new(), filters)
}

fn add_up(worker: &mut Worker, mut all: Vec<Saved>, filters: &TableFilters) -> Result<Vec<Saved>> {
    let mine = worker.stats().filters;
    for direction in [Direction::Push, Direction::Pull] {
        for (name, _) in filters.of(direction).filters() {
            if all.iter().any(|s| (s.name.as_str(), s.direction) == (name, direction)) {
                continue;
            }
            let own = mine.iter().find(|s| (s.name.as_str(), s.direction) == (name, direction));
            let nothing = Saved { name: name.into(), direction, before: 0, after: 0 };
            all.push(own.cloned().unwrap_or(nothing));
        }
    }
    let words: Vec<i64> = all.iter().flat_map(|s| [s.before as i64, s.after as i64]).collect();
    let sums = worker.reduce(&words)?;
    for (saved, pair) in all.iter_mut().zip(sums.chunks_exact(2)) {
        (saved.before, saved.after) = (pair[0] as u64, pair[1] as u64);
    }
    // In one process nothing is written to a wire, and filters that only save bytes are left out.
    all.retain(|s| s.before > 0);
    Ok(all)
}
