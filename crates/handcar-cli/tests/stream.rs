//! `fit --stream`: rows are learned from as they are read.

mod common;
use common::{Place, read_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufReader, Write};
use std::process::Stdio;

/// VW text of two namespaces.
fn text(rows: u32) -> String {
    let row = |i: u32| {
        let (user, ad) = (i * 7919 % 97, i * 104_729 % 13);
        let label = if (user * ad + i % 5) % 7 < 3 { "1" } else { "-1" };
        format!("{label} |user u{user} |ad a{ad} all\n")
    };
    (0..rows).map(row).collect()
}

#[test]
fn a_stream_from_a_pipe_gives_the_weights_of_a_fit_on_the_file() {
    let place = Place::new();
    place.write("x.vw", text(20_000));
    place.ok("fit x.vw --solver ftrl --l1 0.5 -m packed --text packed.txt --threads 1");
    for threads in [1, 2] {
        let fit = format!(
            "fit - --solver ftrl --l1 0.5 -m streamed --text streamed.txt --report r.json --stream --threads {threads}"
        );
        let ran = place.run_with_input(&fit, text(20_000).as_bytes());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert_eq!(place.text("streamed.txt"), place.text("packed.txt"));
        assert!(ran.out.contains("a row, before it was learned from") && !ran.out.contains("objective"), "{}", ran.out);
        assert!(ran.err.contains("average"), "{}", ran.err);
        let report: Value = serde_json::from_slice(&place.read("r.json")).unwrap();
        assert!(report.get("objective").is_none() && report["rows"] == 20_000, "{report}");
        let last = report["online"].as_array().unwrap().last().unwrap();
        assert!((report["loss"].as_f64().unwrap() / 20_000.0 - last["loss"].as_f64().unwrap()).abs() < 1e-9);
    }
    assert!(place.ok("eval x.vw -m streamed").out.contains("logloss"));
    assert!(place.ok("inspect streamed").out.contains("before it was learned from"));
    place.ok("fit x.vw --solver ftrl+dbpg --init streamed -m best");
}

#[test]
fn what_does_not_fit_a_stream_is_refused_before_reading() {
    let place = Place::new();
    place.write("x.vw", text(100));
    place.write("bad.vw", format!("{}1 |user x:1:2\n", text(10)));
    place.refused("fit x.vw --stream -m m", &["stream one solver that learns in minibatches", "dbpg"]);
    place.refused("fit x.vw --stream --solver ftrl --passes 2 -m m", &["one pass, as the rows are not kept"]);
    place.refused("fit x.vw --stream --solver adagrad -m m", &["no penalty, or ftrl"]);
    place.refused("fit bad.vw --stream --solver ftrl -m m", &["bad.vw, line 11", "expected a finite number"]);
    place.refused(
        "launch local --workers 2 -- fit x.vw --stream --solver ftrl -m m",
        &["--stream: expected one process"],
    );
    for other in ["--holdout 0.1", "--valid x.vw", "--folds 3", "--holdout-last 0.1"] {
        let ran = place.run(&format!("fit x.vw --stream --solver ftrl {other} -m m"));
        assert!(ran.code == Some(2) && ran.err.contains("cannot be used with"), "{}", ran.err);
    }
    assert!(!place.path("m").exists());
    let skipped = place.ok("fit bad.vw --stream --solver ftrl --on-bad-row skip -m m");
    assert!(skipped.err.contains("skipped 1 rows") && skipped.err.contains("line 11"), "{}", skipped.err);
}

#[test]
fn a_signal_ends_a_silent_pipe_with_the_model_of_the_whole_rows_so_far() {
    let place = Place::new();
    let mut command = place.command("fit - --format vw --solver ftrl --l1 0 --stream -m m --threads 1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(text(20_000).as_bytes()).unwrap();
    // Half a row, and the pipe stays open. By the first line of progress the rest of what was sent may not have come.
    pipe.write_all(b"1 |user u5 |a").unwrap();
    pipe.flush().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    read_until(&mut err, |line| line.contains("1,024"));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(pipe);
    assert!(place.ok("inspect m").out.contains("before it was learned from"));
}
