//! Field selection, crosses, and a share of the negative rows, from the command line.

mod common;
use common::Place;
use serde_json::Value;

/// Labels that neither colour nor size tells alone, but for one row in 16.
fn puzzle(row: impl Fn(bool, &str, &str) -> String) -> String {
    let one = |i: u32| {
        let (red, large) = (i & 1 == 1, i & 2 == 2);
        let label = (red != large) != (i % 16 == 5);
        row(label, if red { "red" } else { "blue" }, if large { "large" } else { "small" })
    };
    (0..1600).map(one).collect()
}

fn auc(place: &Place, model: &str, input: &str) -> f64 {
    place.ok(&format!("eval {input} -m {model} --report eval.json"));
    let report: Value = serde_json::from_slice(&place.read("eval.json")).unwrap();
    report["metrics"]["auc"].as_f64().unwrap()
}

#[test]
fn crosses_are_learnt_named_and_applied_at_prediction() {
    let place = Place::new();
    let csv = puzzle(|y, a, b| format!("{},{a},{b},7\n", y as u8));
    place.write("rows.csv", format!("y,colour,size,page\n{csv}"));
    place.write("rows.vw", puzzle(|y, a, b| format!("{} |colour {a} |size {b} |page 7\n", y as u8)));
    for (input, name) in [("rows.csv", "colour*size=red*small"), ("rows.vw", "colour*size^red*small")] {
        for solver in ["dbpg", "ftrl"] {
            place.ok(&format!("fit {input} -m plain --l1 1 --solver {solver}"));
            place.ok(&format!("fit {input} -m crossed --l1 1 --solver {solver} --cross colour*size --text names"));
            let (plain, crossed) = (auc(&place, "plain", input), auc(&place, "crossed", input));
            assert!(plain < 0.6 && crossed > 0.9, "{input} {solver}: {plain} {crossed}");
            assert!(place.text("names").contains(&format!("{name}\t")), "{}", place.text("names"));
        }
        let shown = place.ok("inspect crossed").out;
        assert!(shown.contains("cross    colour*size") && shown.contains("colour*size"), "{shown}");
        place.ok(&format!("predict {input} -m crossed -o one --threads 1"));
        place.ok(&format!("predict {input} -m crossed -o two --threads 2"));
        assert_eq!(place.read("one"), place.read("two"));
        place.ok(&format!("fit {input} -m kept --keep colour,page --text names --solver ftrl --l1 0"));
        assert!(!place.text("names").contains("size") && place.text("names").contains("colour"));
        place.ok(&format!("fit {input} -m dropped --drop size --text others --solver ftrl --l1 0"));
        assert_eq!(place.text("names"), place.text("others"));
    }
    // A cross is in the cache under its own name: without it the old entry is taken.
    assert!(place.ok("fit rows.csv -m plain").err.contains("from the cache"));
}

#[test]
fn criteo_fields_are_chosen_and_crossed_by_their_names() {
    let place = Place::new();
    place.ok("synth criteo --rows 4000 --seed 2 -o clicks.tsv");
    let fit =
        "fit clicks.tsv --format criteo --solver ftrl --keep I1,C3,C4 --cross C3*C4 --cross I1*C3*C4 --text names";
    place.ok(&format!("{fit} -m model"));
    let names = place.text("names");
    let known = ["I1=", "C3=", "C4=", "C3*C4=", "I1*C3*C4=", "(intercept)"];
    assert!(names.lines().all(|l| known.iter().any(|k| l.starts_with(k))), "{names}");
    assert!(known[..5].iter().all(|k| names.contains(k)), "{names}");
    place.ok("predict clicks.tsv -m model -o scores");
    assert_eq!(place.text("scores").lines().count(), 4000);
}

#[test]
fn a_share_of_the_negatives_gives_probabilities_of_all_rows() {
    let place = Place::new();
    place.ok("synth criteo --rows 40000 --seed 3 -o clicks.tsv");
    place.ok("synth criteo --rows 10000 --seed 4 -o new.tsv");
    let fit = "fit clicks.tsv --format criteo --keep C1,C6,C9,I1,I2 --l1 4";
    place.ok(&format!("{fit} -m all --report all.json"));
    let ran = place.ok(&format!("{fit} -m some --negatives 0.3 --seed 1 --valid new.tsv --report some.json"));
    assert!(ran.err.contains("note: negatives: kept ") && ran.out.contains("(10,000 rows)"), "{}{}", ran.err, ran.out);
    let read = |name: &str| serde_json::from_slice::<Value>(&place.read(name)).unwrap();
    let (all, some) = (read("all.json"), read("some.json"));
    assert!(some["rows"].as_f64().unwrap() < 0.6 * all["rows"].as_f64().unwrap());
    let (a, b) = (all["objective"].as_f64().unwrap(), some["objective"].as_f64().unwrap());
    assert!((a / b - 1.0).abs() < 0.02, "{a} {b}");
    let mean = |model: &str| {
        place.ok(&format!("predict new.tsv -m {model} -o scores"));
        place.text("scores").lines().map(|l| l.parse::<f64>().unwrap()).sum::<f64>() / 10_000.0
    };
    let (a, b) = (mean("all"), mean("some"));
    assert!((a / b - 1.0).abs() < 0.03, "{a} {b}");
    // Data to evaluate on is never a share.
    assert!(place.ok("eval new.tsv -m some").out.contains("(10,000 rows)"));
}

