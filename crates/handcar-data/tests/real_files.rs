//! Real files have the rows, entries and positives that their description states.

mod common;

use common::{adult, beside, content, uncached};
use handcar_data::{Entries, Format, OnBadRow, ReadOptions, read};

#[test]
fn files_have_the_stated_rows_entries_and_positives() {
    // name, rows, entries, positives, keys
    let cases = [
        ("a9a/a9a.gz", 32_561, 451_592, 7_841, Some(123)),
        ("a9a/a9a.t.gz", 16_281, 225_731, 3_846, Some(122)),
        ("criteo/day1.libsvm.gz", 20_000, 667_388, 4_486, Some(81_511)),
        ("criteo/day2.libsvm.gz", 20_000, 669_301, 4_464, Some(83_506)),
        ("criteo/day?.libsvm.gz", 40_000, 1_336_689, 8_950, Some(130_383)),
        ("criteo/wideresdnn_train.tsv.gz", 7_200, 7_200 * 39, 1_549, None),
    ];
    for (name, rows, entries, positives, keys) in cases {
        let (folder, pattern) = name.split_once('/').unwrap();
        let Some(some) = beside(&name.replace('?', "1")) else { continue };
        let path = std::path::Path::new(&some).with_file_name(pattern).display().to_string();
        assert!(path.contains(folder));
        let d = read(&[path], &uncached()).unwrap();
        assert_eq!((d.rows(), d.nonzeros(), d.report().positives), (rows, entries, positives), "{name}");
        assert!(keys.is_none_or(|k| k == d.keys().len()), "{name}: {}", d.keys().len());
        assert!(d.csr().values.is_none(), "{name}");
        assert!(d.keys().is_sorted_by(|a, b| a < b));
    }
}

#[test]
fn criteo_rows_become_one_dense_block_a_field_with_names() {
    let Some(path) = beside("criteo/wideresdnn_train.tsv.gz") else { return };
    let d = read(&[path], &uncached()).unwrap();
    assert_eq!((d.schema().format, d.blocks().len()), (Format::Criteo, 39));
    for (b, f) in d.blocks().iter().zip(&d.schema().fields) {
        assert_eq!((b.field, b.max_row_nonzeros), (f.id, 1));
        assert!(!matches!(b.entries, Entries::Sparse { .. }));
    }
    let names: Vec<String> = (0..d.keys().len()).map(|i| d.name_of(i)).collect();
    for expected in ["I1=(missing)", "I2=-1", "C1=68fd1e64", "C9=a73ee510"] {
        assert!(names.iter().any(|n| n == expected), "{expected}");
    }
}

#[test]
fn adult_is_read_with_nothing_but_its_label() {
    let options = ReadOptions { label: Some("income".into()), ..uncached() };
    let d = read(&[adult()], &options).unwrap();
    assert_eq!((d.rows(), d.nonzeros(), d.report().positives), (48_842, 48_842 * 14, 11_687));
    assert_eq!(d.schema().label.positive.as_deref(), Some(">50K"));
    assert!(d.report().notes[0].contains("\">50K\" (23.9% of rows, the rarer) as positive"), "{:?}", d.report().notes);
    let names: Vec<String> = (0..d.keys().len()).map(|i| d.name_of(i)).collect();
    for expected in ["workclass=(missing)", "occupation=Exec-managerial"] {
        assert!(names.iter().any(|n| n == expected), "{expected} {names:?}");
    }
    let other = ReadOptions { positive: Some("<=50K".into()), ..options };
    assert_eq!(read(&[adult()], &other).unwrap().report().positives, 48_842 - 11_687);
}

#[test]
fn any_number_of_threads_gives_equal_data() {
    let mut inputs = vec![(adult(), Some("income".to_string()))];
    inputs.extend(beside("criteo/day1.libsvm.gz").map(|p| (p, None)));
    inputs.extend(beside("criteo/wideresdnn_train.tsv.gz").map(|p| (p, None)));
    for (path, label) in inputs {
        let with = |threads| ReadOptions { threads, label: label.clone(), on_bad_row: OnBadRow::Skip, ..uncached() };
        let one = content(&read(std::slice::from_ref(&path), &with(1)).unwrap());
        for threads in [2, 3] {
            assert_eq!(one, content(&read(std::slice::from_ref(&path), &with(threads)).unwrap()), "{path}");
        }
    }
}
