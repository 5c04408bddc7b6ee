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
            if i % 10 == 0 { String::new() } else { (i % 9).to_string() },
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
