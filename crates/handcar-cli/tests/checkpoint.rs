//! Claims about `handcar checkpoint`: what is there, whether it is whole, what goes.

mod common;

use common::Place;
use handcar_base::KeyList;
use handcar_ps::checkpoint::LocalBlobs;
use handcar_ps::{Registry, driver::local};
use std::fs;

/// Three checkpoints of a growing table.
fn saved(place: &Place) {
    let blobs = LocalBlobs::create(&place.path("kept")).unwrap();
    let mut worker = local::cluster(1, 2, &Registry::new()).remove(0);
    let table = worker.create_table("clicks", "sum.f32", &[]).unwrap();
    for n in 1..=3u64 {
        let keys = KeyList::new((0..100 * n).collect()).unwrap();
        worker.push(table, &keys, vec![1.0f32; keys.len()]).wait().unwrap();
        worker.save(&blobs, "mine").unwrap();
    }
    worker.finish().unwrap();
}

#[test]
fn checkpoints_are_listed_verified_and_pruned() {
    let place = Place::new();
    saved(&place);
    let listed = place.ok("checkpoint list kept").out;
    assert!(
        listed.contains("     2  mine  tables clicks  200 keys") && listed.contains("3 checkpoints in "),
        "{listed}"
    );
    assert!(place.ok("checkpoint verify kept").out.contains("     3  mine  tables clicks  300 keys"));
    assert!(place.ok("checkpoint verify kept --number 1").out.contains("every byte as written"));
    let pruned = place.ok("checkpoint prune kept --keep 1").out;
    assert!(pruned.starts_with("kept 1, removed 2 with 2 pieces"), "{pruned}");
    assert!(place.ok("checkpoint list kept").out.contains("1 checkpoints in "));
}

#[test]
fn damage_and_wrong_places_are_told() {
    let place = Place::new();
    saved(&place);
    let piece = fs::read_dir(place.path("kept/pieces")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&piece).unwrap();
    bytes[20] ^= 1;
    fs::remove_file(&piece).unwrap();
    fs::write(&piece, bytes).unwrap();
    let told: Vec<String> = (1..=3)
        .map(|n| place.run(&format!("checkpoint verify kept --number {n}")))
        .filter(|ran| ran.code != Some(0))
        .map(|ran| ran.err)
        .collect();
    assert!(told.len() == 1 && told[0].contains("expected BLAKE3"), "{told:?}");
    let manifest = place.path("kept/manifests/00000000000000000003");
    fs::write(&manifest, &fs::read(&manifest).unwrap()[..40]).unwrap();
    assert!(place.ok("checkpoint list kept").out.contains("     3  damaged: "));
    let latest = place.run("checkpoint verify kept");
    assert!(latest.code != Some(0) && latest.err.contains("checkpoint 3 is damaged"), "{}", latest.err);
    let none = place.run("checkpoint list nowhere");
    assert!(none.code != Some(0) && none.err.contains("nowhere"), "{}", none.err);
}
