//! Bad input ends in one clear error that names file, line, column, what was expected and what was found.

mod common;

use common::{read_text, uncached, write};
use handcar_data::{DataError, Format, HashKind, OnBadRow, ReadOptions, batches, read};
use std::io::Write;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text).unwrap();
    gz.finish().unwrap()
}

fn csv() -> ReadOptions {
    ReadOptions { format: Some(Format::Csv), label: Some("y".into()), ..uncached() }
}

fn forced(format: Format) -> ReadOptions {
    ReadOptions { format: Some(format), ..uncached() }
}

#[test]
fn each_kind_of_bad_input_is_one_clear_error() {
    let criteo_row = |label: &str| format!("{label}\t{}\t{}\n", vec!["1"; 13].join("\t"), vec!["0a"; 26].join("\t"));
    let long = gzip(&b"1 3:1 4:1\n".repeat(10_000));
    let libsvm = || forced(Format::Libsvm);
    let criteo = || forced(Format::Criteo);
    let vw = || forced(Format::Vw);
    // file name, content, options, what the message must say
    let cases: Vec<(&str, Vec<u8>, ReadOptions, &[&str])> = vec![
        ("cut.gz", long[..long.len() - 20].to_vec(), libsvm(), &["read ", "cut.gz", "is the compressed file cut off?"]),
        ("cut.zst", zstd::encode_all(&b"1 3:1\n"[..], 1).unwrap()[..12].to_vec(), libsvm(), &["cut.zst"]),
        ("bytes", vec![0xff; 200], libsvm(), &["bytes, line 1, column label: expected 0, 1, -1 or +1, got"]),
        ("empty", vec![], uncached(), &["empty: expected at least one row, got none"]),
        ("blank", b"\n\n\n".to_vec(), libsvm(), &["blank: expected at least one row, got none"]),
        (
            "nan",
            b"1 2:1\n0 3:nan\n".to_vec(),
            libsvm(),
            &["nan, line 2, column id 3: expected a finite number, got \"nan\""],
        ),
        ("inf", b"1 2:-inf\n".to_vec(), libsvm(), &["line 1, column id 2: expected a finite number, got \"-inf\""]),
        (
            "unsorted",
            b"1 5:1 2:1\n".to_vec(),
            libsvm(),
            &["line 1: expected ids in strictly ascending order, above 5, got id 2"],
        ),
        (
            "repeated",
            b"1 5:1\n\n0 5:1 5:1\n".to_vec(),
            libsvm(),
            &["line 3: expected ids in strictly ascending", "got id 5"],
        ),
        ("label", b"3 5:1\n".to_vec(), libsvm(), &["line 1, column label: expected 0, 1, -1 or +1, got \"3\""]),
        (
            "label.tsv",
            criteo_row("7").into(),
            criteo(),
            &["label.tsv, line 1, column label: expected 0, 1, -1 or +1, got \"7\""],
        ),
        ("wrong", b"1 5:1\n".to_vec(), criteo(), &["wrong, line 1", "expected 40 columns", "got 1"]),
        ("wrong", criteo_row("1").into(), libsvm(), &["wrong, line 1: expected id:value"]),
        ("head.csv", b"a,b,y\n1,2\n".to_vec(), csv(), &["head.csv, line 2: expected 3 columns, got 2"]),
        ("y.csv", b"a,b\n1,2\n".to_vec(), csv(), &["y.csv: expected a column \"y\", got columns a, b"]),
        (
            "twice.csv",
            b"a,a,y\n1,2,1\n".to_vec(),
            csv(),
            &["expected columns with different names, got two columns \"a\""],
        ),
        (
            "nan.csv",
            b"a,y\n1.5,1\nnan,0\n".to_vec(),
            csv(),
            &["nan.csv, line 3, column a: expected a finite number", "got \"nan\""],
        ),
        (
            "three.csv",
            b"a,y\n1,x\n1,z\n1,w\n".to_vec(),
            csv(),
            &["three.csv, line 4, column label: expected \"x\" or \"z\"", "\"w\""],
        ),
        ("two.csv", b"a,y\n1,1\n1,2\n".to_vec(), csv(), &["line 3, column y: expected 0, 1, -1 or +1, got \"2\""]),
        (
            "one.csv",
            b"a,y\n1,yes\n1,yes\n".to_vec(),
            csv(),
            &["labels: expected two different labels, got only \"yes\""],
        ),
        (
            "nolabel.csv",
            b"a,y\n1,yes\n1,\n2,no\n".to_vec(),
            csv(),
            &["line 3, column y: expected a label, got nothing"],
        ),
        (
            "text.csv",
            [&b"a,y\n"[..], &b"1,0\n".repeat(10_000), b"abc,1\n"].concat(),
            csv(),
            &["line 10002, column a: expected an integer", "\"abc\""],
        ),
        ("multi.csv", b"a,y\n\"x\ny\",1\n1,2,3\n".to_vec(), csv(), &["multi.csv, line 4: expected 2 columns, got 3"]),
        (
            "value.vw",
            b"1 |a x:2\n0 |a x:two\n".to_vec(),
            uncached(),
            &["value.vw, line 2, column a^x: expected a finite number, got \"two\""],
        ),
        ("label.vw", b"7 |a x\n".to_vec(), vw(), &["line 1, column label: expected 0, 1, -1 or +1, got \"7\""]),
        ("base.vw", b"1 1 0.5 |a x\n".to_vec(), vw(), &["column base: expected 0, as a base margin is not supported"]),
        ("bar.vw", b"1 |a x\n\n1 a\n".to_vec(), vw(), &["bar.vw, line 3: expected | before the features, got \"1 a\""]),
        ("bytes.vw", vec![0xff; 200], vw(), &["bytes.vw, line 1: expected | before the features"]),
        (
            "hash",
            b"1 3:1\n".to_vec(),
            ReadOptions { hash: HashKind::Vw, ..libsvm() },
            &["option hash: expected handcar for all formats but vw, got vw for libsvm"],
        ),
        ("header.csv", b"a,y\n".to_vec(), csv(), &["header.csv: expected at least one row, got none"]),
    ];
    for (name, content, options, parts) in cases {
        let error = read_text(name, &content, &options).expect_err(name).to_string();
        for part in parts {
            assert!(error.contains(part), "{name}: {error:?} lacks {part:?}");
        }
    }
    for (pattern, part) in [("/no/such/file", "matches one, got /no/such/file"), ("/no/such/*.gz", "got /no/such/*.gz")]
    {
        assert!(read(&[pattern.into()], &uncached()).unwrap_err().to_string().contains(part));
    }
    let hopeless = ReadOptions { positive: Some("maybe".into()), ..csv() };
    let error = read_text("p.csv", "a,y\n1,yes\n2,no\n", &hopeless).unwrap_err().to_string();
    assert!(error.contains("expected at least one row labelled \"maybe\""), "{error}");
}

