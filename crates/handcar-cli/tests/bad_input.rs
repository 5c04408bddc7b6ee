//! Bad input: one clear error each, with file, line and column, and no half-written model.

mod common;
use common::Place;
use flate2::{Compression, write::GzEncoder};
use std::{io::Write, net::TcpListener};

fn libsvm(content: &str, words: &[&str]) {
    let place = Place::new();
    place.write("bad.libsvm", content);
    place.refused("fit bad.libsvm --format libsvm -m model", words);
}

#[test]
fn text_of_another_format_is_refused_with_file_and_line() {
    libsvm("+1 1:1\nhello world\n", &["bad.libsvm", "line 2", "expected", "got"]);
    let place = Place::new();
    place.write("bad.tsv", "1\t2\t3\n");
    place.refused("fit bad.tsv --format criteo -m model", &["bad.tsv", "line 1", "expected", "got"]);
}

#[test]
fn a_truncated_gzip_is_refused() {
    let place = Place::new();
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    let rows: String = (0..5000).map(|i| format!("{} {}:1 {}:0.5\n", i % 2, i % 97 + 1, i % 89 + 100)).collect();
    gz.write_all(rows.as_bytes()).unwrap();
    let whole = gz.finish().unwrap();
    place.write("cut.gz", &whole[..whole.len() / 2]);
    place.refused("fit cut.gz --format libsvm -m model", &["cut.gz", "cut off"]);
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for x in ["nan", "inf", "-inf", "1e999"] {
        libsvm(&format!("+1 1:1\n-1 2:{x}\n"), &["bad.libsvm", "line 2", "expected"]);
    }
}

#[test]
fn unsorted_and_repeated_indices_are_refused() {
    libsvm("+1 3:1 2:1\n", &["bad.libsvm", "line 1", "expected", "got"]);
    libsvm("+1 1:1\n-1 2:1 2:1\n", &["bad.libsvm", "line 2", "expected", "got"]);
}

#[test]
fn labels_other_than_0_1_and_minus_1_are_refused() {
    libsvm("+1 1:1\n2 2:1\n", &["bad.libsvm", "line 2", "expected", "got"]);
}

#[test]
fn empty_and_missing_files_are_refused() {
    libsvm("", &["bad.libsvm", "expected at least one row"]);
    let place = Place::new();
    place.refused("fit nowhere.libsvm -m model", &["nowhere.libsvm"]);
    place.refused("predict nowhere.libsvm -m nowhere.model -o scores", &["nowhere.model"]);
}

#[test]
fn bad_rows_can_be_skipped_and_are_counted() {
    let place = Place::new();
    place.small_data("good");
    let good = place.text("good");
    place.write("bad", format!("+1 3:1 2:1\n{good}7 1:1\n"));
    place.refused("fit bad --format libsvm -m model", &["bad", "line 1"]);
    let ran = place.ok("fit bad --format libsvm -m model --on-bad-row skip --report report.json");
    assert!(ran.err.contains("skipped 2 rows") && ran.err.contains("line 1"), "{}", ran.err);
    let report: serde_json::Value = serde_json::from_slice(&place.read("report.json")).unwrap();
    assert_eq!((report["rows"].as_u64(), report["rows_skipped"].as_u64()), (Some(400), Some(2)));
}

#[test]
fn a_column_missing_at_prediction_is_named() {
    let place = Place::new();
    let rows: String = (0..200).map(|i| format!("{},{},{}\n", i % 2, i % 2 + i % 3, ["a", "b", "c"][i % 3])).collect();
    place.write("train.csv", format!("label,size,colour\n{rows}"));
    place.ok("fit train.csv -m model --l1 0.1");
    place.write("new.csv", "size,shape\n1,x\n");
    place.refused("predict new.csv -m model -o scores", &["new.csv", "colour"]);
    place.refused("eval new.csv -m model", &["new.csv", "colour"]);
}

