//! The bar inside a long pass.

use std::time::Duration;

/// Draws `pass 3 ━━━━━━━━╸       43%  2.1 s left` in at most `width` letters. Time left assumes an even pace and is
/// told once a twentieth is done.
pub fn draw(pass: u64, done: f64, elapsed: Duration, width: usize, unicode: bool) -> String {
    let done = done.clamp(0.0, 1.0);
    let head = format!("pass {pass:<3} ");
    let mut tail = format!(" {:3.0}%", 100.0 * done);
    if done >= 0.05 {
        tail += &format!("  {} left", duration(elapsed.as_secs_f64() * (1.0 - done) / done));
    }
    let room = width.saturating_sub(head.len() + tail.len() + 1).min(40);
    let (full, half, rest) = if unicode { ('━', '╸', ' ') } else { ('#', '-', ' ') };
    let halves = (2.0 * room as f64 * done) as usize;
    let bar = (0..room).map(|i| match halves.saturating_sub(2 * i) {
        0 => rest,
        1 => half,
        _ => full,
    });
    let mut line = head;
    line.extend(bar);
    line + &tail
}

/// Draws `pass 7   Newton step 3, gap 2.5e-2` in at most `width` letters.
pub fn newton(pass: u64, step: u64, gap: f64, width: usize) -> String {
    let mut line = format!("pass {pass:<3} Newton step {step}, gap {gap:.1e}");
    line.truncate(width.saturating_sub(1));
    line
}

/// A time for people: `8.4 s`, `3 min 20 s`, `2 h 05 min`.
pub fn duration(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match s {
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_fits_and_tells_the_time_left() {
        let line = draw(3, 0.25, Duration::from_secs(10), 60, true);
        assert!(line.chars().count() < 60 && line.ends_with("25%  30 s left"), "{line}");
        assert!(line.starts_with("pass 3   ━━━━━"));
        assert!(draw(3, 0.01, Duration::from_secs(10), 60, false).ends_with("  1%"));
        assert!(draw(3, 0.5, Duration::from_secs(1), 10, false).contains("50%"));
    }

    #[test]
    fn newton_steps_tell_the_gap() {
        assert_eq!(newton(7, 3, 0.025, 80), "pass 7   Newton step 3, gap 2.5e-2");
        assert_eq!(newton(7, 3, 0.025, 12), "pass 7   Ne");
    }

    #[test]
    fn times_read_well() {
        let all: Vec<String> = [0.04, 9.96, 59.0, 200.0, 7500.0].into_iter().map(duration).collect();
        assert_eq!(all, ["0.0 s", "10.0 s", "59 s", "3 min 20 s", "2 h 05 min"]);
    }
}
