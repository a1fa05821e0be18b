//! The durable tier.
