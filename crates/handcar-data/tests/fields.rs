//! Which fields are features, crosses of them, and a share of the negative rows.

mod common;

use common::{content, read_text, uncached, write};
use handcar_base::key;
use handcar_data::{CachePolicy, Dataset, Format, HashKind, LabelKind, Negatives, ReadOptions};
use handcar_data::{batches, read, read_with_schema};
use std::collections::BTreeMap;

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| n.to_string()).collect()
}

fn crossing(crosses: &[&str]) -> ReadOptions {
    ReadOptions { cross: texts(crosses), ..uncached() }
}

/// A row as its features by name.
fn row(d: &Dataset, r: usize) -> BTreeMap<String, f32> {
    let (ids, values) = d.csr().row(r);
    ids.iter().enumerate().map(|(j, &id)| (d.name_of(id as usize), values.map_or(1.0, |v| v[j]))).collect()
}

fn features(pairs: &[(&str, f32)]) -> BTreeMap<String, f32> {
    pairs.iter().map(|(n, v)| (n.to_string(), *v)).collect()
}

fn criteo_text(rows: usize) -> String {
    let row = |i: usize| {
        let cells: Vec<String> = (0..39)
            .map(|f| match (f, i % 7) {
                (2, 3) | (15, 5) => String::new(),
                _ if f < 13 => format!("{}", i % (f + 2)),
                _ => format!("{:08x}", i % (f - 8) * 77 + f),
            })
            .collect();
        format!("{}\t{}\n", i.is_multiple_of(5) as u8, cells.join("\t"))
    };
    (0..rows).map(row).collect()
}

#[test]
fn crossed_columns_hash_the_keys_of_their_parts_and_multiply_their_values() {
    let text = "y,colour,size,price\n1,red,1,2.5\n0,blue,1,0\n0,\"a \"\"b\"\"\",,-1\n1,red,1,3\n";
    let options = ReadOptions { raw: texts(&["price"]), ..crossing(&["colour*size", "price*colour"]) };
    for bits in [64, 10] {
        let options = ReadOptions { bits, ..options.clone() };
        let d = read_text("x.csv", text, &options).unwrap();
        let schema = d.schema();
        assert_eq!(
            schema.crosses.iter().map(|c| (c.id, c.name())).collect::<Vec<_>>(),
            [(4, "colour*size".to_string()), (5, "price*colour".to_string())]
        );
        for r in 0..4 {
            let (ids, values) = d.csr().row(r);
            let entry = |field| {
                let j = ids.iter().position(|&id| key::field_of(d.keys()[id as usize]) == field)?;
                Some((d.keys()[ids[j] as usize], values.map_or(1.0, |v| v[j])))
            };
            for cross in &schema.crosses {
                let of = |name: &String| entry(schema.fields.iter().find(|f| f.name == *name).unwrap().id);
                let parts: Option<Vec<(u64, f32)>> = cross.of.iter().map(of).collect();
                let want = parts.map(|parts| {
                    let keys: Vec<u64> = parts.iter().map(|p| p.0).collect();
                    (key::of_keys(cross.id, &keys, 0, bits), parts.iter().map(|p| p.1).product::<f32>())
                });
                assert_eq!(entry(cross.id), want, "row {r}, {}, {bits} bits", cross.name());
            }
        }
        if bits == 64 {
            let want = [("colour=red", 1.0), ("size=1", 1.0), ("price", 2.5), ("colour*size=red*1", 1.0)];
            let mut want = features(&want);
            want.insert("price*colour=red".into(), 2.5);
            assert_eq!(row(&d, 0), want);
            // A raw number that is zero is not there, nor are its crosses; what is missing is a value.
            assert!(!row(&d, 1).keys().any(|n| n.starts_with("price")));
            assert!(row(&d, 2).contains_key("colour*size=a \"b\"*(missing)"), "{:?}", row(&d, 2));
        }
    }
}

