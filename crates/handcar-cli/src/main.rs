//! The `handcar` command.
fn main() {}
