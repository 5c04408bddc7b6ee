//! Names of filters, for clap: an unknown one is answered with those known.

use handcar_ps::filter::Spec;
use handcar_train::job;

/// Filters in sending order, as in `zero,zstd:1`. Their parameters are checked when training begins.
pub fn filters(text: &str) -> Result<Spec, String> {
    let spec: Spec = text.parse().map_err(|e| format!("{e}"))?;
    let registry = job::registry();
    let known: Vec<_> = registry.filters().names().collect();
    if let Some((name, _)) = spec.filters().find(|(name, _)| !known.contains(name)) {
        return Err(format!("expected a filter among {}, got {name:?}", known.join(", ")));
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_or_told() {
        assert_eq!(filters("zero, zstd:1").map(|s| s.to_string()), Ok("zero,zstd:1".into()));
        let told = filters("zero,zip").unwrap_err();
        assert!(told.starts_with("expected a filter among countmin, ") && told.ends_with("got \"zip\""), "{told}");
        assert!(filters("Zero").unwrap_err().contains("expected a filter's name of letters"));
    }
}
