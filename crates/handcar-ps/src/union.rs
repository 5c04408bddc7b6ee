//! `Union`: the keys that several lists hold together.

use handcar_base::{Key, KeyList};

/// The sorted union of lists, and where each list's keys lie in it.
#[derive(Clone, Debug)]
pub(crate) struct Union {
    /// All keys.
    pub keys: KeyList,
    /// For each list the place of each of its keys.
    pub places: Vec<Vec<u32>>,
}

impl Union {
    pub fn of<'a>(lists: impl Iterator<Item = &'a KeyList> + Clone) -> Self {
        let mut keys: Vec<Key> = Vec::with_capacity(lists.clone().map(KeyList::len).max().unwrap_or(0));
        for list in lists.clone() {
            keys.extend_from_slice(list.keys());
        }
        // The standard stable sort finds the sorted runs and merges them.
        keys.sort();
        keys.dedup();
        let places = lists
            .map(|list| {
                let mut at = 0usize;
                let place = |k: &Key| {
                    while keys[at] < *k {
                        at += 1;
                    }
                    at as u32
                };
                list.keys().iter().map(place).collect()
            })
            .collect();
        match KeyList::new(keys) {
            Ok(keys) => Self { keys, places },
            Err(_) => unreachable!("sorted and deduplicated above"),
        }
    }

    pub fn bytes(&self) -> usize {
        8 * self.keys.len() + self.places.iter().map(|p| 4 * p.len()).sum::<usize>() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_to_the_same_keys() {
        let lists = [vec![1, 4, 9], vec![], vec![2, 4, 7, 10]].map(|k| KeyList::new(k).unwrap());
        let u = Union::of(lists.iter());
        assert_eq!(u.keys.keys(), [1, 2, 4, 7, 9, 10]);
        for (list, places) in lists.iter().zip(&u.places) {
            let back: Vec<_> = places.iter().map(|&p| u.keys.keys()[p as usize]).collect();
            assert_eq!(back, list.keys());
        }
    }
}
