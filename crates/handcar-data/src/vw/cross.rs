//! Crosses of namespaces: every feature of one with every feature of the others.

use super::hash::{Hasher, Namespace};
use super::{line::show, rows::Entry};
use crate::error::RowError;
use crate::schema::Schema;

/// Crossed features of a row at most: namespaces of a hundred features each are crossed, not of thousands.
const MADE_MAX: usize = 1 << 16;

/// What to cross, and what was made of the last row.
pub(super) struct Crosser {
    plans: Vec<Plan>,
    made: Vec<Made>,
    /// The row's own features and those made, ascending by key, each key once.
    pub merged: Vec<Merged>,
}

struct Plan {
    of: Vec<Vec<u8>>,
    name: Vec<u8>,
    space: Namespace,
}

/// A crossed feature: which cross it is of, and the places of its parts in the row.
struct Made {
    key: u64,
    value: f32,
    plan: usize,
    parts: Vec<usize>,
}

/// A feature to be stored: of the row if `source` is one of its places, else the one made after so many.
pub(super) struct Merged {
    pub key: u64,
    pub value: f32,
    source: usize,
}

impl Crosser {
    /// `None`: there is nothing to cross.
    pub fn new(schema: &Schema, hasher: &Hasher) -> Option<Self> {
        let plan = |c: &crate::cross::Cross| {
            let name = c.name().into_bytes();
            Plan { of: c.of.iter().map(|n| n.clone().into_bytes()).collect(), space: hasher.namespace(&name), name }
        };
        let plans: Vec<Plan> = schema.crosses.iter().map(plan).collect();
        (!plans.is_empty()).then_some(Self { plans, made: Vec::new(), merged: Vec::new() })
    }

    /// Crosses a row. A feature that stands twice is crossed twice, which adds up to the cross of the sum.
    pub fn cross(&mut self, row: &[Entry<'_>], hasher: &Hasher) -> Result<(), RowError> {
        self.made.clear();
        for (p, plan) in self.plans.iter().enumerate() {
            let of = |name: &Vec<u8>| (0..row.len()).filter(|&i| row[i].space == name).collect::<Vec<_>>();
            let parts: Vec<Vec<usize>> = plan.of.iter().map(of).collect();
            let count = parts.iter().fold(1usize, |n, part| n.saturating_mul(part.len()));
            if count.saturating_add(self.made.len()) > MADE_MAX {
                let expected = format!("at most {MADE_MAX} crossed features a row");
                return Err(RowError::new(show(b"", &plan.name), expected, b"more"));
            }
            let mut all = vec![Vec::new()];
            for part in &parts {
                let longer = |made: &Vec<usize>| part.iter().map(|&i| [&made[..], &[i]].concat()).collect::<Vec<_>>();
                all = all.iter().flat_map(longer).collect();
            }
            for parts in all {
                let keys: Vec<u64> = parts.iter().map(|&i| row[i].key).collect();
                let value: f32 = parts.iter().map(|&i| row[i].value).product();
                if !value.is_finite() {
                    let made = Made { key: 0, value, plan: p, parts };
                    let name = String::from_utf8_lossy(&self.name_of(&made, row).concat()).into_owned();
                    return Err(RowError::new(name, "a finite product of values", value.to_string().as_bytes()));
                }
                self.made.push(Made { key: hasher.cross(plan.space, &keys), value, plan: p, parts });
            }
        }
        self.merge(row)
    }

    /// Puts all features in order; values of one key add up.
    fn merge(&mut self, row: &[Entry<'_>]) -> Result<(), RowError> {
        let Self { made, merged, .. } = self;
        merged.clear();
        let own = row.iter().map(|e| (e.key, e.value));
        let all = own.chain(made.iter().map(|m| (m.key, m.value))).enumerate();
        merged.extend(all.map(|(source, (key, value))| Merged { key, value, source }));
        merged.sort_unstable_by_key(|m| (m.key, m.source));
        merged.dedup_by(|next, kept| {
            let same = next.key == kept.key;
            if same {
                kept.value += next.value;
            }
            same
        });
        match self.merged.iter().find(|m| !m.value.is_finite()) {
            Some(m) => {
                let name = String::from_utf8_lossy(&self.name(m, row).concat()).into_owned();
                Err(RowError::new(name, "a finite sum of its values", b"inf"))
            }
            None => Ok(()),
        }
    }

    /// The name of a feature, in parts.
    pub fn name<'s>(&'s self, feature: &Merged, row: &[Entry<'s>]) -> Vec<&'s [u8]> {
        match row.get(feature.source) {
            Some(e) => vec![e.space, if e.space.is_empty() { b"" } else { b"^" }, e.name],
            None => self.name_of(&self.made[feature.source - row.len()], row),
        }
    }

    fn name_of<'s>(&'s self, made: &Made, row: &[Entry<'s>]) -> Vec<&'s [u8]> {
        let mut name: Vec<&[u8]> = vec![&self.plans[made.plan].name];
        for (n, &part) in made.parts.iter().enumerate() {
            name.extend([if n == 0 { &b"^"[..] } else { b"*" }, row[part].name]);
        }
        name
    }
}
