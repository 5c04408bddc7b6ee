//! `Spec`: the text that names the filters of a chain.

use super::error::FilterError;
use std::fmt;
use std::str::FromStr;

/// Filters in a chain; more than a dozen is a mistake, and a peer's text must not make us build thousands.
const FILTERS_MAX: usize = 16;
/// Bytes of a spec; [`FILTERS_MAX`] filters of 64 bytes each.
const TEXT_BYTES_MAX: usize = FILTERS_MAX * 64;

/// Filters in sending order, as in `"key-cache,zero,fixed-point:2,zstd:1"`: `name[:parameter[:parameter...]]`.
///
/// The empty text is no filter. Both ends of a chain must be given the same spec; its hash travels with every message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    filters: Vec<(String, Vec<String>)>,
}

impl Spec {
    /// Names and parameters in sending order.
    pub fn filters(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.filters.iter().map(|(name, params)| (name.as_str(), params.as_slice()))
    }
}

impl FromStr for Spec {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let unfit = |expected: String, got: &str| Err(FilterError::unfit(expected, got).of("spec"));
        if text.len() > TEXT_BYTES_MAX {
            return unfit(format!("at most {TEXT_BYTES_MAX} bytes"), &text.len().to_string());
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut filters = Vec::new();
        for part in text.split(',') {
            let mut words = part.split(':').map(|w| w.trim().to_owned());
            let name = words.next().unwrap_or_default();
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || !name.chars().all(is_name) {
                return unfit("a filter's name of letters a-z, digits and `-`".into(), &format!("{name:?}"));
            }
            filters.push((name, words.collect()));
        }
        if filters.len() > FILTERS_MAX {
            return unfit(format!("at most {FILTERS_MAX} filters"), &filters.len().to_string());
        }
        Ok(Self { filters })
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, params)) in self.filters.iter().enumerate() {
            write!(f, "{}{name}", if n > 0 { "," } else { "" })?;
            for param in params {
                write!(f, ":{param}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_read_and_written_back() {
        let spec: Spec = " key-cache, fixed-point : 2 ,zstd:1".parse().unwrap();
        assert_eq!(spec.to_string(), "key-cache,fixed-point:2,zstd:1");
        assert_eq!(spec.to_string().parse(), Ok(spec));
        assert_eq!("".parse::<Spec>().unwrap().filters().count(), 0);
    }

    #[test]
    fn what_is_no_spec_is_refused() {
        for bad in ["zero,,lz4", "Zero", "a b", ":2", &"zero,".repeat(16), &"z".repeat(2000)] {
            assert!(bad.parse::<Spec>().is_err(), "{bad}");
        }
    }
}
