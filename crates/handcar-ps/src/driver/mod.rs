//! Drivers: what carries the engines' messages.

pub mod local;
pub mod net;
pub mod sim;
