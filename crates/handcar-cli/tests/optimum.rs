//! The proven optimum of a9a over real processes: two servers and two workers, joined by TCP.
//!
//! The data do not ship: the test says so and passes when they are absent.

mod common;
use common::Place;
use std::path::Path;

#[test]
fn two_servers_and_two_workers_over_tcp_reach_the_proven_optimum() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/beside/a9a/a9a.gz");
    if !data.exists() {
        println!("SKIPPED: {} is absent", data.display());
        return;
    }
    let place = Place::new();
    // Proven optima without intercept.
    for (l1, best) in [("1", 10558.7233706), ("10", 10826.1667063)] {
        let mut found = Vec::new();
        for more in ["", "--delay 4", "--tol 1e-7", "--tol 1e-7 --no-kkt-filter", "--solver lbfgs"] {
            place.ok(&format!(
                "launch local --servers 2 --workers 2 -- fit {} --l1 {l1} --no-intercept {more} -m m --report r",
                data.display()
            ));
            let report: serde_json::Value = serde_json::from_slice(&place.read("r")).unwrap();
            let objective = report["objective"].as_f64().unwrap();
            let gap = report["kkt"]["gap_bound"].as_f64().unwrap();
            println!("l1 {l1} 2x2 {more}: {:.1e} off, gap {gap:.1e}", (objective - best) / best);
            assert!((objective - best).abs() <= 1e-5 * best && report["converged"] == true, "{objective}");
            assert!(objective * (1.0 - gap) <= best * (1.0 + 1e-9), "claims more than {best}");
            found.push(objective);
        }
        assert!((found[2] - found[3]).abs() <= 1e-6 * best, "filter on and off: {found:?}");
    }
}
