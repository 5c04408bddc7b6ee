//! The engines: state machines without I/O, threads or clocks. `step(now, input)` returns what to send.

pub mod control;
pub mod plan;
pub mod policy;
pub mod ring;
pub mod rounds;
pub mod scheduler;
pub mod server;
pub mod task;
pub mod view;
pub mod worker;
