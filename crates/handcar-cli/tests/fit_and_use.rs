//! The main road: fit, predict, eval, inspect, synth, cache.

mod common;
use common::{Place, adult};

#[test]
fn adult_is_learnt_and_the_strongest_features_are_named() {
    let place = Place::new();
    let adult = adult();
    let data = adult.display();
    let ran =
        place.ok(&format!("fit {data} --label income --holdout 0.2 -m adult.model --report r.json --text adult.txt"));
    let report: serde_json::Value = serde_json::from_slice(&place.read("r.json")).unwrap();
    let auc = report["metrics"]["auc"].as_f64().unwrap();
    assert!(auc >= 0.9, "AUC {auc}\n{}", ran.out);
    for word in ["objective", "gap", "nonzeros", "AUC", "strongest"] {
        assert!(ran.out.contains(word), "expected {word} in\n{}", ran.out);
    }
    assert!(report["kkt"]["gap_bound"].as_f64().unwrap() <= 1e-4);
    assert!(report["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(report["trace"].as_array().unwrap().len() as u64, report["passes"].as_u64().unwrap());
    let text = place.text("adult.txt");
    assert_eq!(text.lines().count() as u64, 1 + report["nnz"].as_u64().unwrap());
    assert!(text.starts_with("(intercept)\t"));

    let shown = place.ok("inspect adult.model").out;
    let strongest = text.lines().nth(1).unwrap().split('\t').next().unwrap();
    assert!(strongest.contains('=') && shown.contains(strongest), "{strongest}\n{shown}");

    let measured = place.ok(&format!("eval {data} -m adult.model --report e.json")).out;
    assert!(measured.contains("AUC") && measured.contains("decile"), "{measured}");
    let e: serde_json::Value = serde_json::from_slice(&place.read("e.json")).unwrap();
    assert_eq!(e["rows"].as_u64(), Some(48_842));
    assert_eq!(e["unseen_values"].as_u64().map(|n| n < 200), Some(true));

    place.ok(&format!("predict {data} -m adult.model -o scores.txt"));
    let scores: Vec<f64> = place.text("scores.txt").lines().map(|l| l.parse().unwrap()).collect();
    assert_eq!(scores.len(), 48_842);
    assert!(scores.iter().all(|p| (0.0..=1.0).contains(p)));
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!((mean - 0.239).abs() < 0.01, "mean prediction {mean}");
}

#[test]
fn equal_runs_write_equal_bytes_for_any_number_of_threads() {
    let place = Place::new();
    place.small_data("data");
    place.ok("fit data --format libsvm -m a --threads 1 --quiet");
    place.ok("fit data --format libsvm -m b --threads 2 --no-cache");
    assert_eq!(place.read("a"), place.read("b"));
}

#[test]
fn results_go_to_stdout_and_progress_to_stderr() {
    let place = Place::new();
    place.small_data("data");
    let ran = place.ok("fit data --format libsvm -m model");
    assert!(ran.out.contains("objective") && !ran.out.contains("pass  "), "{}", ran.out);
    let titles = ran.err.lines().find(|l| l.trim_start().starts_with("pass ")).expect("a line of titles");
    for title in ["objective", "change", "nonzeros", "active", "violation", "gap", "rows/s", "MB sent", "seconds"] {
        assert!(titles.contains(title), "expected {title} in {titles}");
    }
    assert!(!ran.err.contains('\x1b') && !ran.err.contains('\r'), "control letters without a terminal:\n{}", ran.err);
    let quiet = place.ok("fit data --format libsvm -m model --quiet");
    assert_eq!(quiet.err, "");
    assert_eq!(quiet.out, ran.out);
}

#[test]
fn too_few_passes_end_well_with_a_plain_warning() {
    let place = Place::new();
    let adult = adult();
    let ran = place.ok(&format!("fit {} --label income -m model --passes 1 --tol 1e-12", adult.display()));
    assert!(ran.err.contains("warning: stopped at --passes 1 before the tolerance"), "{}", ran.err);
    assert!(ran.out.contains("ABOVE the tolerance"), "{}", ran.out);
}

#[test]
fn standard_input_and_output_are_dashes() {
    let place = Place::new();
    place.small_data("data");
    place.ok("fit data --format libsvm -m model");
    place.ok("predict data -m model -o scores");
    let ran = place.run_with_input("predict - -m model -o -", &place.read("data"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out, place.text("scores"));
}

#[test]
fn values_never_seen_are_counted() {
    let place = Place::new();
    place.small_data("data");
    place.ok("fit data --format libsvm -m model");
    place.write("new", "+1 1:1 900:1\n-1 2:1 901:1 902:1\n-1 2:1\n");
    let ran = place.ok("predict new -m model -o scores --report r.json");
    assert!(ran.err.contains("warning: 3 of 6 values, in 2 rows, were not in the training data"), "{}", ran.err);
    let r: serde_json::Value = serde_json::from_slice(&place.read("r.json")).unwrap();
    assert_eq!(r["unseen_values"].as_u64(), Some(3));
    assert!(place.ok("eval new -m model").out.contains("unseen"));
}

#[test]
fn a_config_file_stands_for_any_option() {
    let place = Place::new();
    place.small_data("data");
    place.write(
        "job.toml",
        "inputs = ['data']\nformat = 'libsvm'\n[fit]\nl1 = 2\nno-intercept = true\nmodel = 'a'\nquiet = true",
    );
    place.ok("fit --config job.toml");
    place.ok("fit data --format libsvm --l1 2 --no-intercept -m b");
    assert_eq!(place.read("a"), place.read("b"));
    place.ok("fit --config job.toml --l1 3 -m c");
    assert_ne!(place.read("a"), place.read("c"));
    assert_eq!(place.ok("predict --config job.toml -m a").out.lines().count(), 400);
}

#[test]
fn a_warm_start_needs_few_passes() {
    let place = Place::new();
    let data = adult();
    let data = data.display();
    place.ok(&format!("fit {data} --label income -m cold --report cold.json"));
    place.ok(&format!("fit {data} --label income -m warm --init cold --report warm.json"));
    let passes = |name| serde_json::from_slice::<serde_json::Value>(&place.read(name)).unwrap()["passes"].as_u64();
    assert!(passes("warm.json") < passes("cold.json"));
}

#[test]
fn synthetic_clicks_can_be_trained_on() {
    let place = Place::new();
    place.ok("synth criteo --rows 5000 --seed 7 -o clicks.tsv");
    place.ok("synth criteo --rows 3000 --seed 7 -o a.tsv --threads 1");
    assert!(place.text("clicks.tsv").starts_with(&place.text("a.tsv")));
    place.ok("synth criteo --rows 2000 --seed 7 --skip 3000 -o b.tsv");
    assert_eq!(place.text("a.tsv") + &place.text("b.tsv"), place.text("clicks.tsv"));
    let ran = place.ok("fit clicks.tsv --format criteo --l1 4 -m model --valid b.tsv");
    assert!(ran.err.contains("AUC"), "{}", ran.err);
    assert!(place.ok("inspect clicks.tsv").out.contains("criteo"));
}

#[test]
fn the_cache_is_listed_and_cleared() {
    let place = Place::new();
    place.small_data("data");
    let first = place.ok("fit data --format libsvm -m model");
    assert!(first.err.contains("from text"), "{}", first.err);
    let again = place.ok("fit data --format libsvm -m model");
    assert!(again.err.contains("from the cache"), "{}", again.err);
    assert!(place.ok("cache list").out.contains("1 entries"));
    place.ok("cache clear");
    assert!(place.ok("cache list").out.contains("0 entries"));
    assert!(place.ok("fit data --format libsvm -m model").err.contains("from text"));
}

#[test]
fn version_and_help_succeed() {
    let place = Place::new();
    assert_eq!(place.ok("--version").out, format!("handcar {}\n", env!("CARGO_PKG_VERSION")));
    assert!(place.ok("fit --help").out.contains("--holdout"));
}

#[test]
fn minibatch_solvers_learn_and_tell_how_well_as_they_go() {
    let place = Place::new();
    place.ok("synth criteo --rows 12000 --seed 4 -o clicks.tsv");
    for solver in ["sgd", "adagrad", "ftrl --rate 0.2 --beta 0.5 --batch 64"] {
        let ran = place.ok(&format!("fit clicks.tsv --format criteo --solver {solver} -m model --report r.json"));
        let titles = ran.err.lines().find(|l| l.trim_start().starts_with("pass ")).expect("a line of titles");
        for title in ["rows", "since", "average", "AUC", "NE", "objective", "rows/s"] {
            assert!(titles.contains(title), "expected {title} in {titles}");
        }
        assert!(
            !ran.err.contains("warning") && ran.out.contains("1 passes over 12,000 rows"),
            "{}{}",
            ran.err,
            ran.out
        );
        let r: serde_json::Value = serde_json::from_slice(&place.read("r.json")).unwrap();
        let online = r["online"].as_array().unwrap();
        assert!(online.len() >= 4 && online.last().unwrap()["rows"] == 12_000, "{online:?}");
        let (first, last) = (online[0]["loss"].as_f64().unwrap(), online.last().unwrap()["loss"].as_f64().unwrap());
        assert!(last < first && last < 0.65, "{solver}: {first} {last}");
        assert!(r["trace"][0].get("violation").is_none() && r.get("kkt").is_none());
        place.ok("predict clicks.tsv -m model -o scores.txt");
    }
    let hinge = place.ok("fit clicks.tsv --format criteo --solver ftrl --loss hinge --holdout 0.2 -m model");
    assert!(hinge.out.contains("hinge by ftrl") && hinge.out.contains("logloss -"), "{}", hinge.out);
    place.refused("predict clicks.tsv -m model", &["whose margins are no log odds: add --margin"]);
    place.ok("predict clicks.tsv -m model --margin -o margins.txt");
}

#[test]
fn solvers_in_turn_end_at_the_optimum_and_keep_both_curves() {
    let place = Place::new();
    place.ok("synth criteo --rows 12000 --seed 4 -o clicks.tsv");
    place.ok("fit clicks.tsv --format criteo --l1 2 -m alone --report a.json");
    let ran = place.ok("fit clicks.tsv --format criteo --l1 2 --solver ftrl+dbpg -m both --report b.json");
    let read = |name| serde_json::from_slice::<serde_json::Value>(&place.read(name)).unwrap();
    let (a, b) = (read("a.json"), read("b.json"));
    let (fa, fb) = (a["objective"].as_f64().unwrap(), b["objective"].as_f64().unwrap());
    assert!((fa / fb - 1.0).abs() < 2e-4 && b["converged"] == true, "{fa} {fb}");
    assert_eq!((&b["trace"][0]["solver"], &b["trace"][1]["solver"]), (&"ftrl".into(), &"dbpg".into()));
    assert!(b["online"].as_array().is_some_and(|o| !o.is_empty()));
    assert_eq!(ran.err.lines().filter(|l| l.trim_start().starts_with("pass ")).count(), 2, "{}", ran.err);
}

#[test]
fn vw_text_is_learnt_piped_and_named_and_its_hashing_is_remembered() {
    let place = Place::new();
    let row = |i: u32| {
        let label = if i.is_multiple_of(3) != i.is_multiple_of(11) { "1" } else { "-1" };
        let kind = if i.is_multiple_of(3) { "good" } else { "bad" };
        format!("{label} 2 'row{i}|user kind={kind} id:0.5 |page:2 {}\n", i % 5)
    };
    let rows: String = (0..400).map(row).collect();
    place.write("rows", &rows);
    place.ok("fit rows -m a --threads 1 --text a.txt");
    place.ok("fit rows -m b --threads 2 --no-cache --format vw");
    assert_eq!(place.read("a"), place.read("b"));
    let piped = place.run_with_input("fit - -m c", rows.as_bytes());
    assert_eq!(piped.code, Some(0), "{}", piped.err);
    assert!(place.text("a.txt").contains("user^kind=good\t"), "{}", place.text("a.txt"));
    assert!(place.ok("inspect a").out.contains("user^kind="));
    assert!(place.ok("inspect rows").out.contains("a field a namespace"));

    place.ok("fit rows -m h --hash vw --text h.txt");
    assert!(place.ok("inspect h").out.contains("indices of 18 bits"));
    // Rows to score need no label.
    let bare: String = rows.lines().map(|l| format!("|{}\n", l.split_once('|').unwrap().1)).collect();
    place.write("bare", bare);
    for model in ["a", "h"] {
        place.ok(&format!("predict rows -m {model} -o scores"));
        place.ok(&format!("predict bare -m {model} -o bare-scores"));
        assert_eq!(place.read("scores"), place.read("bare-scores"));
        let scores: Vec<f64> = place.text("scores").lines().map(|l| l.parse().unwrap()).collect();
        assert!(scores[3] > 0.5 && scores[4] < 0.5, "{model}: {:?}", &scores[..8]);
        let measured = place.ok(&format!("eval rows -m {model} --report e.json"));
        assert!(measured.out.contains("AUC"), "{}", measured.out);
    }
    place.small_data("data");
    place.refused("fit data --hash vw -m x", &["option hash", "expected handcar", "got vw for libsvm"]);
    place.write("bad", "1 |a x\n0 |a x:y\n");
    place.refused("fit bad -m x", &["bad, line 2, column a^x: expected a finite number, got \"y\""]);
}

#[test]
fn the_roofline_is_measured_and_told() {
    let place = Place::new();
    place.ok("synth criteo --rows 3000 --seed 4 -o clicks.tsv");
    let ran = place.ok("bench roofline clicks.tsv --format criteo --rounds 3 --report r.json");
    assert!(ran.out.contains("gather") && ran.out.contains("of the gather's"), "{}", ran.out);
    let r: serde_json::Value = serde_json::from_slice(&place.read("r.json")).unwrap();
    assert!(r["roofline"]["share"].as_f64().is_some_and(|s| s > 0.0), "{r}");
    place.refused(
        "bench roofline clicks.tsv --solver dbpg",
        &["--solver: expected a minibatch solver that reads each row once (sgd, adagrad, ftrl, adadelay, "],
    );
}
