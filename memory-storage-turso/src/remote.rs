//! The durable tier on a server.
