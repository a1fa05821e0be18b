//! The durable tier against its contract, the traps of its substrate, and a real server.

mod contract;
