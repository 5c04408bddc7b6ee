//! Several processes, and signals: equal bytes, and no end without a reason.
#![cfg(target_os = "linux")]

mod common;
use common::{Place, is_pass, read_until, start};
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, io::Read, process::Child};

/// A job that runs until it is ended.
const ENDLESS: &str = "fit clicks.tsv --format criteo --l1 0.01 --tol 1e-15 --passes 1000000 -m model";

fn place_with_clicks() -> Place {
    let place = Place::new();
    place.ok("synth criteo --rows 20000 --seed 3 -o clicks.tsv");
    place
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).expect("a process id"), signal).expect("send a signal");
}

/// The processes a process has started, with their command lines.
fn children(parent: &Child) -> Vec<(u32, String)> {
    let id = parent.id();
    let ids = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("list children");
    let line = |pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
    ids.split_whitespace().map(|p| p.parse().expect("a number")).map(|pid| (pid, line(pid))).collect()
}

#[test]
fn two_servers_and_two_workers_write_the_same_model() {
    let place = place_with_clicks();
    place.ok("fit clicks.tsv --format criteo --l1 2 -m one");
    let ran = place.ok("launch local --servers 2 --workers 2 -- fit clicks.tsv --format criteo --l1 2 -m four");
    assert_eq!(place.read("one"), place.read("four"));
    assert!(ran.out.contains("strongest") && ran.err.lines().any(is_pass), "{}{}", ran.out, ran.err);
}

#[test]
fn every_solver_writes_the_same_model_over_processes() {
    let place = place_with_clicks();
    for solver in [
        "sgd",
        "adagrad",
        "adadelay",
        "adaptive-revision --l1 0",
        "ftrl+dbpg",
        "dbpg --group-lasso 0.5",
        "lbfgs",
        "ftrl+lbfgs --passes 30",
        "lbfgs+dbpg --l2 0.5",
    ] {
        let l1 = if solver.contains("--l1") { "" } else { "--l1 2" };
        let fit = format!("fit clicks.tsv --format criteo {l1} --solver {solver}");
        place.ok(&format!("{fit} -m one"));
        place.ok(&format!("launch local --servers 2 --workers 2 -- {fit} -m four"));
        assert_eq!(place.read("one"), place.read("four"), "{solver}");
    }
}

#[test]
fn workers_that_do_not_wait_learn_from_every_row_beside_a_slow_one() {
    let place = place_with_clicks();
    let fit = "fit clicks.tsv --format criteo --delay 2 --passes 2 --l1 0 --rate 0.05";
    for solver in ["adadelay", "async-adagrad", "adaptive-revision"] {
        place.ok(&format!("{fit} --solver {solver} -m one --report one.json"));
        let launch = "launch local --servers 2 --workers 3 --slow-worker 2:10 --";
        place.ok(&format!("{launch} {fit} --solver {solver} -m many --report many.json"));
        let report = |name| serde_json::from_slice::<serde_json::Value>(&place.read(name)).expect("a report");
        let (one, many) = (report("one.json"), report("many.json"));
        let rows: Vec<_> = many["online"].as_array().expect("lines").iter().map(|l| l["rows"].as_u64()).collect();
        assert_eq!(rows, [Some(20000); 2], "{solver}: a line a pass, of all rows");
        let loss = |r: &serde_json::Value| r["loss"].as_f64().expect("a loss");
        assert!(loss(&many) < 1.3 * loss(&one), "{solver}: {} {}", loss(&many), loss(&one));
    }
}

