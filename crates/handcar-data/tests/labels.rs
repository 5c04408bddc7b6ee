//! Real labels and counts, in every format, beside classes.

mod common;

use common::{read_text, uncached, write};
use handcar_data::{CachePolicy, Dataset, Format, LabelKind, ReadOptions, batches, read, read_with_schema};

fn criteo_row(label: &str) -> String {
    format!("{label}\t{}\t{}\n", vec!["1"; 13].join("\t"), vec!["0a"; 26].join("\t"))
}

/// The same labels in each format.
fn texts(labels: &[&str]) -> Vec<(&'static str, String, Format)> {
    let rows = |row: &dyn Fn(&str) -> String| labels.iter().map(|l| row(l)).collect::<String>();
    vec![
        ("a.svm", rows(&|l| format!("{l} 3:1\n")), Format::Libsvm),
        ("a.tsv", rows(&criteo_row), Format::Criteo),
        ("a.csv", "a,y\n".to_string() + &rows(&|l| format!("x,{l}\n")), Format::Csv),
        ("a.vw", rows(&|l| format!("{l} |a x\n")), Format::Vw),
    ]
}

fn asking(labels: LabelKind) -> ReadOptions {
    ReadOptions { labels, ..uncached() }
}

#[test]
fn real_labels_are_read_as_they_stand_in_every_format() {
    for (name, text, format) in texts(&["2.5", "0", "1", "-1e3", "0.125"]) {
        let options = ReadOptions { format: Some(format), ..asking(LabelKind::Real) };
        let data = read_text(name, &text, &options).unwrap();
        assert_eq!(data.labels(), [2.5, 0.0, 1.0, -1000.0, 0.125], "{name}");
        assert_eq!((data.schema().label.kind, data.report().positives), (LabelKind::Real, 0), "{name}");
        assert!(data.report().notes.is_empty(), "{name}");
        // The schema alone says how prediction reads them.
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), name, &text).display().to_string();
        let again = read_with_schema(std::slice::from_ref(&path), data.schema(), &uncached()).unwrap();
        assert_eq!(again.labels(), data.labels(), "{name}");
        let batch = batches(&[path], data.schema(), &uncached(), 100).unwrap().next().unwrap().unwrap();
        assert_eq!(batch.labels.as_deref(), Some(data.labels()), "{name}");
    }
}

#[test]
fn labels_of_another_kind_are_refused_with_file_line_and_column() {
    let cases = [
        (LabelKind::Binary, "0.5", "expected 0, 1, -1 or +1, got \"0.5\""),
        (LabelKind::Real, "nan", "expected a finite number, got \"nan\""),
        (LabelKind::Real, "-inf", "expected a finite number, got \"-inf\""),
        (LabelKind::Real, "1e60", "expected a finite number, got \"1e60\""),
        (LabelKind::Real, "tall", "expected a finite number, got \"tall\""),
        (LabelKind::Count, "-3", "expected a finite number of at least 0, got \"-3\""),
    ];
    for (kind, label, told) in cases {
        for (name, text, format) in texts(&["1", "0", label]) {
            let options = ReadOptions { format: Some(format), positive: None, ..asking(kind) };
            // Text in a column of classes is a class.
            let error = read_text(name, &text, &options).unwrap_err().to_string();
            let (line, column) = if format == Format::Csv { (4, "y") } else { (3, "label") };
            assert!(error.contains(&format!("{name}, line {line}, column {column}: {told}")), "{error}");
        }
    }
    let positive = ReadOptions { positive: Some("1".into()), ..asking(LabelKind::Real) };
    for (name, text, format) in texts(&["1", "0"]) {
        let error = read_text(name, &text, &ReadOptions { format: Some(format), ..positive.clone() }).unwrap_err();
        let told = "option positive: expected none, as no class is positive, got one with real labels";
        assert_eq!(error.to_string(), told);
    }
}

#[test]
fn a_cache_of_classes_is_not_taken_for_one_of_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.svm", "1 3:1\n0 4:1\n").display().to_string();
    let options = |labels| ReadOptions { labels, cache: CachePolicy::at(dir.path().join("cache")), ..uncached() };
    for round in 0..2 {
        for (kind, labels) in [(LabelKind::Binary, [1.0, -1.0]), (LabelKind::Real, [1.0, 0.0])] {
            let data = read(std::slice::from_ref(&path), &options(kind)).unwrap();
            assert_eq!((data.labels(), data.report().from_cache), (&labels[..], round == 1));
            assert_eq!(data.schema().label.kind, kind);
        }
    }
}

#[test]
fn rows_from_memory_have_labels_of_the_kind_asked_for() {
    let from = |kind, labels: &[f32]| Dataset::from_labelled_csr(kind, labels, &[0, 1, 2], &[1u32, 2], None, None);
    assert_eq!(from(LabelKind::Real, &[-7.5, 0.0]).unwrap().labels(), [-7.5, 0.0]);
    assert_eq!(from(LabelKind::Binary, &[1.0, 0.0]).unwrap().labels(), [1.0, -1.0]);
    for (kind, label, told) in [
        (LabelKind::Real, f32::NAN, "as a label a finite number, got NaN in row 1"),
        (LabelKind::Count, -1.0, "as a label a finite number of at least 0, got -1 in row 1"),
    ] {
        assert!(from(kind, &[1.0, label]).unwrap_err().to_string().contains(told));
    }
}
