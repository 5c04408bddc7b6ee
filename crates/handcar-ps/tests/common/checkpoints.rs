//! Claims about checkpoints of running jobs, over any driver.

use super::{PATIENT_MS, Start, each, keys};
use handcar_base::Key;
use handcar_ps::checkpoint::{BlobName, Blobs, Choice, Folder, Listed, LocalBlobs, MemoryBlobs, Put, Result};
use handcar_ps::{Error, Fault, TableId, Values, Worker};
use std::sync::Mutex;

/// As many keys as make several pieces, and no fewer.
const KEYS: u64 = 200_000;

fn all() -> Vec<Key> {
    (0..KEYS).map(|k| k * 7).collect()
}

/// Two tables, one with state that a pull does not show.
fn tables(w: &mut Worker) -> [TableId; 2] {
    [w.create_table("sums", "sum.f64", &[]).unwrap(), w.create_table("probes", "probe", &[]).unwrap()]
}

fn fill(w: &mut Worker, [sums, probes]: [TableId; 2]) {
    let list = keys(&all());
    let values: Vec<f64> = (0..KEYS).map(|k| k as f64 / 3.0 + w.rank() as f64).collect();
    w.push(sums, &list, values).submit().unwrap();
    w.push(probes, &keys(&[1, 5, 9]), vec![2i64; 6]).submit().unwrap();
}

fn seen(w: &mut Worker, [sums, probes]: [TableId; 2]) -> (Vec<f64>, Vec<f32>) {
    let sums = w.pull(sums, &keys(&all())).wait().unwrap().pulled.and_then(Values::into_vec).unwrap();
    let probes = w.pull(probes, &keys(&[1, 5, 9, 10])).wait().unwrap().pulled.and_then(Values::into_vec).unwrap();
    (sums, probes)
}

pub fn a_checkpoint_comes_back_on_any_number_of_servers(start: Start) {
    let folder = tempfile::tempdir().unwrap();
    let place = LocalBlobs::create(folder.path()).unwrap();
    let pieces = || std::fs::read_dir(folder.path().join("pieces")).unwrap().count();
    let first = each(start(2, 3, PATIENT_MS), |w| {
        let made = tables(w);
        fill(w, made);
        let first = w.save(&place, "job").unwrap();
        assert_eq!((first.sequence, first.tables.len(), first.parent), (1, 2, None));
        assert!(first.pieces.len() > 4, "{}", first.pieces.len());
        let (before, seen) = (pieces(), seen(w, made));
        w.barrier().unwrap();
        // One key more is one piece more.
        w.push(made[0], &keys(&[21]), vec![1.0f64]).wait().unwrap();
        let second = w.save(&place, "job").unwrap();
        assert_eq!((second.sequence, second.parent, pieces()), (2, Some(1), before + 1));
        seen
    });
    for (workers, servers) in [(1, 1), (3, 2), (2, 5)] {
        let back = each(start(workers, servers, PATIENT_MS), |w| {
            // What was there goes.
            let made = tables(w);
            w.push(made[0], &keys(&[0, 3]), vec![5.0f64, 6.0]).wait().unwrap();
            let restored = w.restore(&place, Choice::Sequence(1)).unwrap();
            assert_eq!(restored.tables, made);
            let back = seen(w, made);
            let gone = w.pull(made[0], &keys(&[3])).wait().unwrap().pulled;
            assert_eq!(gone, Some(vec![0.0f64].into()));
            w.barrier().unwrap();
            let latest = w.restore(&place, Choice::Latest).unwrap();
            assert_eq!(latest.manifest.sequence, 2);
            let sum = w.pull(made[0], &keys(&[21])).wait().unwrap().pulled.and_then(Values::into_vec::<f64>).unwrap();
            assert_eq!(sum[0], back.0[3] + 2.0, "both workers pushed one");
            back
        });
        assert!(back.iter().all(|b| *b == first[0]), "{workers} workers, {servers} servers");
    }
}

pub fn a_damaged_checkpoint_is_refused_whole_and_changes_nothing(start: Start) {
    let place = MemoryBlobs::new();
    each(start(2, 2, PATIENT_MS), |w| {
        let made = tables(w);
        fill(w, made);
        w.save(&place, "job").unwrap();
    });
    let pieces = Folder::new("pieces").unwrap();
    for listed in place.list(&pieces).unwrap().into_iter().step_by(3) {
        let name = pieces.blob(&listed.last).unwrap();
        let good = place.get(&name, u64::MAX).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        let torn = good[..good.len() - 1].to_vec();
        for damage in [Some(bad), Some(torn), None] {
            place.delete(&name).unwrap();
            if let Some(bytes) = &damage {
                place.put(&name, bytes).unwrap();
            }
            each(start(2, 1, PATIENT_MS), |w| {
                let made = tables(w);
                w.push(made[0], &keys(&[7]), vec![5.0f64]).wait().unwrap();
                let told = w.restore(&place, Choice::Latest).unwrap_err();
                let named = matches!(&told, Error::Checkpoint { by, .. } if by.starts_with("worker"));
                assert!(named && told.to_string().contains(&listed.last), "all hear the same: {told}");
                let kept = w.pull(made[0], &keys(&[7, 14])).wait().unwrap().pulled;
                assert_eq!(kept, Some(vec![10.0f64, 0.0].into()), "nothing has changed");
            });
        }
        place.delete(&name).unwrap();
        place.put(&name, &good).unwrap();
    }
}

