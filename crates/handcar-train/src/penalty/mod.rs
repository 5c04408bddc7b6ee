//! Penalties: convex functions of each weight, or of the weights of a field, used through their proximal step.

mod bounds;
mod elastic_net;
mod group_lasso;

pub use bounds::{Bounds, ZeroOutside};
pub use elastic_net::{ElasticNet, soft};
pub use group_lasso::GroupLasso;
