//! Labels that are numbers, from the command line.

mod common;
use common::{Place, adult};
use serde_json::Value;

/// Rows of a colour and a size, with a label that they decide but for a little.
fn rows(of: impl Fn(f64, u32) -> String) -> String {
    let row = |i: u32| {
        let (colour, size) = (i % 3, i / 3 % 4);
        let label = colour as f64 + 0.5 * size as f64 + 0.01 * (i % 7) as f64;
        format!("{},{},{size}\n", of(label, i), ["red", "green", "blue"][colour as usize])
    };
    format!("y,colour,size\n{}", (0..1200).map(row).collect::<String>())
}

fn report(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&place.read(name)).unwrap()
}

#[test]
fn a_regression_is_trained_measured_and_predicted_in_the_labels_unit() {
    let place = Place::new();
    place.write("rows.csv", rows(|y, _| format!("{y:.3}")));
    for loss in ["squared", "huber --huber-delta 0.5"] {
        let fit = format!("fit rows.csv --solver adagrad --rate 0.5 --passes 8 --l1 0 --loss {loss} --holdout 0.2");
        let ran = place.ok(&format!("{fit} -m model --report fit.json --threads 1"));
        let titles = ran.err.lines().find(|l| l.trim_start().starts_with("pass ")).expect("a line of titles");
        assert!(titles.contains("average") && titles.contains("RMSE") && !titles.contains("AUC"), "{titles}");
        assert!(ran.out.contains("holdout    loss ") && ran.out.contains("R2 0.99"), "{}", ran.out);
        let m = &report(&place, "fit.json")["metrics"];
        assert!(m["rmse"].as_f64().unwrap() < 0.05 && m["mae"].as_f64().unwrap() < 0.05, "{m}");
        assert!(m.get("auc").is_none() && report(&place, "fit.json")["online"][0].get("auc").is_none());

        let ran = place.ok("eval rows.csv -m model --report eval.json");
        assert!(ran.out.contains("RMSE 0.0") && !ran.out.contains("AUC") && !ran.out.contains("decile"), "{}", ran.out);
        assert!(report(&place, "eval.json")["metrics"]["r2"].as_f64().unwrap() > 0.99);
        place.ok("predict rows.csv -m model -o means");
        place.ok("predict rows.csv -m model --margin -o margins");
        assert_eq!(place.read("means"), place.read("margins"));
        let first: f64 = place.text("means").lines().next().unwrap().parse().unwrap();
        assert!((first - 0.03).abs() < 0.1, "{first}");
        assert!(place.ok("inspect model").out.contains("label      y, a finite number"));
        place.ok(&format!("{fit} -m again --threads 2"));
        assert_eq!(place.read("model"), place.read("again"));
    }
}

#[test]
fn poisson_predicts_means_and_tells_deviance() {
    let place = Place::new();
    place.write("rows.csv", rows(|y, i| format!("{}", (y * 2.0) as u32 + i % 2)));
    place.ok("fit rows.csv --solver ftrl --rate 0.5 --passes 5 --l1 0 --loss poisson -m model");
    let ran = place.ok("eval rows.csv -m model --report eval.json");
    assert!(ran.out.contains("deviance"), "{}", ran.out);
    let m = &report(&place, "eval.json")["metrics"];
    let (deviance, loss) = (m["deviance"].as_f64().unwrap(), m["loss"].as_f64().unwrap());
    assert!(deviance < 0.7 && (deviance - 2.0 * loss).abs() < 1e-9, "{m}");
    place.ok("predict rows.csv -m model -o means");
    place.ok("predict rows.csv -m model --margin -o margins");
    let numbers = |name| place.text(name).lines().map(|l| l.parse::<f64>().unwrap()).collect::<Vec<_>>();
    for (mean, margin) in numbers("means").into_iter().zip(numbers("margins")) {
        assert!((mean / margin.exp() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn labels_that_the_loss_does_not_take_are_told_with_their_place() {
    let place = Place::new();
    place.write("rows.csv", "y,a\n1,2\n0.5,3\n");
    place.refused("fit rows.csv -m model", &["rows.csv, line 3, column y: expected 0, 1, -1 or +1, got \"0.5\""]);
    for (label, told) in [("-1", "a finite number of at least 0, got \"-1\""), ("x", "got \"x\""), ("nan", "\"nan\"")] {
        place.write("bad.csv", format!("y,a\n1,2\n{label},3\n"));
        let words = ["bad.csv, line 3, column y: expected a finite number", told];
        place.refused("fit bad.csv --solver ftrl --loss poisson -m model", &words);
    }
    place.write("far.csv", "y,a\n1,2\n1e9,3\n");
    let words = ["expected a largest label between 0.001 and 131072", "got 1000000000"];
    place.refused("fit far.csv --solver ftrl --loss squared -m model", &words);
    // Data whose labels are numbers can be looked at before there is a loss.
    place.refused("inspect far.csv", &["line 3, column y"]);
    assert!(place.ok("inspect far.csv --labels real").out.contains("2 (labels from 1 to 1000000000)"));
}

#[test]
fn a_column_of_numbers_of_real_data_is_predicted() {
    let place = Place::new();
    let data = adult().display().to_string();
    let fit = format!("fit {data} --label age --loss squared --solver adagrad --rate 1 --l1 0 --l2 1 --passes 5");
    place.ok(&format!("{fit} --holdout 0.2 -m model --report fit.json"));
    let m = &report(&place, "fit.json")["metrics"];
    let (r2, rmse) = (m["r2"].as_f64().unwrap(), m["rmse"].as_f64().unwrap());
    // The ages' own standard deviation is 13.7.
    assert!(r2 > 0.43 && rmse < 10.4, "{m}");
}
