//! The columns of the progress table and how each number is written.

/// What one line of the table shows; absent values leave their cell as a dash.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// Number of the pass.
    pub pass: u64,
    /// Objective after it; absent within a pass.
    pub objective: Option<f64>,
    /// Relative change of the objective.
    pub relative_change: Option<f64>,
    /// Nonzero weights.
    pub nnz: Option<u64>,
    /// Share of keys that were active.
    pub active: f64,
    /// Largest KKT violation.
    pub violation: Option<f64>,
    /// Certified relative gap.
    pub gap: Option<f64>,
    /// Log loss on the validation rows.
    pub logloss: Option<f64>,
    /// AUC on the validation rows.
    pub auc: Option<f64>,
    /// Root of the mean squared error on the validation rows.
    pub rmse: Option<f64>,
    /// Rows a second.
    pub rows_per_second: f64,
    /// Bytes sent in the pass.
    pub bytes_sent: u64,
    /// Seconds since training began.
    pub seconds: f64,
    /// What solvers that learn row by row add.
    pub online: Option<Online>,
}

/// Measures of predictions made before their row was learned from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Online {
    /// Rows of the pass so far.
    pub rows: u64,
    /// Mean loss since the line before.
    pub since: f64,
    /// Mean loss over the rows so far.
    pub average: f64,
    /// AUC over the rows so far.
    pub auc: Option<f64>,
    /// Its standard error.
    pub auc_error: Option<f64>,
    /// Normalised entropy over the rows so far.
    pub ne: Option<f64>,
}

/// One column: right-aligned under its title.
pub struct Column {
    pub title: &'static str,
    pub width: usize,
    /// Columns of a lower rank are the last to go when the terminal is narrow.
    rank: u8,
    /// Only shown when there are validation rows.
    validation: bool,
    /// Only shown when labels are classes, or when they are not.
    classes: Option<bool>,
    cell: fn(&Line) -> String,
}

impl Column {
    /// The text of this column's cell, without padding.
    pub fn cell(&self, line: &Line) -> String {
        (self.cell)(line)
    }
}

const BATCH: [Column; 12] = [
    column("pass", 4, 0, |l| l.pass.to_string()),
    column("objective", 13, 0, |l| optional(l.objective, |x| significant(x, 10))),
    column("change", 8, 5, |l| optional(l.relative_change, |x| format!("{x:.1e}"))),
    column("nonzeros", 10, 1, |l| optional(l.nnz, grouped)),
    column("active", 7, 4, |l| format!("{:.1}%", 100.0 * l.active)),
    column("violation", 9, 6, |l| optional(l.violation, |x| format!("{x:.1e}"))),
    column("gap", 8, 1, |l| optional(l.gap, |x| format!("{x:.1e}"))),
    Column { validation: true, ..of_classes("logloss", 8, 3, |l| optional(l.logloss, |x| format!("{x:.5}"))) },
    Column { validation: true, ..of_classes("AUC", 7, 2, |l| optional(l.auc, |x| format!("{x:.5}"))) },
    column("rows/s", 7, 7, |l| scaled(l.rows_per_second)),
    column("MB sent", 8, 8, |l| format!("{:.2}", l.bytes_sent as f64 / 1e6)),
    column("seconds", 8, 2, |l| format!("{:.2}", l.seconds)),
];

const ONLINE: [Column; 13] = [
    column("pass", 4, 3, |l| l.pass.to_string()),
    column("rows", 11, 0, |l| online(l, |o| grouped(o.rows))),
    column("since", 8, 2, |l| online(l, |o| significant(o.since, 6))),
    column("average", 8, 0, |l| online(l, |o| significant(o.average, 6))),
    of_classes("AUC", 7, 1, |l| online(l, |o| optional(o.auc, |x| format!("{x:.4}")))),
    of_classes("+-", 6, 5, |l| online(l, |o| optional(o.auc_error, |x| format!("{x:.4}")))),
    of_classes("NE", 7, 6, |l| online(l, |o| optional(o.ne, |x| format!("{x:.4}")))),
    column("objective", 13, 4, |l| optional(l.objective, |x| significant(x, 10))),
    column("nonzeros", 10, 7, |l| optional(l.nnz, grouped)),
    Column { validation: true, ..of_classes("logloss", 8, 4, |l| optional(l.logloss, |x| format!("{x:.5}"))) },
    Column {
        validation: true,
        classes: Some(false),
        ..column("RMSE", 8, 4, |l| optional(l.rmse, |x| significant(x, 6)))
    },
    column("rows/s", 7, 5, |l| scaled(l.rows_per_second)),
    column("seconds", 8, 3, |l| format!("{:.2}", l.seconds)),
];

