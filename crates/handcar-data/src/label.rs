//! What a label may be.

use crate::error::RowError;
use crate::number;
use serde::{Deserialize, Serialize};

/// What labels mean; travels with the schema, so that prediction reads them as training did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelKind {
    /// One of two classes: -1 or +1; 0 is read as -1.
    #[default]
    Binary,
    /// A finite number.
    Real,
    /// A finite number of at least 0, such as a count.
    Count,
}

impl LabelKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Binary, Self::Real, Self::Count];

    /// The name in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Real => "real",
            Self::Count => "count",
        }
    }

    /// What is accepted, for messages.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Binary => "0, 1, -1 or +1",
            Self::Real => "a finite number",
            Self::Count => "a finite number of at least 0",
        }
    }

    /// The label that a number is; `None`: it is none of this kind.
    pub fn of_number(self, x: f32) -> Option<f32> {
        match self {
            Self::Binary if x == 1.0 => Some(1.0),
            Self::Binary => (x == 0.0 || x == -1.0).then_some(-1.0),
            Self::Real => x.is_finite().then_some(x),
            Self::Count => (x.is_finite() && x >= 0.0).then_some(x),
        }
    }

    /// The label in a cell.
    pub(crate) fn read(self, cell: &[u8]) -> Result<f32, RowError> {
        let number = match self {
            // What is nearly 1 is no class.
            Self::Binary => number::real(cell).filter(|x| *x as f32 as f64 == *x).map(|x| x as f32),
            _ => number::real32(cell),
        };
        number.and_then(|x| self.of_number(x)).ok_or_else(|| RowError::new("label".to_string(), self.expected(), cell))
    }

    pub(crate) fn is_binary(&self) -> bool {
        *self == Self::Binary
    }
}

impl std::fmt::Display for LabelKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for LabelKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|k| k.name() == text);
        known.ok_or_else(|| format!("expected {}, got {text:?}", Self::ALL.map(Self::name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_takes_its_own_numbers() {
        let of = |x: &str| LabelKind::ALL.map(|k| k.read(x.as_bytes()).ok());
        assert_eq!(of("1"), [Some(1.0); 3]);
        assert_eq!(of("0"), [Some(-1.0), Some(0.0), Some(0.0)]);
        assert_eq!(of("-1"), [Some(-1.0), Some(-1.0), None]);
        assert_eq!(of("2.5e1"), [None, Some(25.0), Some(25.0)]);
        assert_eq!(of("0.999999999999")[0], None);
        for none in ["nan", "inf", "-inf", "1e99", "x", "", "1,5"] {
            assert_eq!(of(none), [None; 3], "{none:?}");
        }
        let e = LabelKind::Count.read(b"-2").unwrap_err();
        assert_eq!((e.expected.as_str(), e.got.as_str()), ("a finite number of at least 0", "\"-2\""));
    }

    #[test]
    fn names_come_back() {
        assert!(LabelKind::ALL.iter().all(|k| k.to_string().parse() == Ok(*k)));
        assert!("int".parse::<LabelKind>().unwrap_err().starts_with("expected binary, real, count"));
    }
}
