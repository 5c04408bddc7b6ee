//! What the updater answers beside values: measurements over its share of the keys, joined over servers without
//! regard to order.

use handcar_base::ExactSum;

/// Measurements of one task or server function. Maxima and exact sums, so that any split of the keys over servers
/// joins to equal bits.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// Largest KKT violation.
    pub violation: f64,
    /// Largest `|gradient|` of a penalised key that no bound holds.
    pub gradient_max: f64,
    /// Keys in the active set.
    pub active: u64,
    /// Nonzero weights, the intercept not counted.
    pub nonzeros: u64,
    /// Sum of `|w|`.
    pub absolute: ExactSum,
    /// Sum of `w²`; of `soft(g, l1)²` when measuring, of keys that no bound holds.
    pub squares: ExactSum,
    /// Sum of the penalty's conjugate when measuring, of keys that a bound holds.
    pub conjugate: ExactSum,
}

impl Answer {
    pub fn merge(&mut self, other: &Self) {
        self.violation = self.violation.max(other.violation);
        self.gradient_max = self.gradient_max.max(other.gradient_max);
        self.active += other.active;
        self.nonzeros += other.nonzeros;
        self.absolute.merge(&other.absolute);
        self.squares.merge(&other.squares);
        self.conjugate.merge(&other.conjugate);
    }

    /// The short form: without the sums.
    pub fn to_short_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        out.extend_from_slice(&self.violation.to_le_bytes());
        out.extend_from_slice(&self.gradient_max.to_le_bytes());
        out.extend_from_slice(&self.active.to_le_bytes());
        out.extend_from_slice(&self.nonzeros.to_le_bytes());
        out
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.to_short_bytes();
        for sum in [&self.absolute, &self.squares, &self.conjugate] {
            sum.to_words().iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
        }
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |i: usize| Some(u64::from_le_bytes(bytes.get(8 * i..8 * i + 8)?.try_into().ok()?));
        let sum = |first: usize| {
            let words: Option<Vec<i64>> = (first..first + ExactSum::WORDS).map(|i| Some(word(i)? as i64)).collect();
            Some(ExactSum::from_words(&words?))
        };
        let full = 4 + 3 * ExactSum::WORDS;
        if bytes.len() != 32 && bytes.len() != 8 * full {
            return None;
        }
        let mut out = Self {
            violation: f64::from_bits(word(0)?),
            gradient_max: f64::from_bits(word(1)?),
            active: word(2)?,
            nonzeros: word(3)?,
            ..Self::default()
        };
        if bytes.len() > 32 {
            out.absolute = sum(4)?;
            out.squares = sum(4 + ExactSum::WORDS)?;
            out.conjugate = sum(4 + 2 * ExactSum::WORDS)?;
        }
        Some(out)
    }

    /// Joins the notes of all servers.
    pub fn join(notes: &[Vec<u8>]) -> Option<Self> {
        let mut all = Self::default();
        for note in notes {
            all.merge(&Self::from_bytes(note)?);
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_bytes_equals_merging() {
        let a = Answer { violation: 0.5, active: 3, absolute: [1e100, 1.0].into_iter().collect(), ..Answer::default() };
        let b = Answer { violation: 0.25, nonzeros: 2, absolute: [-1e100].into_iter().collect(), ..Answer::default() };
        let both = Answer::join(&[a.to_bytes(), b.to_bytes()]).unwrap();
        assert_eq!((both.violation, both.active, both.nonzeros, both.absolute.value()), (0.5, 3, 2, 1.0));
        assert_eq!(Answer::from_bytes(&a.to_short_bytes()).unwrap().active, 3);
        assert!(Answer::from_bytes(&a.to_bytes()[1..]).is_none());
    }
}