#[test]
fn streams_caches_and_other_thread_counts_give_the_same_crosses() {
    let dir = tempfile::tempdir().unwrap();
    let vw: String = (0..3000).map(|i| format!("{} |a x{} y |b z{}:2 |c w\n", i % 2, i % 17, i % 5)).collect();
    let csv = "y,a,b,c\n".to_string()
        + &(0..3000).map(|i| format!("{},v{},{},{}\n", i % 2, i % 13, i % 7, i % 3)).collect::<String>();
    for (name, text, crosses) in [
        ("x.tsv", criteo_text(3000), ["I1*C2", "C1*C3*I5"]),
        ("x.csv", csv, ["a*b", "a*b*c"]),
        ("x.vw", vw, ["a*b", "c*b*a"]),
    ] {
        let path = write(dir.path(), name, text).display().to_string();
        let options = ReadOptions { cache: CachePolicy::at(dir.path().join("cache")), ..crossing(&crosses) };
        let plain = read(std::slice::from_ref(&path), &ReadOptions { cross: Vec::new(), ..options.clone() }).unwrap();
        let first = read(std::slice::from_ref(&path), &options).unwrap();
        assert!(!first.report().from_cache && first.keys().len() > plain.keys().len(), "{name}");
        let cached = read(std::slice::from_ref(&path), &options).unwrap();
        let one = read(std::slice::from_ref(&path), &ReadOptions { threads: 1, ..crossing(&crosses) }).unwrap();
        assert!(cached.report().from_cache, "{name}");
        for other in [&cached, &one] {
            assert_eq!(content(&first), content(other), "{name}");
        }
        let again = read_with_schema(std::slice::from_ref(&path), first.schema(), &uncached()).unwrap();
        assert_eq!((again.keys(), again.csr().ids), (first.keys(), first.csr().ids), "{name}");
        let mut at = 0;
        for batch in batches(&[path], first.schema(), &uncached(), 1000).unwrap() {
            let batch = batch.unwrap();
            for r in 0..batch.rows() {
                let (ids, values) = batch.csr().row(r);
                let keys: Vec<u64> = ids.iter().map(|&id| batch.keys[id as usize]).collect();
                let (want, want_values) = first.csr().row(at);
                assert_eq!(keys, want.iter().map(|&id| first.keys()[id as usize]).collect::<Vec<_>>(), "{name}");
                assert_eq!(values, want_values, "{name}");
                at += 1;
            }
        }
        assert_eq!(at, 3000);
    }
}

