//! Learning for agent-memory, free of I/O: completed episodes in, probabilities of tools out.
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