#[test]
fn lines_are_counted_across_chunks_and_files() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.svm", "1 3:1\n".repeat(1_000_000));
    write(dir.path(), "b.svm", "0 3:1\n".repeat(700_000) + "0 3:x\n");
    let pattern = dir.path().join("*.svm").display().to_string();
    for threads in [1, 2] {
        match read(std::slice::from_ref(&pattern), &ReadOptions { threads, ..uncached() }) {
            Err(DataError::Row { file, line: 700_001, .. }) => assert!(file.ends_with("b.svm")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn skipped_rows_are_counted_and_explained() {
    let options = ReadOptions { on_bad_row: OnBadRow::Skip, ..uncached() };
    let text = "1 3:1\n5 3:1\n0 4:nan\n0 9:1\n1 2:1 1:1\n";
    let d = read_text("x.svm", text, &options).unwrap();
    let r = d.report();
    assert_eq!((d.rows(), r.skipped, r.positives), (2, 3, 1));
    assert_eq!(d.keys(), [3, 9], "keys of skipped rows must not remain");
    assert!(r.reasons[1].contains("line 3, column id 4: expected a finite number"), "{:?}", r.reasons);
    let many = read_text("y.svm", "0 1:1\n".to_string() + &"9 1:1\n".repeat(100), &options).unwrap();
    assert_eq!((many.report().skipped, many.report().reasons.len()), (100, 10));
}

#[test]
fn a_column_missing_at_prediction_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let train = write(dir.path(), "train.csv", "a,b,y\n1,x,yes\n2,z,no\n3,x,no\n").display().to_string();
    let schema = read(&[train], &csv()).unwrap().schema().clone();
    let lacking = write(dir.path(), "new.csv", "b,c\nx,1\n").display().to_string();
    let error = batches(&[lacking], &schema, &uncached(), 10).err().unwrap();
    assert!(error.to_string().contains("new.csv: expected a column \"a\", got columns b, c"), "{error}");
    let unlabelled = write(dir.path(), "ok.csv", "c,b,a\n9,x,1\n").display().to_string();
    let batch = batches(&[unlabelled], &schema, &uncached(), 10).unwrap().next().unwrap().unwrap();
    assert_eq!((batch.labels, batch.offsets), (None, vec![0, 2]));
}

#[test]
fn nothing_of_a_skipped_row_remains_in_the_next() {
    let options = ReadOptions { raw: vec!["a".into(), "b".into()], on_bad_row: OnBadRow::Skip, ..csv() };
    let d = read_text("x.csv", "a,b,y\n7,1,0\n5,nan,1\n,2,1\n", &options).unwrap();
    // A missing number is a category, whose value is 1.
    assert_eq!((d.rows(), d.csr().row(1).1), (2, Some(&[1.0, 2.0][..])));
}
