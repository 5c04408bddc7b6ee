//! Evaluation as a person and a script see it: slices, early stopping, holdouts in time, folds.

mod common;
use common::{Place, adult};
use serde_json::Value;

fn report(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&place.read(name)).expect("a report")
}

#[test]
fn slices_tell_the_measures_of_the_rows_with_each_value() {
    let place = Place::new();
    let data = adult().display().to_string();
    place.ok(&format!("fit {data} --label income --l1 30 -m model --quiet"));
    let eval = format!("eval {data} -m model --slice workclass --slice age --slice-values 8 --report r.json");
    let ran = place.ok(&eval);
    for word in ["calibration 1.0", "ECE 0.0", "slice      workclass", "Private", "(missing)", "Without-pay", "others)"]
    {
        assert!(ran.out.contains(word), "expected {word} in\n{}", ran.out);
    }
    let r = report(&place, "r.json");
    assert!((r["metrics"]["calibration"].as_f64().unwrap() - 1.0).abs() < 1e-3, "{}", r["metrics"]);
    let (class, age) = (&r["slices"][0], &r["slices"][1]);
    assert_eq!((&class["field"], &age["field"], &class["others"]), (&"workclass".into(), &"age".into(), &1.into()));
    let rows = |v: &Value| v["rows"].as_u64().unwrap();
    for table in [class, age] {
        let values = table["values"].as_array().unwrap();
        assert!(values.len() == 8 && values.windows(2).all(|w| rows(&w[0]) >= rows(&w[1])), "{table}");
        assert_eq!(values.iter().map(rows).sum::<u64>() + rows(&table["other"]), 48_842);
    }
    let private = &class["values"][0];
    assert_eq!((&private["value"], rows(private)), (&"Private".into(), 33_906));
    for key in ["positives", "predicted", "observed", "calibration", "logloss", "ne", "auc"] {
        assert!(private[key].as_f64().is_some_and(|x| x > 0.0), "{key} in {private}");
    }
    let share = private["positives"].as_f64().unwrap() / 33_906.0;
    assert!((private["observed"].as_f64().unwrap() - share).abs() < 1e-12);

    place.refused(
        &format!("eval {data} -m model --slice work"),
        &["slice: expected a field among age, workclass", "\"work\""],
    );
    place.refused(&format!("eval {data} -m model --slice age --slice age"), &["expected each field once"]);
}