#[test]
fn columns_that_are_kept_or_dropped_keep_their_keys() {
    let all = read_text("x.tsv", criteo_text(200), &uncached()).unwrap();
    let keep = ReadOptions { keep: texts(&["C3", "I2"]), ..uncached() };
    let kept = read_text("x.tsv", criteo_text(200), &keep).unwrap();
    let names: Vec<_> = kept.schema().fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["I2", "C3"]);
    let of = |d: &Dataset, names: &dyn Fn(&str) -> bool| {
        let named: BTreeMap<u64, String> = (0..d.keys().len()).map(|i| (d.keys()[i], d.name_of(i))).collect();
        named.into_iter().filter(|(_, n)| names(n.split('=').next().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(of(&kept, &|_| true), of(&all, &|n| n == "C3" || n == "I2"));

    let text = "a,y,b,c\n1,1,x,2\n2,0,y,3\n";
    let all = read_text("x.csv", text, &uncached()).unwrap();
    let dropped = read_text("x.csv", text, &ReadOptions { drop: texts(&["a"]), ..crossing(&["c*b"]) }).unwrap();
    assert_eq!(of(&dropped, &|n| n != "c*b"), of(&all, &|n| n != "a"));
    assert!(row(&dropped, 0).contains_key("c*b=2*x"), "{:?}", row(&dropped, 0));
}

#[test]
fn namespaces_are_kept_dropped_and_crossed_by_name() {
    let text = "1 |user u1 u2:2 |page p |ad x:0.5\n0 |page p:3 q |user u1\n0 |ad y | anon\n";
    let options = |o: ReadOptions| ReadOptions { format: Some(Format::Vw), ..o };
    let d = read_text("x", text, &options(ReadOptions { keep: texts(&["user", "page"]), ..crossing(&["user*page"]) }));
    let d = d.unwrap();
    let want = [
        &[("user^u1", 1.0), ("user^u2", 2.0), ("page^p", 1.0), ("user*page^u1*p", 1.0), ("user*page^u2*p", 2.0)][..],
        &[("page^p", 3.0), ("page^q", 1.0), ("user^u1", 1.0), ("user*page^u1*p", 3.0), ("user*page^u1*q", 1.0)],
        &[],
    ];
    for (r, want) in want.iter().enumerate() {
        assert_eq!(row(&d, r), features(want), "row {r}");
    }
    let d = read_text("x", text, &options(ReadOptions { drop: texts(&["user"]), ..crossing(&["ad*page"]) })).unwrap();
    let want = [("page^p", 1.0), ("ad^x", 0.5), ("ad*page^x*p", 0.5)];
    assert_eq!((row(&d, 0), row(&d, 2)), (features(&want), features(&[("ad^y", 1.0), ("anon", 1.0)])));
    // Folded to so few bits that keys collide, values of one key add up.
    for (hash, bits) in [(HashKind::Handcar, 2), (HashKind::Vw, 2)] {
        let o = options(ReadOptions { hash, bits, ..crossing(&["user*page", "user*ad", "page*ad*user"]) });
        let d = read_text("x", text, &o).unwrap();
        let sum = |r: usize| row_values(&d, r).iter().sum::<f32>();
        assert_eq!((sum(0), sum(1)), (4.5 + 3.0 + 1.5 + 1.5, 5.0 + 4.0), "{hash:?}");
    }
}

fn row_values(d: &Dataset, r: usize) -> Vec<f32> {
    let (ids, values) = d.csr().row(r);
    (0..ids.len()).map(|j| values.map_or(1.0, |v| v[j])).collect()
}

#[test]
fn crosses_have_vowpal_wabbit_s_indices_if_its_hashing_is_asked_for() {
    let options = ReadOptions { hash: HashKind::Vw, ..crossing(&["a*b", "a*b*c"]) };
    let d = read_text("x.vw", "1 |a x |b y:2 |c z\n0 |a x\n", &options).unwrap();
    let index = |name: &str| (0..d.keys().len()).find(|&i| d.name_of(i) == name).map(|i| d.keys()[i]);
    // As `vw --interactions ab --interactions abc --noconstant --invert_hash` of version 9.11.9 tells them.
    assert_eq!(index("a*b^x*y"), Some(167_114), "{:?}", d.keys());
    assert_eq!(index("a*b*c^x*y*z"), Some(6598), "{:?}", d.keys());
}

#[test]
fn fields_that_are_not_there_are_told_with_those_that_are() {
    let vw = "1 |a x |b y\n0 |a z\n".to_string();
    let csv = "a,y,b\n1,1,x\n2,0,z\n".to_string();
    let keep = |names: &[&str]| ReadOptions { keep: texts(names), ..uncached() };
    let drop = |names: &[&str]| ReadOptions { drop: texts(names), ..uncached() };
    for (name, text, options, told) in [
        ("x.csv", &csv, keep(&["a", "c"]), "option keep: expected fields among a, b, got \"c\""),
        ("x.csv", &csv, drop(&["y"]), "option drop: expected fields among a, b, got \"y\""),
        ("x.csv", &csv, drop(&["a", "b"]), "option drop: expected at least one field to be left, got a, b"),
        ("x.csv", &csv, crossing(&["a*c"]), "option cross: expected fields among a, b, got \"c\""),
        ("x.csv", &csv, crossing(&["a"]), "option cross: expected two or three different fields"),
        ("x.csv", &csv, crossing(&["a*b", "b*a"]), "option cross: expected different crosses, got a*b and b*a"),
        (
            "x.csv",
            &csv,
            ReadOptions { drop: texts(&["a"]), ..crossing(&["a*b"]) },
            "option cross: expected fields that are not left out in a*b, got \"a\"",
        ),
        ("x.csv", &csv, ReadOptions { keep: texts(&["a"]), ..drop(&["b"]) }, "option drop: expected none beside keep"),
        ("x.vw", &vw, keep(&["a", "c"]), "option keep: expected namespaces among a, b, got \"c\""),
        ("x.vw", &vw, crossing(&["a*user"]), "option cross: expected namespaces among a, b, got \"user\""),
        ("x.tsv", &criteo_text(3), keep(&["I0"]), "option keep: expected fields among I1, I2, I3"),
        ("x.svm", &"1 3:1\n0 4:1\n".into(), crossing(&["a*b"]), "option cross: expected data with fields"),
        ("x.svm", &"1 3:1\n0 4:1\n".into(), drop(&["a"]), "option drop: expected data with fields"),
    ] {
        let error = read_text(name, text, &options).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let long: String = (0..300).map(|i| format!("f{i} ")).collect();
    let error = read_text("x.vw", format!("1 |a {long}|b {long}\n0 |a x\n"), &crossing(&["a*b"])).unwrap_err();
    assert!(error.to_string().contains("line 1, column a*b: expected at most 65536 crossed features a row, got"));
    let raw = ReadOptions { raw: texts(&["a", "b"]), ..crossing(&["a*b"]) };
    let error = read_text("x.csv", "y,a,b\n1,1,2\n0,1e30,1e30\n", &raw).unwrap_err().to_string();
    assert!(error.contains("x.csv, line 3, column a*b: expected a finite product of values, got \"inf\""), "{error}");
    let error = read_text("x.vw", "1 |a x:1e30 |b y:1e30\n", &crossing(&["a*b"])).unwrap_err().to_string();
    assert!(error.contains("line 1, column a*b^x*y: expected a finite product of values, got \"inf\""), "{error}");
}

#[test]
fn a_share_of_the_negatives_stands_for_all_of_them() {
    let negatives = Some(Negatives { rate: 0.25, seed: 3 });
    let vw: String = (0..8000).map(|i| format!("{} 2 |a x{} i{i}\n", (i % 4 == 0) as u8, i % 17)).collect();
    let svm: String = (0..8000).map(|i| format!("{} {}:1 {}:0.5\n", (i % 4 == 0) as u8, 1 + i % 17, 100 + i)).collect();
    let csv =
        "w,y,a\n".to_string() + &(0..8000).map(|i| format!("2,{},v{i}\n", (i % 4 == 0) as u8)).collect::<String>();
    let dir = tempfile::tempdir().unwrap();
    for (name, text, own) in
        [("x.vw", vw, 2.0), ("x.svm", svm, 1.0), ("x.csv", csv, 2.0), ("x.tsv", criteo_text(8000), 1.0)]
    {
        let path = [write(dir.path(), name, text).display().to_string()];
        let weight = (name == "x.csv").then(|| "w".to_string());
        let plain = ReadOptions { weight, format: (name == "x.vw").then_some(Format::Vw), ..uncached() };
        let options = ReadOptions { negatives, ..plain.clone() };
        let (all, d) = (read(&path, &plain).unwrap(), read(&path, &options).unwrap());
        assert_eq!(d.report().positives, all.report().positives, "{name}");
        let (kept, of) =
            ((d.rows() as u64 - d.report().positives) as f64, (all.rows() as u64 - all.report().positives) as f64);
        assert!((kept - of / 4.0).abs() < 5.0 * (of * 0.1875).sqrt(), "{name}: {kept} of {of}");
        for (y, w) in d.labels().iter().zip(d.weights().unwrap()) {
            assert_eq!(*w, if *y > 0.0 { own } else { 4.0 * own }, "{name}");
        }
        assert!(d.report().notes.iter().any(|n| n.contains(&format!("kept {kept} of {of}, each with 4 times"))));
        // The rows that are left are rows of the data, with the names and keys of these rows alone.
        let rows_of = |d: &Dataset| (0..d.rows()).map(|r| (d.labels()[r] > 0.0, row(d, r))).collect::<Vec<_>>();
        let (some, every) = (rows_of(&d), rows_of(&all));
        let mut rest = every.iter();
        assert!(some.iter().all(|r| rest.any(|e| e == r)), "{name}");
        let used: std::collections::BTreeSet<u32> = d.csr().ids.iter().copied().collect();
        assert_eq!(used.len(), d.keys().len(), "{name}");
        // Neither threads nor cuts change which; the seed does; data to evaluate on has every row.
        let same = read(&path, &ReadOptions { threads: 1, ..options.clone() }).unwrap();
        assert_eq!(content(&d), content(&same), "{name}");
        let seed = Some(Negatives { rate: 0.25, seed: 4 });
        assert_ne!(read(&path, &ReadOptions { negatives: seed, ..plain.clone() }).unwrap().rows(), 0);
        assert_eq!(read_with_schema(&path, d.schema(), &options).unwrap().rows(), 8000);
        let scored: usize = batches(&path, d.schema(), &options, 999).unwrap().map(|b| b.unwrap().rows()).sum();
        assert_eq!(scored, 8000);
    }
}

#[test]
fn negatives_must_be_known_as_such() {
    let share = |rate| ReadOptions { negatives: Some(Negatives { rate, seed: 0 }), ..uncached() };
    let text = "y,a\nyes,1\nno,2\n";
    let error = read_text("x.csv", text, &share(0.5)).unwrap_err().to_string();
    assert!(error.contains("option negatives: expected labels of which it is known"), "{error}");
    let options = ReadOptions { positive: Some("yes".into()), ..share(1.0) };
    assert_eq!(read_text("x.csv", text, &options).unwrap().rows(), 2);
    let error = read_text("x.svm", "1 2:1\n", &ReadOptions { labels: LabelKind::Real, ..share(0.5) }).unwrap_err();
    assert!(error.to_string().contains("got real labels"), "{error}");
    assert!(read_text("x.svm", "1 2:1\n", &share(0.0)).unwrap_err().to_string().contains("expected a share from"));
}
