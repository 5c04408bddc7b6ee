//! The readable form of a model.

use super::{Model, ModelError, write_aside};
use std::path::Path;

impl Model {
    /// Writes one `name<TAB>weight` a line: the intercept first, then the weights from the strongest to the weakest.
    /// Tabs, line ends and backslashes in names are written as `\t`, `\n`, `\r` and `\\`. Weights read back exactly.
    ///
    /// # Errors
    /// [`ModelError::Write`]; an older file stays as it was.
    pub fn write_text(&self, path: &Path) -> Result<(), ModelError> {
        write_aside(path, |out| {
            writeln!(out, "(intercept)\t{}", self.intercept)?;
            for i in self.strongest(self.nnz()) {
                writeln!(out, "{}\t{}", escape(&self.name(i)), self.weights[i])?;
            }
            Ok(())
        })
        .map_err(|source| ModelError::Write { path: path.to_path_buf(), source })
    }
}

fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::model::tests::small;

    #[test]
    fn text_has_the_intercept_then_the_strongest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.tsv");
        small().write_text(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, "(intercept)\t-0.125\nnine\t-2\nfield=tab\\there\t2\ntwo\t0.5\n");
    }
}
