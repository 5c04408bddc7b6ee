//! What the memory of this machine gives: the lines that a pass looks up, in its order, and no arithmetic on them.

use super::local::{LocalTable, batches};
use super::rule::{Ftrl, Rates};
use super::{Inner, Settings};
use crate::error::Result;
use crate::loss::LossKind;
use crate::penalty::ElasticNet;
use crate::solver::Solver;
use handcar_data::Dataset;
use handcar_ps::filter::TableFilters;
use std::time::{Duration, Instant};

/// The time to look up, on one thread, every slot that a pass of FTRL looks up, batch by batch and column by column as it
/// does, once each. No solver that visits rows in order and keeps weight and state together can be faster, so a pass is
/// judged by its share of this rate.
///
/// ```
/// use handcar_data::Dataset;
/// use handcar_train::solver::minibatch::gather_time;
/// let data = Dataset::from_csr(&[1.0, -1.0], &[0, 1, 2], &[3u32, 5], None, None)?;
/// assert!(gather_time(&data, 256)?.as_nanos() > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TrainError::Data`](crate::TrainError::Data) if the data is damaged.
pub fn gather_time(data: &Dataset, batch_rows: usize) -> Result<Duration> {
    let batch_rows = batch_rows.max(1);
    let penalty = ElasticNet::NONE;
    let settings = Settings {
        solver: Solver::Ftrl,
        loss: LossKind::Logistic,
        penalty,
        intercept: false,
        alpha: 0.1,
        beta: 1.0,
        batch_rows,
        threads: 1,
        hogwild: false,
        delay: 0,
        slow: 1.0,
        resumed: false,
        rows_total: None,
        filters: TableFilters::default(),
        inner: Inner::default(),
        stage: 0,
    };
    let rates = Rates { alpha: 0.1, beta: 1.0, penalty, batch_rows: batch_rows as u64, batches: 1, workers: 1 };
    // Weights that are no zeros, so that every page of the table is one of its own.
    let mut table = LocalTable::<Ftrl>::new(data, &settings, rates, 0, (&|i| 1.0 + i as f32, 0.0))?;
    let begin = Instant::now();
    let mut all = 0i64;
    for (_, rows) in batches(data.rows(), batch_rows, 0) {
        for part in table.parts() {
            part.go_to(0, &rows);
            all = all.wrapping_add(part.gather(&rows));
        }
    }
    std::hint::black_box(all);
    Ok(begin.elapsed())
}
