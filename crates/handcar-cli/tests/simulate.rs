//! `handcar simulate`: seeds, stories, replays, reports, and arguments that make no sense.

mod common;
use common::Place;

fn json(place: &Place, name: &str) -> serde_json::Value {
    serde_json::from_slice(&place.read(name)).expect("a report is JSON")
}

#[test]
fn seeds_without_violation_end_well_and_are_reported() {
    let place = Place::new();
    let ran = place.ok("simulate faults --seeds 3..5 --minutes 1 --threads 2 --report r.json");
    assert!(ran.out.contains("2, 0 violations") && ran.err.is_empty(), "{}{}", ran.out, ran.err);
    let report = json(&place, "r.json");
    assert_eq!((report["first_seed"].as_u64(), report["seeds"].as_u64()), (Some(3), Some(2)));
    assert_eq!(report["violations"], serde_json::json!({}));
    assert!(report["faults_total"].as_u64() > Some(0) && report["tasks"].as_u64() > Some(0));
}

#[test]
fn a_mistake_is_found_and_its_replay_tells_the_same_story() {
    let place = Place::new();
    let ran = place.ok("-q simulate faults --seeds 0..20 --minutes 1 --broken no-duplicate-check --report r.md");
    assert!(ran.out.contains("1 of 1 mistakes found"), "{}", ran.out);
    assert!(place.text("r.md").contains("| `no-duplicate-check` | a single push that comes again is applied again |"));
    let story = |_| place.ok("-q simulate faults --seeds 0..20 --minutes 1 --broken no-duplicate-check --story").out;
    let [one, two] = [(), ()].map(story);
    let (one, two) = (one.rsplit_once('\n').unwrap().0.to_owned(), two);
    let told =
        |text: &str| text.lines().filter(|l| !l.contains("mistakes found")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(told(&one), told(&two));
    let replay = one.lines().find(|l| l.trim_start().starts_with("handcar simulate faults")).expect("a replay");
    let again = place.ok(&format!("-q {}", replay.trim_start().trim_start_matches("handcar ")));
    assert_eq!(told(&again.out), told(&one), "{replay}");
    assert!(one.contains("VIOLATION: ") && one.contains("FAULT: "), "{one}");
}

#[test]
fn a_mistake_that_no_seed_finds_is_a_failure() {
    let words = ["expected every mistake to be found", "drained-early"];
    Place::new().refused("-q simulate faults --seeds 0..1 --minutes 1 --servers 1 --broken drained-early", &words);
}

#[test]
fn arguments_without_sense_are_refused_with_what_was_expected() {
    let place = Place::new();
    for (args, expected) in [
        ("--seeds 7..3", "expected A..B with A below B, or one seed"),
        ("--seeds many", "expected A..B with A below B, or one seed"),
        ("--minutes 0", "0 is not in 1..=1440"),
        ("--servers 99", "99 is not in 1..=8"),
        ("--broken no-sleep", "expected one of no-duplicate-check"),
        ("--count", "--broken"),
        ("--story --seeds 0..1 extra", "unexpected argument 'extra'"),
    ] {
        let ran = place.run(&format!("simulate faults {args}"));
        assert_eq!(ran.code, Some(2), "{args}\n{}", ran.err);
        assert!(ran.err.contains(expected), "{args}\n{}", ran.err);
    }
}

#[test]
fn help_names_what_can_be_simulated_and_how() {
    let place = Place::new();
    let kinds = place.ok("simulate --help").out;
    assert!(kinds.contains("faults"), "{kinds}");
    let help = place.ok("simulate faults --help").out;
    for option in ["--seeds", "--minutes", "--story", "--broken", "--count", "--report"] {
        assert!(help.contains(option), "{option}\n{help}");
    }
}

#[test]
fn delays_tell_the_same_twice_and_on_any_number_of_threads() {
    let place = Place::new();
    place.ok("synth criteo --rows 2000 --seed 3 -o clicks.tsv");
    let delay = "-q simulate delay clicks.tsv --format criteo --workers 20 --spread 30 --pushes 200 --rates 0.05,0.1 --seeds 3..5";
    let ran = place.ok(&format!("{delay} --report one.json --threads 1"));
    assert!(ran.out.contains("delays") && ran.out.contains("median"), "{}", ran.out);
    let header = ran.out.lines().find(|l| l.starts_with("seed")).expect("a header");
    let columns: Vec<&str> = header.split_whitespace().collect();
    assert_eq!(columns, ["seed", "target", "async-adagrad", "adadelay", "adaptive-revision"]);
    place.ok(&format!("{delay} --report two.json --threads 3"));
    assert_eq!(place.text("one.json"), place.text("two.json"));
    let report = json(&place, "one.json");
    assert_eq!(report["seeds"].as_array().map(Vec::len), Some(2));
    let names: Vec<_> = report["solvers"].as_array().expect("solvers").iter().map(|s| s["solver"].clone()).collect();
    assert_eq!(names, ["async-adagrad", "adadelay", "adaptive-revision"]);
    assert_eq!(report["solvers"][0]["share"].as_f64(), Some(1.0));
}

#[test]
fn rates_at_which_nobody_comes_to_an_end_are_refused() {
    let place = Place::new();
    place.ok("synth criteo --rows 500 --seed 3 -o clicks.tsv");
    let delay = "-q simulate delay clicks.tsv --format criteo --workers 5 --pushes 100 --seeds 3..4 --rates 1e300";
    place.refused(delay, &["--rates: expected one at which async-adagrad ends with a finite loss", "--target LOSS"]);
    assert!(place.ok(&format!("{delay} --target 0.5")).out.contains("never"));
}