#[test]
fn with_two_copies_workers_that_do_not_wait_lose_no_push_when_a_server_is_lost() {
    let place = place_with_clicks();
    // Long enough that the job still runs when two passes have been read and the victim is found.
    let fit = "fit clicks.tsv --format criteo --solver adadelay --delay 2 --passes 100 --l1 0 -m model --report r.json";
    let launch = format!("launch local --servers 3 --workers 2 --replicas 2 --slow-worker 1:10 -- {fit}");
    let (mut job, mut err) = start(place.command(&launch));
    read_until(&mut err, is_pass);
    read_until(&mut err, is_pass);
    let is_victim = |line: &str| line.split(' ').nth(1) == Some("server") && line.contains("--rank 1 ");
    send(children(&job).iter().find(|(_, line)| is_victim(line)).expect("the victim").0, Signal::KILL);
    let mut said = String::new();
    err.read_to_string(&mut said).expect("the rest of standard error");
    assert_eq!(job.wait().expect("wait for the launcher").code(), Some(0), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&place.read("r.json")).expect("a report");
    let online = report["online"].as_array().expect("lines");
    assert!(online.len() == 100 && online.iter().all(|l| l["rows"].as_u64() == Some(20000)), "{said}");
}

#[test]
fn exact_filters_change_no_byte_of_the_model_and_all_tell_what_they_save() {
    let place = place_with_clicks();
    place.ok("fit clicks.tsv --format criteo --l1 2 -m one");
    let job = "launch local --servers 2 --workers 2 -- fit clicks.tsv --format criteo --l1 2";
    place.ok(&format!("{job} -m exact --report exact.json --filters key-cache,zero,zstd:1 --pull-filters zero,lz4"));
    assert_eq!(place.read("one"), place.read("exact"));
    place.ok(&format!("{job} -m near --report near.json --filters error-feedback:fixed-point:2,zstd:1"));
    for (report, names) in [
        (
            "exact.json",
            &["kkt push", "kkt pull", "key-cache push", "zero push", "zstd push", "zero pull", "lz4 pull"][..],
        ),
        ("near.json", &["kkt push", "kkt pull", "error-feedback push", "zstd push"]),
    ] {
        let report: serde_json::Value = serde_json::from_slice(&place.read(report)).expect("a report");
        let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        let filters = report["filters"].as_array().expect("filters");
        let told: Vec<_> = filters.iter().map(|f| format!("{} {}", text(&f["name"]), text(&f["direction"]))).collect();
        assert_eq!(told, names);
        for f in filters.iter().filter(|f| f["name"] != "zero") {
            assert!(f["after"].as_u64() < f["before"].as_u64(), "{f}");
        }
        assert_eq!(report["converged"], true);
    }
    let unknown = place.run("fit clicks.tsv --format criteo --filters zip -m m");
    assert!(unknown.err.contains("expected a filter among countmin, ") && unknown.code == Some(2), "{}", unknown.err);
    place.refused(
        "fit clicks.tsv --format criteo --pull-filters fixed-point:2 -m m",
        &["expected pull_filters that are exact"],
    );
}

#[test]
fn losing_any_process_ends_all_and_names_it() {
    for victim in ["server 1", "worker 1", "worker 0", "scheduler"] {
        let place = place_with_clicks();
        let (mut job, mut err) = start(place.command(&format!("launch local --servers 2 --workers 2 -- {ENDLESS}")));
        read_until(&mut err, is_pass);
        let (role, rank) = victim.split_once(' ').unwrap_or((victim, ""));
        let all = children(&job);
        assert_eq!(all.len(), 5, "{all:?}");
        let is_victim = |line: &str| {
            let mut words = line.split(' ').skip(1);
            words.next() == Some(role) && (rank.is_empty() || line.contains(&format!("--rank {rank} ")))
        };
        let pid = all.iter().find(|(_, line)| is_victim(line)).expect("the victim").0;
        send(pid, Signal::KILL);
        let status = job.wait().expect("wait for the launcher");
        let mut rest = String::new();
        err.read_to_string(&mut rest).expect("the rest of standard error");
        assert_eq!(status.code(), Some(1), "{rest}");
        let last = rest.lines().rfind(|l| l.starts_with("error: launch local")).expect("an error of the launcher");
        assert!(last.contains(&format!("{victim} was ended by signal 9")), "{last}");
        assert_eq!(place.files(), ["clicks.tsv"]);
        for (pid, line) in all {
            assert!(!fs::exists(format!("/proc/{pid}")).unwrap_or(false), "still there: {line}");
        }
    }
}