#[test]
fn processes_agree_on_crosses_sampling_and_numbers() {
    let place = Place::new();
    let csv = puzzle(|y, a, b| format!("{},{a},{b}\n", y as u8));
    place.write("rows.csv", format!("y,colour,size\n{csv}"));
    for options in [
        "--cross colour*size --negatives 0.4 --seed 3 --solver ftrl",
        "--cross colour*size --solver sgd --loss poisson",
    ] {
        let fit = format!("fit rows.csv {options} --l1 0.5 --batch 64");
        place.ok(&format!("{fit} -m one"));
        place.ok(&format!("launch local --servers 2 --workers 2 -- {fit} -m many"));
        assert_eq!(place.read("one"), place.read("many"), "{options}");
    }
}

#[test]
fn what_cannot_be_chosen_is_told_with_what_can() {
    let place = Place::new();
    place.small_data("data");
    place.write("rows.csv", "y,a,b\n1,x,1\n0,z,2\n");
    place.write("text.csv", "y,a\nyes,1\nno,2\n");
    for (args, words) in [
        ("rows.csv --keep a,c", ["option keep: expected fields among a, b", "got \"c\""]),
        ("rows.csv --drop y", ["option drop: expected fields among a, b", "got \"y\""]),
        ("rows.csv --cross a", ["option cross: expected two or three different fields", "got \"a\""]),
        ("rows.csv --cross a*d", ["option cross: expected fields among a, b", "got \"d\""]),
        ("data --format libsvm --cross a*b", ["option cross: expected data with fields", "got libsvm"]),
        ("rows.csv --negatives 0.5 --holdout 0.2", ["--negatives: expected --valid FILE", "got --holdout"]),
        ("text.csv --negatives 0.5", ["option negatives: expected labels of which it is known", "choose the positive"]),
        ("rows.csv --negatives 0.5 --loss squared --solver ftrl", ["option negatives", "got real labels"]),
    ] {
        place.refused(&format!("fit {args} -m model"), &words);
    }
    for (args, word) in [
        ("--negatives 0", "expected a number above 0 and at most 1"),
        ("--negatives 2", "expected a number above 0 and at most 1"),
        ("--keep a --drop b", "cannot be used with"),
    ] {
        let ran = place.run(&format!("fit rows.csv -m model {args}"));
        assert!(ran.code == Some(2) && ran.err.contains(word), "{}", ran.err);
    }
}

#[test]
fn weights_that_begin_late_in_a_file_count_from_there() {
    let place = Place::new();
    let row = |i: u32| format!("{} {}|a x{}\n", i % 2, if i > 40_000 { "3 " } else { "" }, i % 3 * (i % 2));
    place.write("rows.vw", (0..50_000).map(row).collect::<String>());
    place.ok("fit rows.vw -m model --solver ftrl");
    place.ok("eval rows.vw -m model --report eval.json");
    let report: Value = serde_json::from_slice(&place.read("eval.json")).unwrap();
    let (loss, mean) = (report["loss"].as_f64().unwrap(), report["metrics"]["logloss"].as_f64().unwrap());
    assert!((loss / mean - (40_001.0 + 3.0 * 9_999.0)).abs() < 1e-3, "{}", loss / mean);
}

#[test]
fn a_group_lasso_drops_whole_fields_and_tells_which() {
    let place = Place::new();
    // The label goes by colour and size together; pages and days are of no use.
    let row = |i: u64| {
        let r = |n: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) / n;
        let (colour, size, page, day) = (r(1) % 5, r(5) % 3, r(15) % 40, r(600) % 7);
        (((colour + size + r(4200) % 3) % 5 < 2) as u8, format!("c{colour}"), format!("s{size}"), page, day)
    };
    let rows: Vec<_> = (1..=3000).map(row).collect();
    let csv = rows.iter().map(|(y, c, s, p, d)| format!("{y},{c},{s},p{p},d{d}\n")).collect::<String>();
    place.write("rows.csv", format!("y,colour,size,page,day\n{csv}"));
    let line = |(y, c, s, p, d): &(u8, String, String, u64, u64)| {
        format!("{} |colour {c} |size {s} |page p{p} |day d{d}\n", 2 * *y as i8 - 1)
    };
    place.write("rows.vw", rows.iter().map(line).collect::<String>());
    for (input, dropped) in [("rows.csv", "; dropped: size, page, day\n"), ("rows.vw", "have weights\n")] {
        let fit = format!("fit {input} --l1 0 --cross colour*size --group-lasso");
        let ran = place.ok(&format!("{fit} 9 -m grouped --report fit.json --text names"));
        let told = format!("2 of 5 have weights{}", dropped.trim_start_matches("have weights"));
        assert!(ran.out.contains(&told), "{}", ran.out);
        let report: Value = serde_json::from_slice(&place.read("fit.json")).unwrap();
        assert_eq!((&report["fields"]["all"], &report["fields"]["kept"]), (&Value::from(5), &Value::from(2)));
        assert_eq!(report["converged"], true);
        let names = place.text("names");
        assert!(!names.contains("page") && !names.contains("day") && names.contains("colour"), "{names}");
        let shown = place.ok("inspect grouped").out;
        assert!(shown.contains(&told) && shown.contains("l1 0  l2 0  group-lasso 9  "), "{shown}");
        // A weight of zero is none at all.
        place.ok(&format!("{fit} 0 -m zero"));
        place.ok(&format!("fit {input} --l1 0 --cross colour*size -m plain"));
        assert_eq!(place.read("zero"), place.read("plain"));
    }
}