/// A disk with room for some bytes.
struct Small<'a>(&'a MemoryBlobs, Mutex<u64>);

impl Blobs for Small<'_> {
    fn place(&self) -> String {
        "a small disk".into()
    }
    fn put(&self, name: &BlobName, bytes: &[u8]) -> Result<Put> {
        let mut left = self.1.lock().unwrap();
        let Some(after) = left.checked_sub(bytes.len() as u64) else {
            let (file, how) = (name.to_string(), "No space left on device".into());
            return Err(handcar_ps::checkpoint::Error::Full { op: "put", file, bytes: bytes.len() as u64, how });
        };
        *left = after;
        self.0.put(name, bytes)
    }
    fn get(&self, name: &BlobName, bytes_max: u64) -> Result<Vec<u8>> {
        self.0.get(name, bytes_max)
    }
    fn size(&self, name: &BlobName) -> Result<Option<u64>> {
        self.0.size(name)
    }
    fn list(&self, folder: &Folder) -> Result<Vec<Listed>> {
        self.0.list(folder)
    }
    fn delete(&self, name: &BlobName) -> Result<()> {
        self.0.delete(name)
    }
}

pub fn a_full_disk_ends_the_checkpoint_and_not_the_job(start: Start) {
    let place = MemoryBlobs::new();
    each(start(2, 2, PATIENT_MS), |w| {
        let made = tables(w);
        fill(w, made);
        w.save(&place, "job").unwrap();
        fill(w, made);
        let told = w.save(&Small(&place, Mutex::new(300_000)), "job").unwrap_err();
        assert!(matches!(told, Error::Checkpoint { fault: Fault::Full, .. }), "all hear the same: {told}");
        assert!(told.to_string().contains("expected room for"), "{told}");
        // The job goes on, and so do checkpoints once there is room.
        w.push(made[0], &keys(&[7]), vec![1.0f64]).wait().unwrap();
        let next = w.save(&place, "job").unwrap();
        assert_eq!(next.sequence, 2, "the failed one does not exist");
        let now = seen(w, made);
        w.barrier().unwrap();
        w.restore(&place, Choice::Sequence(1)).unwrap();
        assert_ne!(seen(w, made), now);
        w.barrier().unwrap();
        w.restore(&place, Choice::Latest).unwrap();
        assert_eq!(seen(w, made), now);
    });
}

pub fn a_failure_that_nobody_took_ends_one_checkpoint_for_all(start: Start) {
    let place = MemoryBlobs::new();
    each(start(2, 1, PATIENT_MS), |w| {
        let made = tables(w);
        if w.rank() == 1 {
            // The server refuses it; nobody looks.
            w.push(made[1], &keys(&[1]), vec![1i64; 2]).immediate().args(b"long").submit().unwrap();
        }
        let told = w.save(&place, "job").unwrap_err();
        assert!(told.to_string().contains("argument byte"), "all hear the same: {told}");
        assert_eq!(w.save(&place, "job").unwrap().sequence, 1, "it was told once");
    });
}

pub fn a_table_that_does_not_fit_is_told_with_expected_and_got(start: Start) {
    let place = MemoryBlobs::new();
    each(start(1, 1, PATIENT_MS), |w| {
        let told = w.restore(&place, Choice::Latest).unwrap_err();
        assert!(matches!(told, Error::Checkpoint { fault: Fault::None, .. }), "{told}");
        assert!(told.to_string().contains("expected a checkpoint"), "{told}");
        tables(w);
        w.save(&place, "job").unwrap();
    });
    each(start(2, 1, PATIENT_MS), |w| {
        w.create_table("sums", "sum.i64", &[]).unwrap();
        let told = w.restore(&place, Choice::Latest).unwrap_err().to_string();
        let want =
            "restore: expected table \"sums\" with updater \"sum.f64\" as in the checkpoint, got \"sum.i64\" with 0";
        assert!(told.contains(want), "{told}");
        let told = w.save(&place, "no such/job").unwrap_err().to_string();
        assert!(told.contains("no such/job") || told.contains("refused by worker 0"), "{told}");
    });
}