/// A fit of some twenty passes, so that it can lose processes on its way and still end.
const LONG: &str = "fit clicks.tsv --format criteo --l1 0.05 --tol 1e-15 --passes 12 -m";
/// As long, by the steps of fields, which are told to the servers.
const GROUPED: &str = "fit clicks.tsv --format criteo --l1 1 --group-lasso 0.5 --tol 1e-15 --passes 24 -m";

#[test]
fn with_two_copies_any_server_or_the_scheduler_may_be_lost_and_the_model_stays_the_same_to_the_byte() {
    let place = place_with_clicks();
    for (fit, victims) in
        [(LONG, &["server 0"][..]), (LONG, &["server 1", "scheduler"]), (LONG, &["server 2"]), (GROUPED, &["server 1"])]
    {
        place.run(&format!("{fit} calm"));
        let calm = place.read("calm");
        let launch = "launch local --servers 3 --workers 2 --replicas 2 --";
        let (mut job, mut err) = start(place.command(&format!("{launch} {fit} stormy")));
        let mut said = String::new();
        for victim in victims {
            read_until(&mut err, is_pass);
            read_until(&mut err, is_pass);
            let (role, rank) = victim.split_once(' ').unwrap_or((victim, ""));
            let is_victim = |line: &str| {
                line.split(' ').nth(1) == Some(role) && (rank.is_empty() || line.contains(&format!("--rank {rank} ")))
            };
            let all = children(&job);
            send(all.iter().find(|(_, line)| is_victim(line)).expect("the victim").0, Signal::KILL);
        }
        err.read_to_string(&mut said).expect("the rest of standard error");
        let status = job.wait().expect("wait for the launcher");
        assert_eq!(status.code(), Some(0), "{victims:?}: {said}");
        assert!(said.contains("another takes its place"), "{victims:?}: {said}");
        assert!(place.read("stormy") == calm, "the loss of {victims:?} changed the model");
    }
}

#[test]
fn a_signal_ends_a_fit_with_the_model_so_far() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let place = place_with_clicks();
        let (mut fit, mut err) = start(place.command(ENDLESS));
        read_until(&mut err, is_pass);
        send(fit.id(), signal);
        let status = fit.wait().expect("wait for the fit");
        let mut rest = String::new();
        err.read_to_string(&mut rest).expect("the rest of standard error");
        assert_eq!(status.code(), Some(code), "{rest}");
        assert!(rest.contains("with the model so far"), "{rest}");
        assert!(place.ok("inspect model").out.contains("kind       model"));
    }
}

#[test]
fn a_signal_to_the_launcher_saves_the_model_so_far() {
    let place = place_with_clicks();
    let (mut job, mut err) = start(place.command(&format!("launch local --servers 1 --workers 2 -- {ENDLESS}")));
    read_until(&mut err, is_pass);
    send(job.id(), Signal::TERM);
    let status = job.wait().expect("wait for the launcher");
    let mut rest = String::new();
    err.read_to_string(&mut rest).expect("the rest of standard error");
    assert_eq!(status.code(), Some(143), "{rest}");
    assert!(place.ok("inspect model").out.contains("kind       model"), "{rest}");
}

#[test]
fn bad_input_of_a_job_is_told_once_before_anything_starts() {
    let place = Place::new();
    place.write("bad", "+1 3:1 2:1\n");
    place.refused("launch local --workers 2 -- fit bad --format libsvm -m model", &["bad", "line 1"]);
    place.refused("launch local -- predict bad -m model", &["expected fit and its options"]);
    place.refused("launch local -- fit - -m model", &["standard input cannot be shared"]);
}
