//! Numbers with a range, for clap: each says what was expected.

/// A finite number of at least zero.
pub fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |x| x >= 0.0, "a number of at least 0")
}

/// A finite number of at most zero.
pub fn not_positive(text: &str) -> Result<f64, String> {
    number(text, |x| x <= 0.0, "a number of at most 0")
}

/// A finite number above zero.
pub fn positive(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0, "a number above 0")
}

/// A number strictly between 0 and 1.
pub fn share(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0 && x < 1.0, "a number between 0 and 1")
}

/// A number above 0 and at most 1.
pub fn part(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0 && x <= 1.0, "a number above 0 and at most 1")
}

/// A number from 1 to 1000.
pub fn factor(text: &str) -> Result<f64, String> {
    number(text, |x| (1.0..=1000.0).contains(&x), "a number from 1 to 1000")
}

/// A whole number of at least one; `_` and a round power such as `1e6` are accepted.
pub fn count(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "");
    let whole = plain.parse::<u64>().ok().or_else(|| {
        let x = plain.parse::<f64>().ok()?;
        // Above 2^53 not every integer is a double: such a number must be written out.
        (x.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&x)).then_some(x as u64)
    });
    whole.filter(|&n| n > 0).ok_or_else(|| "expected a whole number of at least 1".to_string())
}

fn number(text: &str, fits: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    let x: f64 = text.parse().map_err(|_| format!("expected {expected}"))?;
    if x.is_finite() && fits(x) { Ok(x) } else { Err(format!("expected {expected}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_in_range_are_taken() {
        assert_eq!((not_negative("0"), not_negative("1e-4"), share("0.2")), (Ok(0.0), Ok(1e-4), Ok(0.2)));
        for wrong in ["-1", "nan", "inf", "x", ""] {
            assert!(not_negative(wrong).is_err() && share(wrong).is_err(), "{wrong}");
        }
        assert!(not_positive("1e-9").is_err() && not_positive("-inf").is_err() && not_positive("-2") == Ok(-2.0));
        assert!(positive("0").is_err() && positive("1e-9") == Ok(1e-9));
        assert!(share("1").is_err() && share("0").is_err());
        assert!(part("1") == Ok(1.0) && part("0").is_err() && part("1.1").is_err());
    }

    #[test]
    fn counts_may_be_written_as_people_do() {
        assert_eq!(
            (count("1_000"), count("1e6"), count("18446744073709551615")),
            (Ok(1000), Ok(1_000_000), Ok(u64::MAX))
        );
        assert!(count("0").is_err() && count("1.5").is_err() && count("-3").is_err());
    }
}
