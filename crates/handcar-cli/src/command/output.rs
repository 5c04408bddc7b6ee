//! Where a command's main output goes.

use anyhow::{Context, Result};
use handcar_train::model::write_aside;
use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

/// Lets `fill` write to a file, whole or not at all, or to standard output for `-`.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    if path == Path::new("-") {
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        fill(&mut out)?;
        return out.flush().context("write to standard output");
    }
    // The closure's error may be of any kind; it must come back as it is, not squeezed into an I/O error.
    let mut inner = Ok(());
    let written = write_aside(path, |out| {
        inner = fill(out);
        inner.as_ref().map_err(|_| io::Error::other("not finished")).copied()
    });
    inner.with_context(|| format!("write {}", path.display()))?;
    written.with_context(|| format!("write {}", path.display()))
}
