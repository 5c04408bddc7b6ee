//! Feature names in one piece of text.

/// A list of names held as one string: 8 bytes a name beyond its letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub(super) text: String,
    pub(super) ends: Vec<u64>,
}

impl Names {
    /// Joins text and the end of each name in it; `None` unless the ends rise to the text's length at letter borders.
    pub(super) fn from_parts(text: String, ends: Vec<u64>) -> Option<Self> {
        let borders = ends.iter().all(|&e| text.is_char_boundary(e as usize));
        let whole = ends.last().copied().unwrap_or(0) == text.len() as u64;
        (ends.is_sorted() && borders && whole).then_some(Self { text, ends })
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Name `i`; `None` past the end.
    pub fn get(&self, i: usize) -> Option<&str> {
        let end = *self.ends.get(i)? as usize;
        let begin = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        self.text.get(begin..end)
    }
}

impl<S: AsRef<str>> FromIterator<S> for Names {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut all = Self::default();
        for name in names {
            all.text.push_str(name.as_ref());
            all.ends.push(all.text.len() as u64);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let n: Names = ["a=1", "", "städte"].into_iter().collect();
        assert_eq!((n.get(0), n.get(1), n.get(2), n.get(3)), (Some("a=1"), Some(""), Some("städte"), None));
        assert_eq!(Names::from_parts(n.text.clone(), n.ends.clone()), Some(n));
    }

    #[test]
    fn ends_that_do_not_fit_are_refused() {
        for ends in [vec![3], vec![4, 3, 5], vec![9], vec![1, 5]] {
            assert_eq!(Names::from_parts("äöü".chars().take(2).chain(['x']).collect(), ends), None);
        }
    }
}
