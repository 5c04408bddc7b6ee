//! Rows that are learned from as they are read: the rows of the packed data, keys numbered as they come.

mod common;
use common::{adult, uncached, write};
use handcar_base::{Rng, Seed};
use handcar_data::{
    DataError, Dataset, Format, Negatives, OnBadRow, Pieces, ReadOptions, Schema, name_of_key, pieces, read, synth,
};
use std::collections::BTreeSet;

/// Labels, example weights, and each row's features by name.
type Rows = (Vec<f32>, Vec<f32>, Vec<BTreeSet<String>>);

fn of_dataset(d: &Dataset) -> Rows {
    let csr = d.csr();
    let row = |r| {
        let (ids, values) = csr.row(r);
        let show = |(i, &id): (usize, &u32)| format!("{}:{}", d.name_of(id as usize), values.map_or(1.0, |v| v[i]));
        ids.iter().enumerate().map(show).collect()
    };
    let weights = d.weights().map_or(vec![1.0; d.rows()], <[f32]>::to_vec);
    (d.labels().to_vec(), weights, (0..d.rows()).map(row).collect())
}

fn of_pieces(mut pieces: Pieces) -> (Rows, Vec<u64>, Schema) {
    let (mut labels, mut weights, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(piece) = pieces.next() {
        let piece = piece.unwrap();
        let keys = pieces.keys();
        assert_eq!(&keys[keys.len() - piece.fresh.len()..], piece.fresh);
        let schema = pieces.schema();
        let name = |id: u32| name_of_key(schema, keys[id as usize], pieces.text_of(id)).into_owned();
        let mut entry = 0;
        for &len in &piece.lengths {
            let range = entry..entry + len as usize;
            entry = range.end;
            let show = |e: usize| format!("{}:{}", name(piece.ids[e]), piece.values.as_ref().map_or(1.0, |v| v[e]));
            let row: BTreeSet<String> = range.map(show).collect();
            assert_eq!(row.len(), len as usize, "each feature once");
            rows.push(row);
        }
        weights.extend(piece.weights.unwrap_or(vec![1.0; piece.labels.len()]));
        labels.extend(piece.labels);
    }
    let schema = pieces.schema().clone();
    ((labels, weights, rows), pieces.keys().to_vec(), schema)
}

/// Some hundred kilobytes of features, values, weights, and words that stand twice.
fn vw_text(rows: usize) -> String {
    let mut r = Rng::new(Seed(5), 0);
    let mut text = String::new();
    for _ in 0..rows {
        text += if r.below(4) == 0 { "1 " } else { "-1 " };
        if r.below(50) == 0 {
            text += "2.5 ";
        }
        for space in ["a", "user:2", "", "long_namespace"] {
            text += &format!("|{space} ");
            for _ in 0..r.below(12) {
                let most = 1 + r.below(3000);
                let name = r.below(most);
                text += &match r.below(20) {
                    0 => format!("w{name}:{} ", r.below(9)),
                    1 => format!("w{name} w{name} "),
                    _ => format!("w{name} "),
                };
            }
        }
        text += if r.below(3) == 0 { "\r\n" } else { "\n" };
    }
    text
}

fn options(threads: usize) -> ReadOptions {
    ReadOptions { threads, ..uncached() }
}

fn of_adult() -> ReadOptions {
    ReadOptions { label: Some("income".into()), ..options(1) }
}

#[test]
fn rows_are_those_of_the_packed_data_whatever_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let name = |file: &str, text: &[u8]| write(dir.path(), file, text).display().to_string();
    let mut criteo = Vec::new();
    synth::synth_criteo(0..4000, Seed(3), 1, &mut criteo).unwrap();
    let libsvm: String =
        (0..9000).map(|i| format!("{} {}:1 {}:2.5\n", i % 2, 1 + i % 77, 100 + i * i % 5000)).collect();
    let (vw, criteo, libsvm) =
        (name("x.vw", vw_text(9000).as_bytes()), name("x.tsv", &criteo), name("x.svm", libsvm.as_bytes()));
    let adult = || ReadOptions { positive: Some(">50K".into()), ..of_adult() };
    let crossed = ReadOptions { cross: vec!["education*gender".into()], drop: vec!["race".into()], ..adult() };
    let thinned = ReadOptions { negatives: Some(Negatives { rate: 0.4, seed: 2 }), ..options(1) };
    for (input, options) in [
        (vw.clone(), options(1)),
        (vw.clone(), ReadOptions { bits: 10, ..options(1) }),
        (vw.clone(), ReadOptions { cross: vec!["a*user".into()], ..options(1) }),
        (vw.clone(), ReadOptions { drop: vec!["a".into()], ..options(1) }),
        (vw, thinned.clone()),
        (criteo.clone(), ReadOptions { format: Some(Format::Criteo), ..options(1) }),
        (criteo, ReadOptions { format: Some(Format::Criteo), ..thinned }),
        (libsvm, options(1)),
        (common::adult(), adult()),
        (common::adult(), crossed),
    ] {
        let packed = read(std::slice::from_ref(&input), &options).unwrap();
        let (rows, keys, schema) = of_pieces(pieces(std::slice::from_ref(&input), &options).unwrap());
        assert!(rows == of_dataset(&packed), "{input} {options:?}");
        assert_eq!(&schema, packed.schema());
        let on_three = ReadOptions { threads: 3, ..options };
        let (again, same_keys, _) = of_pieces(pieces(std::slice::from_ref(&input), &on_three).unwrap());
        assert!(again == rows && same_keys == keys, "{input}: other threads, other numbers");
    }
}

