//! Commands shown to a reader use only options that the command line knows.

use crate::markdown::fences;
use crate::tree::{expect_none, files, handcar, read};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The commands shown in the shell blocks of a page, as (line, words), with continued lines joined.
fn shown(page: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for fence in fences(page).into_iter().filter(|f| ["sh", "console", "bash"].contains(&f.language.as_str())) {
        for (n, command) in fence.text.replace("\\\n", " ").lines().enumerate() {
            let command = command.trim_start_matches("$ ").split(" #").next().unwrap_or("");
            let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            let cargo_run = words.starts_with(&["cargo".into(), "run".into()]);
            let start = if cargo_run { words.iter().position(|w| w == "--") } else { None };
            if words.first().is_some_and(|w| w == "handcar") || start.is_some() {
                found.push((fence.line + n + 1, words[start.unwrap_or(0) + 1..].to_vec()));
            }
        }
    }
    found
}

/// What `handcar SUBCOMMAND --help` prints; `None` if there is no such subcommand.
fn help(handcar: &Path, subcommand: &[String]) -> Option<String> {
    let out = Command::new(handcar).args(subcommand).arg("--help").output().expect("handcar runs");
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Splits a command at `--`: `handcar launch local ... -- fit ...` shows two.
fn parts(words: &[String]) -> Vec<&[String]> {
    words.split(|w| w == "--").filter(|part| !part.is_empty()).collect()
}

#[test]
fn shell_blocks_show_only_options_that_exist() {
    let Some(handcar) = handcar() else {
        println!("SKIPPED: no handcar beside this test; `cargo test --workspace` builds it");
        return;
    };
    let mut known: BTreeMap<Vec<String>, Option<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let pages = files("docs", &["md"]).into_iter().chain(["README.md", "SECURITY.md"].map(Into::into));
    for page in pages {
        for (line, words) in shown(&read(&page)) {
            for part in parts(&words) {
                // `launch local` and its like have two words; the rest one.
                let depth = if ["launch", "synth", "simulate", "checkpoint", "bench"].contains(&part[0].as_str()) {
                    2
                } else {
                    1
                };
                let name: Vec<String> = part.iter().take(depth).filter(|w| !w.starts_with('-')).cloned().collect();
                let text = known.entry(name.clone()).or_insert_with(|| help(&handcar, &name));
                let Some(text) = text else {
                    wrong.push(format!("{}:{line}: handcar {}: no such command", page.display(), name.join(" ")));
                    continue;
                };
                for option in part.iter().filter(|w| w.starts_with("--") || w.len() == 2 && w.starts_with('-')) {
                    let option = option.split('=').next().unwrap_or(option);
                    let has = |w: &str| w.trim_matches(|c| ",[]=<>.".contains(c)) == option;
                    if !text.split_whitespace().any(has) {
                        wrong.push(format!("{}:{line}: handcar {}: no {option}", page.display(), name.join(" ")));
                    }
                }
            }
        }
    }
    expect_none("a command that a reader cannot run", &wrong);
}

#[test]
fn continued_and_launched_commands_are_split() {
    let page = "```sh\nhandcar launch local --servers 2 \\\n  -- fit x.tsv --l1 4 # note\ncargo run --release -p handcar-cli -- fit y\n```\n";
    let found = shown(page);
    let words: Vec<String> = found.iter().map(|(_, w)| w.join(" ")).collect();
    assert_eq!(words, ["launch local --servers 2 -- fit x.tsv --l1 4", "fit y"]);
    assert_eq!(parts(&found[0].1).len(), 2);
}
