//! Checkpoints in S3: against moto, a server that speaks like it, on the loopback interface. Feature `object-store`.
//!
//! `./test` installs moto and names it in `HANDCAR_MOTO_SERVER`; by hand, `.venv/bin/moto_server` is tried too. Without
//! it the tests say SKIPPED, but for those that need no server.

#[path = "checkpoint/entries.rs"]
mod entries;
#[path = "checkpoint/faulty.rs"]
mod faulty;

use entries::{restore, save, table};
use faulty::{Death, Faulty};
use handcar_ps::checkpoint::{
    BlobName, Blobs, Choice, Error, Folder, Listed, ObjectBlobs, PlaceConfig, Put, Reader, Result, Writer, open_place,
};
use handcar_ps::{Registry, driver::local};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The server's program, if it is here.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("HANDCAR_MOTO_SERVER") {
        let named = PathBuf::from(named);
        assert!(named.exists(), "HANDCAR_MOTO_SERVER: expected {} to exist", named.display());
        return Some(named);
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/moto_server");
    beside.exists().then_some(beside)
}

/// A server with one bucket, `models`; it ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Option<Self> {
        let Some(program) = program() else {
            println!("SKIPPED: no moto_server (pip install 'moto[s3]' flask flask-cors)");
            return None;
        };
        let mut child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start moto_server");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let found = lines.by_ref().map_while(|l| l.ok()).find_map(|l| {
            let (_, address) = l.split_once("Running on http://")?;
            Some(address.trim().to_owned())
        });
        let server = Self { child, address: found.expect("moto_server says where it listens") };
        // It writes a line for each request, and would wait if nobody read them.
        std::thread::spawn(move || lines.map_while(|l| l.ok()).for_each(drop));
        server.make_bucket("models");
        Some(server)
    }

    /// Makes a bucket, which our own code has no business doing.
    fn make_bucket(&self, name: &str) {
        let mut stream = TcpStream::connect(&self.address).expect("connect");
        let request = format!("PUT /{name} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("receive");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    fn config(&self, url: &str) -> PlaceConfig {
        config(url, &self.address, 60_000)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(url: &str, address: &str, deadline_ms: u64) -> PlaceConfig {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings = vec![
        setting("AWS_ACCESS_KEY_ID", "test"),
        setting("AWS_SECRET_ACCESS_KEY", "test"),
        setting("AWS_REGION", "us-east-1"),
        setting("AWS_ENDPOINT_URL", &format!("http://{address}")),
        setting("PATH", "not for S3"),
    ];
    PlaceConfig { url: url.into(), deadline_ms, settings }
}

#[test]
fn a_checkpoint_goes_to_s3_and_comes_back() -> Result<()> {
    let Some(server) = Server::start() else { return Ok(()) };
    let blobs = open_place(&server.config("s3://models/jobs/ads"), true)?;
    assert!(matches!(Reader::open(&*blobs, Choice::Latest).err(), Some(Error::NoCheckpoint { .. })));
    // The second table is long enough that its pieces are asked for before they travel.
    let tables = |n: u64| [table(300, n), table(20_000, 5)];
    for n in 1..=3 {
        let counting = Faulty::counting(&*blobs);
        save(&counting, &tables(n), 3)?;
        let puts = counting.operations().iter().filter(|o| o.starts_with("put pieces/")).count();
        assert_eq!(puts, if n == 1 { 6 } else { 3 }, "unchanged pieces are not written again");
    }
    let again = open_place(&server.config("s3://models/jobs/ads/"), false)?;
    let reader = Reader::open(&*again, Choice::Latest)?;
    assert_eq!((reader.manifest().sequence, restore(&reader, 2)?), (3, tables(3).to_vec()));
    let done = Writer::new(&*again).prune(NonZeroUsize::MIN)?;
    assert_eq!((done.kept, done.removed, done.pieces), (vec![3], vec![1, 2], 6));
    assert_eq!(restore(&Reader::open(&*blobs, Choice::Latest)?, 5)?, tables(3));
    // Another prefix of the bucket is another place.
    let other = open_place(&server.config("s3://models/jobs/ad"), false)?;
    assert_eq!(other.list(&Folder::new("pieces")?)?, []);
    Ok(())
}

#[test]
fn the_tables_of_a_job_go_to_s3_and_come_back_to_other_servers() {
    let Some(server) = Server::start() else { return };
    let blobs = ObjectBlobs::open(&server.config("s3://models/running")).unwrap();
    let keys = handcar_base::KeyList::new((0..100_000).collect()).unwrap();
    let mut worker = local::cluster(1, 3, &Registry::new()).remove(0);
    let table = worker.create_table("w", "sum.f32", &[]).unwrap();
    worker.push(table, &keys, vec![1.5f32; keys.len()]).wait().unwrap();
    assert_eq!(worker.save(&blobs, "job").unwrap().pieces.len(), 2);
    worker.finish().unwrap();
    let mut worker = local::cluster(1, 2, &Registry::new()).remove(0);
    let restored = worker.restore(&blobs, Choice::Latest).unwrap();
    let pulled = worker.pull(restored.tables[0], &keys).wait().unwrap().pulled;
    assert_eq!(pulled, Some(vec![1.5f32; keys.len()].into()));
    worker.finish().unwrap();
}

#[test]
fn an_object_is_created_once_and_told_apart_from_none() -> Result<()> {
    let Some(server) = Server::start() else { return Ok(()) };
    let blobs = ObjectBlobs::open(&server.config("s3://models"))?;
    for (last, bytes) in [("small", 10), ("large", 3 << 20), ("empty", 0)] {
        let name = BlobName::new(&format!("p/{last}"))?;
        assert_eq!(blobs.size(&name)?, None);
        assert!(matches!(blobs.get(&name, 9), Err(Error::Missing { .. })));
        assert_eq!(blobs.put(&name, &vec![1; bytes])?, Put::Created);
        assert_eq!(blobs.put(&name, &vec![2; bytes])?, Put::Exists);
        assert_eq!(blobs.get(&name, bytes as u64)?, vec![1; bytes]);
        assert_eq!(blobs.size(&name)?, Some(bytes as u64));
        if let Some(less) = (bytes as u64).checked_sub(1) {
            assert!(matches!(blobs.get(&name, less), Err(Error::Damaged { .. })));
        }
    }
    let listed: Vec<String> = blobs.list(&Folder::new("p")?)?.into_iter().map(|l: Listed| l.last).collect();
    assert_eq!(listed, ["empty", "large", "small"]);
    let name = BlobName::new("p/small")?;
    blobs.delete(&name)?;
    blobs.delete(&name)?;
    assert_eq!(blobs.size(&name)?, None);
    Ok(())
}

#[test]
fn an_altered_or_missing_object_is_refused() -> Result<()> {
    let Some(server) = Server::start() else { return Ok(()) };
    let blobs = ObjectBlobs::open(&server.config("s3://models/job"))?;
    let first = save(&blobs, &[table(30, 1)], 2)?;
    let second = save(&blobs, &[table(30, 2)], 2)?;
    let name = second.pieces[0].name();
    let mut bytes = blobs.get(&name, second.pieces[0].bytes)?;
    bytes[5] ^= 1;
    blobs.delete(&name)?;
    blobs.put(&name, &bytes)?;
    let reader = Reader::open(&blobs, Choice::Latest)?;
    let refused = reader.verify_all().expect_err("a byte was changed");
    assert!(refused.is_damage() && refused.to_string().contains(name.last()), "{refused}");
    blobs.delete(&name)?;
    let reader = Reader::open(&blobs, Choice::Latest)?;
    assert_eq!((reader.manifest(), reader.passed_over()[0].sequence), (&first, 2));
    assert_eq!(restore(&reader, 4)?, [table(30, 1)]);
    Ok(())
}

#[test]
fn death_at_any_operation_leaves_the_old_checkpoint() -> Result<()> {
    let Some(server) = Server::start() else { return Ok(()) };
    let (old, new) = ([table(20, 1)], [table(20, 2)]);
    for death in [Death::Before, Death::After, Death::Torn] {
        for operations in 0.. {
            let url = format!("s3://models/{death:?}/{operations}");
            let blobs = ObjectBlobs::open(&server.config(&url))?;
            save(&blobs, &old, 1)?;
            let saved = save(&Faulty::dies_after(&blobs, operations, death), &new, 2);
            let latest = Reader::open(&blobs, Choice::Latest)?;
            let expected = if latest.manifest().sequence == 1 { &old } else { &new };
            assert_eq!(restore(&latest, 3)?, expected, "{url}");
            assert!(saved.is_err() || expected == &new, "{url}");
            if saved.is_ok() {
                break;
            }
        }
    }
    Ok(())
}

#[test]
fn servers_write_to_s3_at_once() -> Result<()> {
    let Some(server) = Server::start() else { return Ok(()) };
    let blobs = ObjectBlobs::open(&server.config("s3://models/many"))?;
    // Four threads share one store; none may block the others for good.
    let names = (0..4).map(|n| BlobName::new(&format!("p/{n}"))).collect::<Result<Vec<_>>>()?;
    std::thread::scope(|scope| {
        let writers: Vec<_> = names.iter().map(|name| scope.spawn(|| blobs.put(name, &[7; 100_000]))).collect();
        writers.into_iter().try_for_each(|w| w.join().expect("no panic").map(|put| assert_eq!(put, Put::Created)))
    })?;
    assert_eq!(blobs.list(&Folder::new("p")?)?.len(), 4);
    Ok(())
}

#[test]
fn a_bucket_that_is_not_there_is_said() -> Result<()> {
    let Some(server) = Server::start() else { return Ok(()) };
    let blobs = ObjectBlobs::open(&server.config("s3://nobody/x"))?;
    let refused = save(&blobs, &[table(3, 1)], 1).expect_err("no such bucket");
    assert!(refused.to_string().contains("s3://nobody/x"), "{refused}");
    assert!(Reader::open(&blobs, Choice::Latest).is_err());
    Ok(())
}

#[test]
fn a_server_that_is_silent_or_gone_ends_the_call_by_its_deadline() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let name = BlobName::new("p/a")?;
    let ask = |deadline_ms| -> Result<()> {
        let blobs = ObjectBlobs::open(&config("s3://models/x", &address, deadline_ms))?;
        for answer in [
            blobs.put(&name, b"x").map(drop),
            blobs.get(&name, 1).map(drop),
            blobs.size(&name).map(drop),
            blobs.list(&Folder::new("p")?).map(drop),
            blobs.delete(&name),
        ] {
            match answer {
                Err(Error::Deadline { file, deadline_ms: said, .. }) => {
                    assert!(said == deadline_ms && file.starts_with("s3://models/x/p"), "{file}");
                }
                // A refused connection may use up its tries before the deadline.
                Err(Error::Storage { .. }) => {}
                other => panic!("expected no answer, got {other:?}"),
            }
        }
        Ok(())
    };
    ask(50)?;
    drop(listener);
    ask(50)
}
