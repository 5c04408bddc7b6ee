//! Who may know whom: the dependency edges between the packages, as drawn in ARCHITECTURE.md.

use crate::tree::{expect_none, root};
use serde_json::Value;
use std::process::Command;

const LAYERS_BELOW_TRAIN: [&str; 5] =
    ["handcar-base", "handcar-kernels", "handcar-data", "handcar-ps", "handcar-tensor"];

/// What a package may depend on among ours, also in its tests. `None`: the package may know all of them.
fn may_know(package: &str) -> Option<Vec<&'static str>> {
    let leaves = ["handcar-base", "handcar-kernels"];
    Some(match package {
        "handcar-base" | "handcar-kernels" => vec![],
        "handcar-data" | "handcar-ps" | "handcar-tensor" => leaves.to_vec(),
        "handcar-train" => LAYERS_BELOW_TRAIN.to_vec(),
        "handcar-cli" | "handcar-python" => [&LAYERS_BELOW_TRAIN[..], &["handcar-train"]].concat(),
        _ => return None,
    })
}

/// Outside packages that would break what a crate promises not to know.
const NOT_IN: [(&str, &[&str]); 4] = [
    ("handcar-base", &["tokio", "mio", "socket2", "memmap2", "clap"]),
    ("handcar-data", &["tokio", "mio", "socket2", "clap"]),
    ("handcar-ps", &["clap", "csv", "arrow", "parquet"]),
    ("handcar-train", &["clap", "indicatif", "pyo3", "mio", "socket2"]),
];

fn packages() -> Vec<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let metadata = |manifest: &str| -> Vec<Value> {
        let out = Command::new(&cargo)
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
            .arg(root().join(manifest))
            .output()
            .expect("cargo runs");
        assert!(out.status.success(), "cargo metadata {manifest}: {}", String::from_utf8_lossy(&out.stderr));
        let parsed: Value = serde_json::from_slice(&out.stdout).expect("cargo metadata prints JSON");
        parsed["packages"].as_array().expect("a list of packages").clone()
    };
    metadata("Cargo.toml")
}

fn name(value: &Value) -> &str {
    value["name"].as_str().expect("a name")
}

#[test]
fn packages_know_only_the_layers_below_them() {
    let mut wrong = Vec::new();
    for package in packages() {
        let Some(allowed) = may_know(name(&package)) else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = name(dependency);
            if dependency["path"].is_string() && !allowed.contains(&on) {
                wrong.push(format!("{} → {on}; allowed: {allowed:?}", name(&package)));
            }
        }
    }
    expect_none("an edge that ARCHITECTURE.md does not draw", &wrong);
}

#[test]
fn packages_stay_ignorant_of_what_they_promise_not_to_know() {
    let mut wrong = Vec::new();
    for package in packages() {
        let Some((_, banned)) = NOT_IN.iter().find(|(p, _)| *p == name(&package)) else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if banned.contains(&name(dependency)) {
                wrong.push(format!("{} → {}", name(&package), name(dependency)));
            }
        }
    }
    expect_none("a dependency that its layer must not know", &wrong);
}

#[test]
fn packages_take_versions_and_lints_from_the_workspace() {
    let mut wrong = Vec::new();
    for package in packages() {
        let manifest = package["manifest_path"].as_str().expect("a path");
        let text = std::fs::read_to_string(manifest).expect("a readable manifest");
        if !text.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{}: expected `[lints] workspace = true`", name(&package)));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let line = format!("{} = {{ workspace = true", name(dependency));
            let dotted = format!("{}.workspace = true", name(dependency));
            if !text.contains(&line) && !text.contains(&dotted) {
                wrong.push(format!("{}: expected `{line} }}`", name(&package)));
            }
        }
    }
    expect_none("versions are chosen once, in the workspace's Cargo.toml", &wrong);
}