fn online(line: &Line, write: impl Fn(&Online) -> String) -> String {
    line.online.as_ref().map_or_else(|| "-".to_string(), write)
}

const fn column(title: &'static str, width: usize, rank: u8, cell: fn(&Line) -> String) -> Column {
    Column { title, width, rank, validation: false, classes: None, cell }
}

const fn of_classes(title: &'static str, width: usize, rank: u8, cell: fn(&Line) -> String) -> Column {
    Column { classes: Some(true), ..column(title, width, rank, cell) }
}

/// The columns that fit into `width` letters; all of them without a limit. `online`: those of a solver that learns row by
/// row. `classes`: whether labels are classes.
pub fn choose(online: bool, validation: bool, classes: bool, width: Option<usize>) -> Vec<&'static Column> {
    static COLUMNS: (&[Column], &[Column]) = (&BATCH, &ONLINE);
    let all = if online { COLUMNS.1 } else { COLUMNS.0 };
    let fits = |c: &&Column| (validation || !c.validation) && c.classes.is_none_or(|of| of == classes);
    let mut chosen: Vec<&Column> = all.iter().filter(fits).collect();
    while let Some(limit) = width {
        let used: usize = chosen.iter().map(|c| c.width + 2).sum();
        let least = chosen.iter().enumerate().max_by_key(|(_, c)| c.rank);
        match least {
            Some((i, c)) if used > limit && c.rank > 0 => chosen.remove(i),
            _ => break,
        };
    }
    chosen
}

fn optional<T>(x: Option<T>, write: impl Fn(T) -> String) -> String {
    x.map_or_else(|| "-".to_string(), write)
}

/// A number with about `digits` significant digits and no exponent.
pub fn significant(x: f64, digits: i32) -> String {
    let whole = if x.abs() < 1.0 { 1 } else { x.abs().log10().floor() as i32 + 1 };
    format!("{x:.*}", (digits - whole).clamp(0, 9) as usize)
}

/// An integer with commas: `48,842`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A rate or count in at most five letters: `950`, `12.3k`, `4.56M`.
pub fn scaled(x: f64) -> String {
    for (unit, name) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if x >= unit {
            let y = x / unit;
            let decimals = if y < 10.0 { 2 } else { (y < 100.0) as usize };
            return format!("{y:.decimals$}{name}");
        }
    }
    format!("{x:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_terminals_keep_what_matters_most() {
        let titles = |w| choose(false, true, true, w).iter().map(|c| c.title).collect::<Vec<_>>();
        assert_eq!(titles(None).len(), 12);
        assert_eq!(titles(Some(20)), ["pass", "objective"]);
        let at_80 = titles(Some(80));
        assert!(at_80.contains(&"gap") && at_80.contains(&"AUC") && !at_80.contains(&"MB sent"), "{at_80:?}");
        let online: Vec<_> = choose(true, true, true, Some(80)).iter().map(|c| c.title).collect();
        assert!(online.contains(&"average") && online.contains(&"AUC") && !online.contains(&"gap"), "{online:?}");
        assert!(choose(false, false, true, None).iter().all(|c| c.title != "AUC"));
        let regression: Vec<_> = choose(true, true, false, None).iter().map(|c| c.title).collect();
        assert!(regression.contains(&"RMSE") && !regression.contains(&"AUC"), "{regression:?}");
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!((grouped(0), grouped(999), grouped(1_048_576)), ("0".into(), "999".into(), "1,048,576".into()));
        assert_eq!(scaled(950.0) + " " + &scaled(12_345.0) + " " + &scaled(4.56e6), "950 12.3k 4.56M");
        assert_eq!(significant(10_558.723_370_6, 10), "10558.72337");
        assert_eq!(significant(0.25, 10), "0.250000000");
        assert_eq!(significant(1.8e13, 10), "18000000000000");
    }
}
