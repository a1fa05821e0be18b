//! The storage contract: records, queries, the traits of both tiers, and decorators around them.

#[cfg(feature = "testing")]
pub mod conformance;
pub(crate) mod contact;
pub(crate) mod dead_letter;
pub(crate) mod decorate;
#[cfg(feature = "testing")]
pub(crate) mod fixtures;
#[cfg(feature = "testing")]
pub(crate) mod memory_store;
pub(crate) mod query;
pub(crate) mod record;
pub(crate) mod time;
pub(crate) mod traits;
pub(crate) mod wire;
