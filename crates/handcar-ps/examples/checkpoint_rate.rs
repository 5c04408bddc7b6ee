//! Question: how fast does one process save, save again unchanged, and verify a checkpoint?
//!
//! Data: 16 pieces of 64 MiB of hashed counters, one table. Place: a directory or `s3://bucket/prefix`, which should be
//! new; 1 GiB is written there and left.
//!
//! ```text
//! cargo run --release -p handcar-ps --example checkpoint_rate -- DIRECTORY
//! ```

use handcar_ps::checkpoint::{
    Choice, Manifest, PieceId, PlaceConfig, PositionRange, Reader, Result, ShapeRecord, TableRecord, Writer, open_place,
};
use std::time::Instant;

const PIECES: u32 = 16;
const PIECE_BYTES: usize = 64 << 20;

fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_default();
    let config = PlaceConfig { url, settings: std::env::vars().collect(), ..PlaceConfig::default() };
    let blobs = open_place(&config, true)?;
    let writer = Writer::new(&*blobs);
    let piece = |n: u32| -> Vec<u8> {
        let first = n as u64 * (PIECE_BYTES / 8) as u64;
        (first..).take(PIECE_BYTES / 8).flat_map(|k| handcar_base::key::position(k).to_le_bytes()).collect()
    };
    let data: Vec<_> = (0..PIECES).map(piece).collect();
    let gib = (PIECES as usize * PIECE_BYTES) as f64 / (1u64 << 30) as f64;
    let shape = ShapeRecord { push: "i64".into(), push_width: 1, pull: "i64".into(), pull_width: 1 };
    let table = TableRecord { id: 0, name: "t".into(), updater: "assign.i64".into(), params: vec![], shape };

    for what in ["saved", "saved again unchanged"] {
        let start = Instant::now();
        let write = |n: u32| {
            let id = PieceId { table: 0, range: PositionRange::share(n, PIECES)? };
            writer.piece(id, (PIECE_BYTES / 8) as u64, &data[n as usize], b"")
        };
        let pieces = (0..PIECES).map(write).collect::<Result<Vec<_>>>()?;
        let new = Manifest::new("rate", writer.next_sequence()?);
        writer.commit(Manifest { tables: vec![table.clone()], pieces, servers: 1, ..new })?;
        report(what, gib, start);
    }
    let start = Instant::now();
    Reader::open(&*blobs, Choice::Latest)?.verify_all()?;
    report("verified", gib, start);
    Ok(())
}

fn report(what: &str, gib: f64, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {gib} GiB in {seconds:.2} s, {:.2} GiB/s", gib / seconds);
}
