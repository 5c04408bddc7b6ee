//! Penalties: convex functions of each weight, used through their proximal step.

mod bounds;
mod elastic_net;

pub use bounds::{Bounds, ZeroOutside};
pub use elastic_net::{ElasticNet, soft};
