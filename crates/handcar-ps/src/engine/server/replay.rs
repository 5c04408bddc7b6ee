//! What a server passes on again in a new view.

use crate::peer::{Change, Update};
use crate::portion::{Progress, Tag};
use handcar_base::RangeSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an update does, whoever passed it on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Create(u32),
    Round(u32, u64),
    Single(u32, usize, u64),
    Portion(u32, Tag),
    Reduced(u64),
    Install(u32, usize, u64),
    /// Pass, portion finished, and to which worker and task one was given.
    Progress(u64, Option<u32>, Option<(usize, u64)>),
    News,
}

/// `None` for pieces of copies, which are made anew in each view.
fn name(change: &Change) -> Option<Name> {
    Some(match change {
        Change::Create { table, .. } => Name::Create(table.0),
        Change::Round { table, round, .. } => Name::Round(table.0, *round),
        Change::Single { table, tag: Some(tag), .. } => Name::Portion(table.0, *tag),
        Change::Single { table, worker, task, tag: None, .. } => Name::Single(table.0, *worker, task.0),
        Change::Reduced { round, .. } => Name::Reduced(*round),
        Change::Install { table, worker, task, .. } => Name::Install(table.0, *worker, task.0),
        Change::Progress(Progress { pass, finished, given, .. }) => {
            Name::Progress(*pass, *finished, given.map(|(worker, task, _)| (worker, task.0)))
        }
        Change::Nothing => Name::News,
        Change::Copy(_) => return None,
    })
}

/// Of updates under way those to pass on again, each once: every server of a chain passes on what it knows, and so gets
/// what those before it pass on. Without this, views that follow each other quickly would multiply it each time.
pub(super) fn once(updates: Vec<Arc<Update>>) -> Vec<Arc<Update>> {
    let mut known: BTreeMap<Name, RangeSet> = BTreeMap::new();
    let mut kept = Vec::new();
    for update in updates {
        let Some(name) = name(&update.change) else { continue };
        let before = known.entry(name).or_default();
        if !before.covers(&update.within) {
            *before = before.or(&update.within);
            kept.push(update);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::KeyRange;

    fn update(within: KeyRange, change: Change) -> Arc<Update> {
        Arc::new(Update { within: Arc::new(within.into()), answered: Vec::new(), change })
    }

    #[test]
    fn an_update_is_passed_on_once_for_each_position_and_in_its_order() {
        let reduced = |round| Change::Reduced { round, words: Ok(vec![1]), tasks: Vec::new() };
        let (left, all) = (KeyRange::new(0, 10), KeyRange::new(0, 20));
        let [a, b, c] = [update(left, reduced(1)), update(left, reduced(2)), update(all, reduced(1))];
        let came = [&a, &b, &a, &c, &b, &c].map(Arc::clone).to_vec();
        assert!(once(came) == vec![a, b, c]);
    }
}
