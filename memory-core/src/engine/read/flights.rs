//! Concurrent misses of one key make one request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::id::lock;
use crate::store::record::{Key, Record};

/// The result of a request, once it has arrived.
pub(super) type Landing = Option<Result<Option<Record>, Arc<Error>>>;

/// Requests to the durable tier under way, so that concurrent misses of one key make one request.
#[derive(Default)]
pub(crate) struct Flights {
    under_way: Mutex<HashMap<Key, watch::Receiver<Landing>>>,
}

/// Takes a flight off the list when its leader is done or cancelled.
pub(super) struct Departure<'a> {
    pub(super) flights: &'a Flights,
    pub(super) key: &'a Key,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        lock(&self.flights.under_way).remove(self.key);
    }
}

/// The role of a reader of a key: the first leads, the others wait for it.
pub(super) enum Role {
    Lead(watch::Sender<Landing>),
    Follow(watch::Receiver<Landing>),
}

impl Flights {
    pub(super) fn board(&self, key: &Key) -> Role {
        let mut under_way = lock(&self.under_way);
        if let Some(flight) = under_way.get(key) {
            return Role::Follow(flight.clone());
        }
        let (leader, flight) = watch::channel(None);
        under_way.insert(key.clone(), flight);
        Role::Lead(leader)
    }
}