#[test]
fn slices_of_regressions_numbers_and_namespaces_have_the_measures_that_fit() {
    let place = Place::new();
    let row = |i: u32| {
        format!(
            "{},{},{}\n",
            i % 7,
            if i.is_multiple_of(10) { String::new() } else { (i % 9).to_string() },
            ["a", "b"][i as usize % 2]
        )
    };
    place.write("rows.csv", "y,x,c\n".to_string() + &(0..500).map(row).collect::<String>());
    place.ok("fit rows.csv --loss squared --solver adagrad --l1 0 --raw x -m model");
    let ran = place.ok("eval rows.csv -m model --slice x --report r.json");
    let title = ran.out.lines().find(|l| l.starts_with("slice")).unwrap();
    assert!(title.contains("RMSE") && title.contains("observed") && !title.contains("AUC"), "{}", ran.out);
    let values = report(&place, "r.json")["slices"][0]["values"].as_array().unwrap().clone();
    let mut names: Vec<&str> = values.iter().map(|v| v["value"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["(missing)", "0", "[1, 2)", "[2, 4)", "[4, 8)", "[8, 16)"]);
    assert!(values.iter().all(|v| v.get("positives").is_none() && v["rmse"].as_f64().is_some()));

    place.write("rows.vw", "1 |user kind=a |page 1\n-1 |user kind=b |page 2\n-1 |page 2\n".repeat(40));
    place.ok("fit rows.vw -m vw.model");
    let ran = place.ok("eval rows.vw -m vw.model --slice user");
    assert!(ran.out.contains("kind=a") && ran.out.contains("(missing)"), "{}", ran.out);
    place.refused("eval rows.vw -m vw.model --slice users", &["expected a namespace that some row has, got \"users\""]);
    place.small_data("data");
    place.ok("fit data --format libsvm -m svm.model");
    place.refused(
        "eval data -m svm.model --slice 1",
        &["expected a model of data with fields (csv, criteo, vw), got libsvm"],
    );
}

#[test]
fn patience_keeps_the_best_pass_and_says_so() {
    let place = Place::new();
    place.ok("synth criteo --rows 4000 --seed 4 -o clicks.tsv");
    let fit = "fit clicks.tsv --format criteo --solver adagrad --rate 0.5 --l1 0 --holdout-last 0.25";
    let ran = place.ok(&format!("{fit} --patience 2 -m model --report r.json"));
    let r = report(&place, "r.json");
    let (kept, trace) = (&r["early_stopping"], r["trace"].as_array().unwrap());
    assert_eq!((&kept["stopped"], r["rows"].as_u64()), (&true.into(), Some(3000)));
    let losses: Vec<f64> = trace.iter().map(|p| p["logloss"].as_f64().unwrap()).collect();
    let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    assert_eq!((kept["pass"].as_u64(), trace.len()), (Some(best as u64 + 1), best + 3), "{losses:?}");
    assert!(ran.out.contains("kept       stopped early, after pass"), "{}", ran.out);
    place.ok(&format!("{fit} --passes {} -m plain", best + 1));
    place.ok("predict clicks.tsv -m model -o a");
    place.ok("predict clicks.tsv -m plain -o b");
    assert_eq!(place.read("a"), place.read("b"));

    // Batch solvers that patience ends are not told off for missing their tolerance.
    let batch = "fit clicks.tsv --format criteo --l1 0.01 --tol 1e-12 --holdout 0.25 --patience 1 -m model";
    let ran = place.ok(batch);
    assert!(ran.out.contains("stopped early") && !ran.err.contains("warning"), "{}{}", ran.out, ran.err);
    // Nor those that come to their number of passes with an earlier one kept.
    let ran = place.ok(&format!("{batch} --patience 50 --passes 8").replacen("--patience 1 ", "", 1));
    assert!(ran.out.contains("kept ") && !ran.out.contains("stopped early"), "{}", ran.out);
    assert!(!ran.err.contains("warning"), "{}{}", ran.out, ran.err);
}

#[cfg(target_os = "linux")]
#[test]
fn patience_and_folds_are_the_same_over_processes() {
    let place = Place::new();
    place.ok("synth criteo --rows 3000 --seed 4 -o clicks.tsv");
    let launch = "launch local --servers 2 --workers 2 --";
    for options in
        ["--l1 0.01 --holdout-last 0.3 --patience 1", "--solver adagrad --holdout 0.3 --patience 2 --rate 0.5"]
    {
        let fit = format!("fit clicks.tsv --format criteo {options}");
        place.ok(&format!("{fit} -m one"));
        place.ok(&format!("{launch} {fit} -m four"));
        assert_eq!(place.read("one"), place.read("four"), "{options}");
    }
    for (options, model) in [("--l1 2", "-m"), ("--solver ftrl --folds-by time", "-m")] {
        let fit = format!("fit clicks.tsv --format criteo {options} --folds 3");
        place.ok(&format!("{fit} {model} one --report one.json"));
        place.ok(&format!("{launch} {fit} {model} four --report four.json"));
        assert_eq!(place.read("one"), place.read("four"), "{options}");
        let folds = |name| report(&place, name)["cross_validation"].clone();
        assert_eq!(folds("one.json"), folds("four.json"), "{options}");
    }
}

#[test]
fn folds_are_told_with_mean_and_error_and_the_model_is_that_of_all_rows() {
    let place = Place::new();
    place.small_data("data");
    let ran = place.ok("fit data --format libsvm --folds 4 -m model --report r.json");
    for word in ["fold 1", "fold 4", "mean of 4  AUC", " +- ", "objective"] {
        assert!(ran.out.contains(word), "expected {word} in\n{}", ran.out);
    }
    assert!(ran.err.contains("fold 2 of 4\n") && ran.err.contains("all rows\n"), "{}", ran.err);
    place.ok("fit data --format libsvm -m plain");
    assert_eq!(place.read("model"), place.read("plain"));
    let r = report(&place, "r.json");
    let folds = r["cross_validation"]["folds"].as_array().unwrap();
    let sum = |key: &str| folds.iter().map(|f| f[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((folds.len(), sum("rows"), sum("rows_measured"), r["rows"].as_u64()), (4, 1200, 400, Some(400)));
    let mean = folds.iter().map(|f| f["metrics"]["logloss"].as_f64().unwrap()).sum::<f64>() / 4.0;
    assert!((r["cross_validation"]["mean"]["logloss"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(r["cross_validation"]["error"]["logloss"].as_f64().unwrap() > 0.0);

    let before = place.files();
    let ran = place.ok("fit data --format libsvm --folds 3 --folds-by time --folds-only");
    assert!(ran.out.contains("mean of 3") && !ran.out.contains("objective"), "{}", ran.out);
    assert_eq!(place.files(), before);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let place = Place::new();
    place.small_data("data");
    for (options, told) in [
        (
            "-m m --patience 2",
            "--patience: expected rows to measure on (--valid FILE, --holdout or --holdout-last), got none",
        ),
        ("-m m --patience 0 --holdout 0.2", "0 is not in 1.."),
        ("-m m --solver ftrl --grid l1=1,2 --holdout 0.2 --patience 2", "--patience: expected no --grid"),
        ("-m m --holdout-last 1", "expected a number between 0 and 1"),
        ("-m m --holdout-last 0.2 --holdout 0.2", "cannot be used with"),
        ("-m m --holdout-last 0.2 --valid data", "cannot be used with"),
        ("-m m --holdout-last 0.2 --negatives 0.5", "--negatives: expected --valid FILE"),
        ("-m m --folds 1", "1 is not in 2..=100"),
        ("-m m --folds 101", "101 is not in 2..=100"),
        ("-m m --folds 3 --holdout 0.2", "cannot be used with"),
        ("-m m --folds 3 --patience 2", "cannot be used with"),
        ("-m m --folds 3 --solver ftrl --grid l1=1,2", "cannot be used with"),
        ("-m m --folds 3 --init data", "cannot be used with"),
        ("--folds-only", "--folds-only: expected --folds K, got none"),
        ("-m m --folds-by time", "--folds-by: expected --folds K, got none"),
        ("--folds 3 --folds-only -m m", "cannot be used with"),
        ("--folds 3", "--model: expected a file for the model, got none"),
    ] {
        let ran = place.run(&format!("fit data --format libsvm {options}"));
        assert!(ran.code != Some(0) && ran.err.contains(told), "{options}: {}", ran.err);
        assert!(!place.path("m").exists());
    }
    let text = place.text("data");
    let few: String = text.lines().take(30).map(|line| format!("{line}\n")).collect();
    std::fs::write(place.path("few"), few).expect("write");
    for (options, told) in [
        ("--folds 31", "expected at least 31 rows for 31 folds, got 30"),
        ("--folds 30 --folds-by time", "expected at least 31 rows for 30 folds, got 30"),
    ] {
        place.refused(&format!("fit few --format libsvm -m m {options}"), &[told]);
    }
}
