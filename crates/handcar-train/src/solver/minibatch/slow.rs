//! A worker that is slow on purpose, to measure what that does to the others.

use std::time::Instant;

/// Makes what began then take `factor` times as long.
pub(super) fn down(factor: f64, began: Instant) {
    if factor > 1.0 {
        #[expect(clippy::disallowed_methods, reason = "to lose time is what was asked for; nothing waits for it")]
        std::thread::sleep(began.elapsed().mul_f64(factor - 1.0));
    }
}
