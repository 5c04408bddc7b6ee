//! Groups of options that several commands share. The edge: flags become library settings here and nowhere else.

mod data;
mod filters;
mod numbers;
mod output;
mod seeds;
mod train;

pub use data::{CacheDirArgs, InputArgs, SchemaArgs};
pub use output::ReportArgs;
pub use seeds::seeds;
pub use train::TrainArgs;

pub use filters::filters;
pub use numbers::{count, factor, not_negative, not_positive, part, positive, share};