#[test]
fn a_model_of_a_newer_version_is_refused_by_name() {
    let place = Place::new();
    place.small_data("data");
    place.ok("fit data --format libsvm -m model");
    let mut model = place.read("model");
    let stamp = b"{\\\"format\\\":1,";
    let at = model.windows(stamp.len()).position(|w| w == stamp).unwrap() + stamp.len() - 2;
    model[at] = b'9';
    place.write("newer", &model);
    let words = ["newer", "expected model format 1 or older, got format 9"];
    place.refused("predict data -m newer -o scores", &words);
    place.refused("eval data -m newer", &words);
    place.refused("inspect newer", &words);
    place.refused("fit data --format libsvm --init newer -m again", &words);
}

#[test]
fn damaged_models_and_other_files_are_no_models() {
    let place = Place::new();
    place.small_data("data");
    place.ok("fit data --format libsvm -m model");
    let mut model = place.read("model");
    place.write("cut", &model[..model.len() - 9]);
    let last = model.len() - 1;
    model[last] ^= 1;
    place.write("flipped", &model);
    place.refused("predict data -m cut -o scores", &["cut", "is damaged: expected"]);
    place.refused("predict data -m flipped -o scores", &["flipped", "checksum"]);
    place.refused("predict data -m data -o scores", &["data", "expected a handcar model"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error_that_names_the_file() {
    let place = Place::new();
    place.small_data("data");
    place.refused("fit data --format libsvm -m /dev/full", &["/dev/full", "No space left"]);
    place.ok("fit data --format libsvm -m model");
    place.refused("predict data -m model -o /dev/full", &["/dev/full", "No space left"]);
    place.refused("synth criteo --rows 1000 -o /dev/full", &["/dev/full", "No space left"]);
    place.refused("eval data -m model --report /dev/full", &["/dev/full", "No space left"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_model_and_nothing_half_written() {
    let place = Place::new();
    place.small_data("data");
    std::fs::create_dir(place.path("disk")).unwrap();
    let mount = |args: &[&str]| std::process::Command::new(args[0]).args(&args[1..]).output();
    let disk = place.path("disk");
    let disk = disk.to_str().unwrap();
    match mount(&["mount", "-t", "tmpfs", "-o", "size=64k", "handcar-test", disk]) {
        Ok(o) if o.status.success() => {}
        _ => return println!("SKIPPED: mounting a small file system needs root"),
    }
    let outcome = std::panic::catch_unwind(|| {
        place.ok("fit data --format libsvm -m disk/model");
        let old = place.read("disk/model");
        let room = 64 * 1024 - old.len() / 4096 * 4096 - 4096;
        place.write("disk/filler", vec![0; room]);
        let ran = place.run("fit data --format libsvm -m disk/model");
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains("disk/model") && ran.err.contains("No space left"), "{}", ran.err);
        assert_eq!(place.read("disk/model"), old);
        assert_eq!(std::fs::read_dir(disk).unwrap().count(), 2);
    });
    let unmounted = mount(&["umount", disk]).unwrap();
    assert!(unmounted.status.success(), "{}", String::from_utf8_lossy(&unmounted.stderr));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let place = Place::new();
    place.refused(&format!("scheduler --listen {addr}"), &["listen", &addr, "in use"]);
    place.refused(&format!("server --listen {addr} --scheduler 127.0.0.1:9 --rank 0"), &["listen", &addr, "in use"]);
}

#[test]
fn addresses_that_others_can_reach_need_a_word_of_consent() {
    let place = Place::new();
    place.refused("scheduler --listen 0.0.0.0:0", &["expected a loopback address", "--insecure-listen"]);
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_training() {
    let place = Place::new();
    place.small_data("data");
    place.refused("fit data --format libsvm -m nowhere/model", &["nowhere/model", "expected a directory nowhere"]);
    place.refused("fit data --format libsvm -m model --report no/r.json", &["no/r.json"]);
}

#[test]
fn what_does_not_exist_is_a_usage_error_that_says_what_does() {
    let place = Place::new();
    for (args, words) in [
        ("fit data -m model --format arff", "libsvm, criteo, csv, vw"),
        ("fit data -m model --hash murmur", "handcar, vw"),
        ("fit data -m model --solver newton", "dbpg, lbfgs, sgd, adagrad, ftrl, emso"),
        ("fit data -m model --loss cauchy", "logistic, hinge, squared-hinge, squared, huber, poisson"),
        ("fit data -m model --labels whole", "binary, real, count"),
        ("launch slurm -- fit", "slurm is not built yet"),
        ("fit data -m model --l1 -1", "expected a number of at least 0"),
        ("fit data -m model --holdout 1.5", "expected a number between 0 and 1"),
        ("fit data", "--model"),
        ("", "Usage"),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "handcar {args}\n{}", ran.err);
        assert!(ran.err.contains(words), "handcar {args}: expected {words:?} in\n{}", ran.err);
    }
}

#[test]
fn wrong_config_files_are_named_with_what_is_wrong() {
    let place = Place::new();
    place.small_data("data");
    for (toml, word) in [("l1 = = 1", "line 1"), ("l3 = 1", "`l3`"), ("no-intercept = 1", "expected true or false")] {
        place.write("c.toml", toml);
        place.refused("fit data -m model --config c.toml", &["c.toml", word]);
    }
    place.refused("fit data -m model --config none.toml", &["none.toml"]);
}

#[test]
fn rows_of_one_label_only_are_refused() {
    let place = Place::new();
    place.write("all", "+1 1:1\n+1 2:1\n");
    place.refused("fit all --format libsvm -m model", &["rows of both classes", "2 rows", "positive"]);
    place.write("none", "-1 1:1\n");
    place.refused("fit none --format libsvm -m model", &["rows of both classes", "1 rows", "negative"]);
}

#[test]
fn a_slow_worker_must_exist_and_go_by_batches() {
    let place = Place::new();
    place.small_data("data");
    let fit = "fit data --format libsvm -m model --solver adadelay";
    for (option, told) in [
        ("2:10", "expected a rank below 2, the number of --workers, got 2"),
        ("0:0.5", "RANK:FACTOR"),
        ("1", "RANK:FACTOR"),
    ] {
        let ran = place.run(&format!("launch local --workers 2 --slow-worker {option} -- {fit}"));
        assert!(ran.err.contains(told) && ran.code != Some(0), "{option}: {}", ran.err);
    }
    let words = ["--slow-worker: expected a minibatch solver", "got --solver dbpg"];
    place.refused("launch local --workers 2 --slow-worker 0:10 -- fit data --format libsvm -m model", &words);
}

#[test]
fn simulated_delays_need_clicks_and_sound_numbers() {
    let place = Place::new();
    place.small_data("data");
    for (options, told) in [
        ("--workers 0", "0 is not in 1..=100000"),
        ("--spread 0.5", "expected spread a number from 1 to 1e6, got 0.5"),
        ("--rates 0.1,-1", "expected a number above 0"),
        ("--pushes 1e9", "expected pushes from 1 to 10000000"),
        ("--seeds 0..2000", "expected at most 1000 seeds"),
    ] {
        let ran = place.run(&format!("simulate delay data --format libsvm {options}"));
        assert!(ran.err.contains(told) && ran.code != Some(0), "{options}: {}", ran.err);
    }
    place.refused("simulate delay nowhere.libsvm", &["nowhere.libsvm"]);
}

#[test]
fn options_that_a_solver_has_no_use_for_are_refused() {
    let place = Place::new();
    place.small_data("data");
    for (options, told) in [
        ("--rate 0.1", "--rate: expected a minibatch solver (sgd, adagrad, ftrl, emso, adadelay, "),
        ("--batch 10", "--batch: expected a minibatch solver"),
        (
            "--solver ftrl --tol 1e-3",
            "--tol: expected --solver dbpg or lbfgs, got --solver ftrl, which goes by --passes",
        ),
        ("--solver sgd --no-kkt-filter", "--no-kkt-filter: expected --solver dbpg"),
        ("--loss hinge", "expected loss logistic, the only one that dbpg knows, got hinge"),
        ("--solver lbfgs --no-kkt-filter", "--no-kkt-filter: expected --solver dbpg, got --solver lbfgs"),
        ("--solver lbfgs --rate 1", "--rate: expected a minibatch solver"),
        ("--solver lbfgs --beta 1", "--beta: expected a minibatch solver"),
        ("--solver lbfgs --batch 9", "--batch: expected a minibatch solver"),
        ("--solver lbfgs --delay 2", "expected delay 0 of lbfgs, each step of which needs all that came before, got 2"),
        ("--solver lbfgs --loss hinge", "expected loss logistic or squared-hinge, as lbfgs needs, got hinge"),
        ("--solver lbfgs --filters fixed-point:2", "expected filters that are exact"),
        ("--solver lbfgs --history 41", "41 is not in 1..=40"),
        ("--lower 0.5", "expected a number of at most 0"),
        ("--upper -1", "expected a number of at least 0"),
        ("--upper inf", "expected a number of at least 0"),
        (
            "--solver lbfgs --lower 0",
            "--lower: expected solvers among dbpg, sgd, adagrad, ftrl, emso, adadelay, async-adagrad, got --solver lbfgs",
        ),
        ("--solver adaptive-revision --l1 0 --upper 1", "--upper: expected solvers among dbpg, sgd"),
        ("--group-lasso -1", "expected a number of at least 0"),
        ("--group-lasso x", "expected a number of at least 0"),
        ("--group-lasso 1 --solver lbfgs", "--group-lasso: expected --solver dbpg alone, got --solver lbfgs"),
        ("--group-lasso 1 --solver ftrl+dbpg", "--group-lasso: expected --solver dbpg alone, got --solver ftrl+dbpg"),
        ("--group-lasso 1 --delay 2", "--group-lasso: expected --delay 0, got --delay 2"),
        ("--group-lasso 1 --lower 0", "--group-lasso: expected no bounds, got --lower"),
        (
            "--group-lasso 1 --filters fixed-point:2",
            "expected filters that are exact (key-cache, zero, lz4, zstd) with a group lasso",
        ),
        (
            "--group-lasso 1",
            "expected data with fields (columns of CSV or Criteo, namespaces of VW text, columns of a table), got features that",
        ),
        ("--history 5", "--history: expected --solver lbfgs, got --solver dbpg"),
        ("--inner cd", "--inner: expected --solver emso, got --solver dbpg"),
        ("--solver ftrl --inner-iterations 3", "--inner-iterations: expected --solver emso, got --solver ftrl"),
        ("--solver sgd --inner-tol 0.1", "--inner-tol: expected --solver emso, got --solver sgd"),
        ("--solver emso --inner newton", "expected cd, gd, got \"newton\""),
        ("--solver emso --loss hinge", "expected loss one without a kink, as emso needs, got hinge"),
        ("--solver emso --hogwild", "expected hogwild with sgd, adagrad or ftrl"),
        ("--solver emso --delay 1", "expected delay 0 of emso"),
        ("--solver emso --grid l1=1,2", "expected grid solver ftrl or adagrad"),
        ("--solver vw", "ftrl, emso, adadelay, async-adagrad, adaptive-revision, got \"vw\""),
        (
            "--solver adaptive-revision",
            "expected l1 0 of adaptive-revision, which could not revise a penalised step, got 1",
        ),
        ("--solver adaptive-revision --l1 0 --l2 2", "expected l2 0 of adaptive-revision"),
        (
            "--solver adadelay --hogwild",
            "expected hogwild with sgd, adagrad or ftrl, which go row by row and count no delays, got adadelay",
        ),
        ("--solver adadelay --filters fixed-point:2", "expected filters that are exact"),
        ("--solver async-adagrad --grid l1=1,2", "expected grid solver ftrl or adagrad"),
        ("--solver adadelay --delay 2000", "expected delay at most 1024"),
        ("--solver adadelay --tol 1e-3", "--tol: expected --solver dbpg or lbfgs"),
        ("--solver ftrl --rate 0", "expected a number above 0"),
        ("--solver ftrl --huber-delta 2", "--huber-delta: expected --loss huber, got --loss logistic"),
        ("--solver ftrl --loss huber --huber-delta 0", "expected a number above 0"),
        ("--solver ftrl --loss huber --huber-delta 1e9", "expected huber_delta a number from 1e-6 to 1e6"),
        ("--solver ftrl --labels real", "--labels: expected binary, which logistic loss takes, got real"),
        ("--loss squared", "expected loss logistic, the only one that dbpg knows, got squared"),
    ] {
        let ran = place.run(&format!("fit data --format libsvm -m model {options}"));
        assert!(ran.err.contains(told) && ran.code != Some(0), "{options}: {}", ran.err);
        assert!(!place.path("model").exists());
    }
}
