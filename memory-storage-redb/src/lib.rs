//! The local tier.
