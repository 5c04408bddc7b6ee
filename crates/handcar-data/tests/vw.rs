//! Vowpal Wabbit's text from files: keys, names and weights do not depend on how the text is cut or read.

mod common;

use common::{read_text, uncached};
use handcar_data::{CachePolicy, Format, HashKind, OnBadRow, ReadOptions, batches, read};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Rows of label, weight and features by name.
type Row = (bool, f32, Vec<(String, String, f32)>);

fn text_of(rows: &[Row]) -> String {
    let line = |(label, weight, features): &Row| {
        let features: String = features.iter().map(|(space, name, v)| format!("|{space} {name}:{v} ")).collect();
        format!("{} {weight} |{features}\n", *label as u8)
    };
    rows.iter().map(line).collect()
}

/// What a row must be: the sum of its values by name, without those that are zero.
fn expected(row: &Row) -> BTreeMap<String, f32> {
    let mut sums = BTreeMap::new();
    for (space, name, v) in row.2.iter().filter(|f| f.2 != 0.0) {
        *sums.entry(if space.is_empty() { name.clone() } else { format!("{space}^{name}") }).or_insert(0.0) += v;
    }
    sums
}

proptest! {
    #[test]
    fn rows_come_back_by_name(rows in prop::collection::vec((
        any::<bool>(),
        prop::sample::select(vec![1.0f32, 2.5]),
        prop::collection::vec(("[ab]{0,2}", "[a-z0-9=é]{1,9}", prop::sample::select(vec![1.0f32, 0.0, -0.5])), 0..6),
    ), 1..20)) {
        let options = ReadOptions { format: Some(Format::Vw), ..uncached() };
        let d = read_text("x", text_of(&rows), &options).unwrap();
        let weight = |i: usize| d.weights().map_or(1.0, |w| w[i]);
        for (i, row) in rows.iter().enumerate() {
            let (ids, values) = d.csr().row(i);
            prop_assert!(ids.is_sorted_by(|a, b| a < b));
            let value = |j: usize| values.map_or(1.0, |v| v[j]);
            let got: BTreeMap<String, f32> = ids.iter().enumerate().map(|(j, &id)| (d.name_of(id as usize), value(j))).collect();
            prop_assert_eq!(got, expected(row));
            prop_assert_eq!((d.labels()[i] > 0.0, weight(i)), (row.0, row.1));
        }
    }

    #[test]
    fn no_bytes_do_worse_than_an_error(lines in prop::collection::vec("[-01 2'|:a\t\"é.]{0,20}", 0..20), junk: Vec<u8>) {
        let options = ReadOptions { format: Some(Format::Vw), on_bad_row: OnBadRow::Skip, ..uncached() };
        let text = [lines.join("\n").as_bytes(), b"\n1 |a x\n", &junk].concat();
        let d = read_text("x", &text, &options).unwrap();
        prop_assert!(d.rows() >= 1);
    }
}

#[test]
fn threads_batches_and_the_cache_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    // Several chunks; weights and late namespaces begin in a later one, and a quote stays open.
    let row = |i: u32| match i {
        30_000.. => format!("{} 0.5 |late {i} x:2 |early a{}\n", i % 2, i % 7),
        _ => format!("{} 't\"{i}|early a{} \"|id {i}\n", i % 2, i % 7),
    };
    let file = common::write(dir.path(), "rows", (0..60_000).map(row).collect::<String>()).display().to_string();
    let inputs = [file];
    let whole = read(&inputs, &ReadOptions { threads: 1, ..uncached() }).unwrap();
    assert_eq!((whole.rows(), whole.schema().format), (60_000, Format::Vw));
    assert_eq!(whole.weights().map(|w| (w[0], w[29_999], w[30_000])), Some((1.0, 1.0, 0.5)));
    let cached = ReadOptions { cache: CachePolicy::at(dir.path().join("cache")), threads: 2, ..ReadOptions::default() };
    for again in [false, true] {
        let other = read(&inputs, &cached).unwrap();
        assert_eq!(other.report().from_cache, again);
        assert_eq!((other.keys(), other.csr().ids, other.weights()), (whole.keys(), whole.csr().ids, whole.weights()));
        assert_eq!(other.name_of(7), whole.name_of(7));
    }
    let hashed = read(&inputs, &ReadOptions { hash: HashKind::Vw, ..cached.clone() }).unwrap();
    assert!(!hashed.report().from_cache && hashed.keys().iter().all(|&k| k < 1 << 18));
    for d in [&whole, &hashed] {
        let mut at = 0;
        for batch in batches(&inputs, d.schema(), &ReadOptions { threads: 2, ..uncached() }, 7_000).unwrap() {
            let batch = batch.unwrap();
            for row in 0..batch.rows() {
                let keys = |ids: &[u32], keys: &[u64]| ids.iter().map(|&i| keys[i as usize]).collect::<Vec<_>>();
                assert_eq!(keys(batch.csr().row(row).0, &batch.keys), keys(d.csr().row(at).0, d.keys()), "row {at}");
                at += 1;
            }
        }
        assert_eq!(at, 60_000);
    }
}
