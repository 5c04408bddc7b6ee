//! Measures by the values of a field, as a table.

use super::item;
use crate::progress::{grouped, significant};
use handcar_train::evaluate::{Slice, SliceTable};

/// Letters of a value at most.
const VALUE_LETTERS: usize = 32;

/// A column after the values: title and cell.
type Column = (&'static str, fn(&Slice) -> Option<String>);

const COLUMNS: [Column; 12] = [
    ("rows", |s| Some(grouped(s.rows))),
    ("positives", |s| s.positives.map(grouped)),
    ("predicted", |s| s.predicted.map(|x| significant(x, 6))),
    ("observed", |s| s.observed.map(|x| significant(x, 6))),
    ("ratio", |s| s.metrics.calibration.map(|x| format!("{x:.4}"))),
    ("loss", |s| s.metrics.loss.map(|x| significant(x, 6))),
    ("logloss", |s| s.metrics.logloss.map(|x| format!("{x:.5}"))),
    ("NE", |s| s.metrics.ne.map(|x| format!("{x:.4}"))),
    ("AUC", |s| s.metrics.auc.map(|x| format!("{x:.4}"))),
    ("RMSE", |s| s.metrics.rmse.map(|x| significant(x, 6))),
    ("MAE", |s| s.metrics.mae.map(|x| significant(x, 6))),
    ("deviance", |s| s.metrics.deviance.map(|x| significant(x, 6))),
];

/// Appends the table of a field; columns that no value has are left out.
pub fn slices(out: &mut String, table: &SliceTable) {
    let all: Vec<&Slice> = table.values.iter().chain(&table.other).collect();
    let value = |s: &Slice| match s.value.chars().count() {
        0..=VALUE_LETTERS => s.value.clone(),
        _ => s.value.chars().take(VALUE_LETTERS - 3).chain("...".chars()).collect(),
    };
    let other = format!("({}{} others)", if table.approximate { "up to " } else { "" }, grouped(table.others));
    let mut values: Vec<String> = table.values.iter().map(value).collect();
    values.extend(table.other.iter().map(|_| other.clone()));
    let first = values.iter().chain([&table.field]).map(|v| v.chars().count()).max().unwrap_or(0);
    let mut lines = vec![format!("{:<first$}", table.field)];
    lines.extend(values.iter().map(|v| format!("{v:<first$}")));
    for (title, cell) in COLUMNS {
        let cells: Vec<Option<String>> = all.iter().map(|s| cell(s)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let cells: Vec<String> =
            [Some(title.to_string())].into_iter().chain(cells).map(|c| c.unwrap_or("-".into())).collect();
        let width = cells.iter().map(String::len).max().unwrap_or(0);
        lines.iter_mut().zip(&cells).for_each(|(line, cell)| *line += &format!("  {cell:>width$}"));
    }
    for (n, line) in lines.iter().enumerate() {
        item(out, if n == 0 { "slice" } else { "" }, line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_train::metric::Metrics;

    #[test]
    fn columns_line_up_and_those_without_a_number_are_left_out() {
        let slice = |value: &str, rows, calibration| Slice {
            value: value.into(),
            rows,
            metrics: Metrics { calibration, ..Metrics::default() },
            ..Slice::default()
        };
        let table = SliceTable {
            field: "country".into(),
            values: vec![slice(&"long".repeat(20), 12_345, Some(1.25)), slice("at", 7, None)],
            other: Some(slice("(other)", 3, Some(0.5))),
            others: 2,
            approximate: false,
        };
        let mut out = String::new();
        slices(&mut out, &table);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["slice", "country", "rows", "ratio"]);
        assert!(lines[1].contains("...  12,345  1.2500"), "{out}");
        assert!(lines[2].ends_with("7       -") && lines[3].contains("(2 others)"), "{out}");
        assert!(lines.iter().all(|l| l.len() == lines[0].len()), "{out}");
    }
}
