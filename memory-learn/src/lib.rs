//! Learning for agent-memory, free of I/O: computes probabilities of tools, and other learned items, from
//! completed episodes.
//!
//! Pure functions over domain types, without clock and chance.
//!
//! ```
//! use memory_learn::advise::{Example, Model, Params, Query};
//!
//! let mut model = Model::new(Params::default());
//! for round in 0..20 {
//!     let ship = ["Ship the parcel to Oslo", "Ship the box to Rome"][round % 2];
//!     model.learn(Example::new(2 * round as u128, ship).used(["courier"]));
//!     let refund = ["Refund the broken lamp", "Refund the wrong chair"][round % 2];
//!     model.learn(Example::new(2 * round as u128 + 1, refund).used(["bank"]));
//! }
//! model.calibrate();
//! let advice = model.predict(&Query::new("Please ship this crate to Bern"));
//! assert_eq!(advice.named(), ["courier"]);
//! ```

pub mod advise;
pub mod calls;
pub mod confidence;
pub mod consolidate;
pub mod demotion;
pub mod errors;
pub mod extract;
pub mod failure;
pub mod fingerprint;
pub mod heuristics;
pub mod holdout;
pub mod identity;
pub mod keywords;
pub mod lift;
pub mod metrics;
pub mod playbook;
pub mod recovery;
pub mod reflect;
pub mod remedies;
pub mod reward;
pub mod rulings;
pub mod shape;
pub mod trace;
mod way_out;
