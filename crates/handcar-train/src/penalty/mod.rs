//! Penalties: convex functions of each weight, used through their proximal step.

mod elastic_net;

pub use elastic_net::{ElasticNet, soft};