#[test]
fn what_is_read_is_reported_as_by_the_packed_data() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{}1 |a x:bad\nnothing\n", vw_text(500));
    let input = [write(dir.path(), "x.vw", text).display().to_string()];
    let skipping = ReadOptions { on_bad_row: OnBadRow::Skip, ..options(2) };
    let mut all = pieces(&input, &skipping).unwrap();
    assert_eq!(all.by_ref().map(|piece| piece.unwrap().labels.len()).sum::<usize>(), 500);
    let packed = read(&input, &skipping).unwrap();
    let facts = |r: &handcar_data::ReadReport| {
        (r.rows, r.positives, r.skipped, r.reasons.clone(), r.notes.clone(), r.text_bytes)
    };
    assert_eq!(facts(all.report()), facts(packed.report()));
    assert!(all.next().is_none());
    let told = pieces(&input, &options(1)).unwrap().find_map(|piece| piece.err()).unwrap().to_string();
    assert!(told.contains("x.vw, line 501") && told.contains("a^x"), "{told}");
}

#[test]
fn what_only_all_rows_tell_is_asked_for_or_told_at_the_end() {
    let told = pieces(&[adult()], &of_adult()).err().unwrap();
    assert!(matches!(told, DataError::Option { option: "positive", .. }), "{told}");
    let of = |options: ReadOptions, text: &str| {
        let dir = tempfile::tempdir().unwrap();
        let input = write(dir.path(), "x.vw", text).display().to_string();
        let mut all = pieces(&[input], &options).unwrap();
        let last = all.by_ref().last().unwrap();
        (last.err().map(|e| e.to_string()), all.report().notes.join(" "), all.next().is_none())
    };
    let (told, _, over) = of(ReadOptions { drop: vec!["c".into()], ..options(1) }, "1 |a x\n0 |b y\n");
    assert!(told.unwrap().contains("namespaces among a, b") && over);
    let (told, notes, _) = of(options(1), "1 |a x\n1 |b y\n");
    assert!(told.is_none() && notes.contains("all 2 rows are of one class"), "{notes}");
    let (told, _, over) = of(ReadOptions { format: Some(Format::Vw), ..options(1) }, "\n\n");
    assert!(told.unwrap().contains("x.vw: expected at least one row") && over);
    let positive = ReadOptions { positive: Some("never".into()), ..of_adult() };
    let told = pieces(&[adult()], &positive).unwrap().find_map(|piece| piece.err()).unwrap().to_string();
    assert!(told.contains("at least one row labelled \"never\""), "{told}");
}

#[test]
fn rows_before_a_bad_one_come_first_whatever_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    // The bad row is in the third piece.
    let text = format!("{}1 |a x:bad\n{}", vw_text(3000), vw_text(100));
    let input = [write(dir.path(), "x.vw", text).display().to_string()];
    let rows = [1, 2, 5].map(|threads| {
        let mut all = pieces(&input, &options(threads)).unwrap();
        let rows: usize = all.by_ref().map_while(|piece| piece.ok()).map(|piece| piece.labels.len()).sum();
        assert!(all.next().is_none() && all.schema().format == Format::Vw);
        rows
    });
    assert!(rows[0] > 0 && rows.iter().all(|n| *n == rows[0]), "{rows:?}");
}

#[test]
fn many_features_that_stand_twice_have_the_sum_of_their_values() {
    let words: String = (0..60_000).map(|i| format!(" w{i} w{}:2", 59_999 - i)).collect();
    let dir = tempfile::tempdir().unwrap();
    let input = [write(dir.path(), "x.vw", format!("1 |a{words}\r\n0 |a w1\r")).display().to_string()];
    let mut all = pieces(&input, &options(1)).unwrap();
    let piece = all.next().unwrap().unwrap();
    assert_eq!((piece.lengths, piece.ids.len(), all.keys().len()), (vec![60_000, 1], 60_001, 60_000));
    let values = piece.values.unwrap();
    assert!(values[..60_000].iter().all(|v| *v == 3.0) && values[60_000] == 1.0);
}
