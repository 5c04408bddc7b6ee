//! Checkpoints while servers are killed: each that was reported complete holds exactly what was pushed.

mod common;

use common::keys;
use common::trial::{Cluster, run_part, trials};
use handcar_base::{Key, Rng, Seed};
use handcar_ps::checkpoint::{Choice, LocalBlobs};
use handcar_ps::driver::net::{NodeConfig, connect_worker};
use handcar_ps::{Values, driver::local};
use rustix::process::Signal;
use std::time::Duration;

#[test]
fn a_process_of_the_cluster() {
    run_part();
}

#[test]
fn a_checkpoint_is_exact_though_servers_are_killed_while_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let place = LocalBlobs::create(folder.path()).unwrap();
    let mut cluster = Cluster::start_fixed(3, 1, 2);
    let mut w = connect_worker(&cluster.addr, &NodeConfig::default()).unwrap();
    let table = w.create_table("w", "sum.i64", &[]).unwrap();
    let list = keys(&(0..150_000).collect::<Vec<Key>>());
    let mut rng = Rng::new(Seed(5), 0);
    let mut during = 0;
    for trial in 1..=trials() as i64 {
        w.push(table, &list, vec![1i64; list.len()]).wait().unwrap();
        let epoch = w.view().epoch;
        let victim = cluster.servers.remove(rng.below(3) as usize);
        let after = Duration::from_micros(rng.below(30_000));
        let manifest = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::park_timeout(after);
                victim.signal(Signal::KILL);
            });
            w.save(&place, "job").unwrap()
        });
        during += (w.view().epoch > epoch) as u32;
        let mut copy = local::cluster(1, 2, &common::registry()).remove(0);
        let restored = copy.restore(&place, Choice::Sequence(manifest.sequence)).unwrap();
        let sums = copy.pull(restored.tables[0], &list).wait().unwrap().pulled.and_then(Values::into_vec::<i64>);
        assert!(sums.unwrap().iter().all(|&sum| sum == trial), "checkpoint {}", manifest.sequence);
        copy.finish().unwrap();
        drop(victim);
        cluster.add_server();
        // Pulls bring the news of views.
        loop {
            w.pull(table, &keys(&[1])).wait().unwrap();
            let view = w.view();
            if view.epoch > epoch + 1 && view.servers.len() == 3 && !view.unfilled() && !view.frozen {
                break;
            }
        }
    }
    println!("{} checkpoints, each exact; a new view came during {during} of them", trials());
    w.finish().unwrap();
}
