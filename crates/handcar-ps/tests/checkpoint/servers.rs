//! Any number of servers: what n wrote, m restore; and what did not change is not written again.

use crate::entries::{encode, manifest, restore, save, table, write_pieces};
use crate::faulty::Faulty;
use handcar_ps::checkpoint::{Choice, Error, MemoryBlobs, PieceId, PositionRange, Reader, Result, Writer};
use proptest::prelude::*;
use std::collections::BTreeMap;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_n_servers_give_m_servers_the_same_entries(
        tables in prop::collection::vec(prop::collection::btree_map(any::<u64>(), any::<u64>(), 0..40), 0..4),
        n in 1u32..8,
        m in 1u32..8,
    ) {
        let blobs = MemoryBlobs::new();
        let saved = save(&blobs, &tables, n).expect("saved");
        prop_assert_eq!(saved.keys(), tables.iter().map(|t| t.len() as u64).sum::<u64>());
        let reader = Reader::open(&blobs, Choice::Latest).expect("opened");
        prop_assert_eq!(reader.manifest(), &saved);
        prop_assert_eq!(restore(&reader, m).expect("restored"), tables);
    }
}

#[test]
fn what_did_not_change_is_not_written_again() -> Result<()> {
    let blobs = MemoryBlobs::new();
    let mut tables = [table(100, 1), table(100, 2)];
    let first = save(&blobs, &tables, 4)?;
    tables[1].insert(7, 7);
    let counting = Faulty::counting(&blobs);
    let pieces = write_pieces(&counting, &tables, 4)?;
    let mut count = BTreeMap::new();
    for operation in counting.operations() {
        *count.entry(operation.split(' ').next().unwrap_or("").to_owned()).or_insert(0) += 1;
    }
    assert_eq!(count, BTreeMap::from([("put".into(), 1), ("kept".into(), 7), ("get".into(), 7)]));
    let second = Writer::new(&blobs).commit(manifest(&blobs, &tables, pieces, 4)?)?;
    let shared = second.pieces.iter().filter(|p| first.pieces.iter().any(|q| q.blake3 == p.blake3)).count();
    assert_eq!(shared, 7);
    // A server that knows which of its tables changed does not even serialise the others.
    let counting = Faulty::counting(&blobs);
    let again = second.pieces.iter().map(|p| Writer::new(&counting).reuse(p, b"later")).collect::<Result<Vec<_>>>()?;
    assert!(counting.operations().iter().all(|o| o.starts_with("size ")));
    let third = Writer::new(&blobs).commit(manifest(&blobs, &tables, again, 4)?)?;
    let reader = Reader::open(&blobs, Choice::Latest)?;
    assert_eq!((reader.manifest(), restore(&reader, 3)?), (&third, tables.to_vec()));
    assert!(reader.manifest().pieces.iter().all(|p| p.meta == b"later"));
    Ok(())
}

#[test]
fn servers_write_at_once_and_a_restored_server_takes_only_its_share() -> Result<()> {
    let blobs = MemoryBlobs::new();
    let whole = table(500, 11);
    let pieces = std::thread::scope(|scope| {
        let servers: Vec<_> = (0..5)
            .map(|server| {
                let (blobs, whole) = (&blobs, &whole);
                scope.spawn(move || {
                    let range = PositionRange::share(server, 5)?;
                    let (keys, bytes) = encode(whole, range);
                    let record = Writer::new(blobs).piece(PieceId { table: 0, range }, keys, &bytes, b"")?;
                    Ok(record.to_bytes())
                })
            })
            .collect();
        servers.into_iter().map(|s| s.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    let mut pieces: Vec<_> =
        pieces.iter().map(|b| handcar_ps::checkpoint::PieceRecord::from_bytes(b)).collect::<Result<_>>()?;
    // They arrive in any order.
    pieces.reverse();
    Writer::new(&blobs).commit(manifest(&blobs, std::slice::from_ref(&whole), pieces, 5)?)?;
    let reader = Reader::open(&blobs, Choice::Latest)?;
    assert_eq!(reader.pieces(0, PositionRange::share(0, 5)?).count(), 1);
    assert_eq!(reader.pieces(0, PositionRange::share(0, 2)?).count(), 3);
    assert_eq!(reader.pieces(1, PositionRange::WHOLE).count(), 0);
    reader.verify(reader.pieces(0, PositionRange::share(0, 2)?))?;
    assert_eq!(restore(&reader, 2)?, [whole]);
    Ok(())
}

#[test]
fn an_empty_place_says_that_there_is_none() {
    let none = Reader::open(&MemoryBlobs::new(), Choice::Latest).err();
    assert_eq!(none, Some(Error::NoCheckpoint { place: "memory".into(), passed_over: vec![] }));
    assert!(matches!(Reader::open(&MemoryBlobs::new(), Choice::Sequence(4)).err(), Some(Error::Missing { .. })));
}
