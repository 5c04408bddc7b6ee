//! Minibatches hold the same rows as the data set, whatever their size.

mod common;

use common::{adult, beside, uncached, write};
use handcar_data::{Dataset, ReadOptions, batches, read};

/// Rows as global keys and values.
fn rows_of(d: &Dataset) -> Vec<(f32, Vec<(u64, f32)>)> {
    let csr = d.csr();
    let row = |r: usize| {
        let (ids, values) = csr.row(r);
        let pairs = ids.iter().enumerate().map(|(j, &i)| (d.keys()[i as usize], values.map_or(1.0, |v| v[j])));
        (d.labels()[r], pairs.collect())
    };
    (0..d.rows()).map(row).collect()
}

#[test]
fn batches_of_any_size_hold_the_rows_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let valued = "1 3:1 9:2\n0 4:1\n1\n0 2:1 3:0.5\n".repeat(300);
    let raw = ReadOptions { label: Some("y".into()), raw: vec!["x".into()], weight: Some("w".into()), ..uncached() };
    let mut inputs = vec![
        (adult(), ReadOptions { label: Some("income".into()), ..uncached() }),
        (write(dir.path(), "v.svm", valued).display().to_string(), uncached()),
        (write(dir.path(), "r.csv", "x,c,w,y\n0.5,a,1,1\n0,b,2,0\n,a,0.5,1\n").display().to_string(), raw),
    ];
    inputs.extend(beside("criteo/wideresdnn_train.tsv.gz").map(|p| (p, uncached())));
    for (path, options) in inputs {
        let d = read(std::slice::from_ref(&path), &options).unwrap();
        let expected = rows_of(&d);
        for (size, threads) in [(1000, 1), (777, 2), (1 << 20, 1)] {
            let options = ReadOptions { threads, ..options.clone() };
            let (mut got, mut weights) = (Vec::new(), Vec::new());
            for batch in batches(std::slice::from_ref(&path), d.schema(), &options, size).unwrap() {
                let b = batch.unwrap();
                assert!(b.rows() == size || got.len() + b.rows() == expected.len());
                assert!(b.keys.is_sorted_by(|x, y| x < y));
                for r in 0..b.rows() {
                    let (ids, values) = b.csr().row(r);
                    assert!(ids.is_sorted_by(|x, y| x < y));
                    let pair = |(j, &i): (usize, &u32)| (b.keys[i as usize], values.map_or(1.0, |v| v[j]));
                    got.push((b.labels.as_ref().unwrap()[r], ids.iter().enumerate().map(pair).collect::<Vec<_>>()));
                }
                weights.extend(b.weights.unwrap_or_default());
            }
            assert!(got == expected, "{path}, {size}");
            assert_eq!(d.weights().unwrap_or_default(), weights);
        }
    }
}

#[test]
fn unlabelled_rows_have_no_labels() {
    let dir = tempfile::tempdir().unwrap();
    let row = |label: &str| format!("{label}{}\t{}\n", vec!["1"; 13].join("\t"), vec!["0a"; 26].join("\t"));
    for (name, train, new) in [
        ("c.tsv", row("1\t") + &row("0\t"), row("") + &row("")),
        ("s.svm", "1 2:1\n0 3:1\n".into(), "2:1\n3:1\n".into()),
    ] {
        let train = write(dir.path(), name, train).display().to_string();
        let schema = read(&[train], &uncached()).unwrap().schema().clone();
        let new = write(dir.path(), "new", new).display().to_string();
        let all: Vec<_> = batches(&[new], &schema, &uncached(), 9).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!((all.len(), all[0].rows(), &all[0].labels), (1, 2, &None), "{name}");
    }
}

#[test]
fn a_schema_survives_json() {
    let options = ReadOptions { label: Some("income".into()), ..uncached() };
    let schema = read(&[adult()], &options).unwrap().schema().clone();
    let text = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<handcar_data::Schema>(&text).unwrap(), schema);
}

#[test]
fn texts_of_chosen_fields_are_noted_and_of_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "t.csv", "a,b,y\nx,\"say \"\"hi\"\"\",1\n,v,0\nz,v,1\n").display().to_string();
    let options = ReadOptions { label: Some("y".into()), cross: vec!["a*b".into()], ..uncached() };
    let schema = read(std::slice::from_ref(&path), &options).unwrap().schema().clone();
    assert_eq!(schema.field_names(), ["a", "b", "a*b"]);
    for (name, expected) in
        [("a", &["x", "z"][..]), ("b", &["say \"hi\"", "v"]), ("a*b", &["x*say \"hi\"", "(missing)*v", "z*v"])]
    {
        let mut batches = batches(std::slice::from_ref(&path), &schema, &options, 2).unwrap();
        batches.note_texts(&[schema.field_named(name).unwrap()]);
        let keys: Vec<u64> = batches.by_ref().flat_map(|b| b.unwrap().keys).collect();
        let mut texts: Vec<&str> = keys.iter().filter_map(|&k| batches.text_of(k)).collect();
        texts.sort_unstable();
        texts.dedup();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(texts, expected, "{name}");
    }
    assert_eq!((schema.field_named("y"), schema.field_named("")), (None, None));
}

#[test]
fn names_of_vw_text_are_noted_in_minibatches_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "t.vw", "1 |user kind=a |page 7\n-1 |user kind=b\n").display().to_string();
    let schema = read(std::slice::from_ref(&path), &uncached()).unwrap().schema().clone();
    let mut batches = batches(&[path], &schema, &uncached(), 9).unwrap();
    batches.note_texts(&[schema.field_named("user").unwrap()]);
    let keys = batches.next().unwrap().unwrap().keys;
    let mut texts: Vec<&str> = keys.iter().filter_map(|&k| batches.text_of(k)).collect();
    texts.sort_unstable();
    assert_eq!((texts, schema.field_names().is_empty()), (vec!["user^kind=a", "user^kind=b"], true));
}
