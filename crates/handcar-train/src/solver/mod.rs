//! Solvers; each is worker code plus the updater that its servers run.

pub mod dbpg;
