//! Requests uncached records from the durable tier, and fills the caches.

use std::sync::Arc;

use super::flights::{Departure, Landing, Role};
use super::{TOGETHER, means_away};
use crate::engine::Shared;
use crate::engine::cache_writer::CacheWork;
use crate::error::{Error, Result};
use crate::store::record::{Key, Record};

impl Shared {
    /// Requests records from the durable tier, each key once for all concurrent readers. Answers in the order
    /// of the keys.
    pub(super) async fn fetch(&self, keys: &[&Key]) -> Vec<Result<Option<Record>, Arc<Error>>> {
        let mut answers: Vec<Landing> = vec![None; keys.len()];
        while answers.iter().any(Option::is_none) {
            // A request leaves the map before its leader ends: a follower of a cancelled request must find it
            // gone.
            let (mut led, mut followed) = (Vec::new(), Vec::new());
            for place in (0..keys.len()).filter(|place| answers[*place].is_none()) {
                match self.flights.board(keys[place]) {
                    Role::Lead(leader) => {
                        let departure = Departure { flights: &self.flights, key: keys[place] };
                        led.push((place, departure, leader));
                    }
                    Role::Follow(flight) => followed.push((place, flight)),
                }
            }
            // Led requests are answered before this one waits for others: no waiter waits for a waiter.
            let generation = self.generation();
            let wanted: Vec<Key> = led.iter().map(|(place, ..)| keys[*place].clone()).collect();
            for ((place, departure, leader), answer) in led.into_iter().zip(self.get_each(&wanted).await) {
                if let Ok(found) = &answer {
                    self.landed(keys[place], found.as_ref(), generation);
                }
                answers[place] = Some(answer);
                leader.send_replace(answers[place].clone());
                drop(departure);
            }
            for (place, mut flight) in followed {
                // An error means that the leader was cancelled: another reader must lead.
                if let Ok(landed) = flight.wait_for(Option::is_some).await {
                    answers[place].clone_from(&landed);
                }
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// Requests some records from the durable tier with as few requests as possible. A refused or damaged
    /// record only fails alone.
    async fn get_each(&self, keys: &[Key]) -> Vec<Result<Option<Record>, Arc<Error>>> {
        let mut answers = Vec::with_capacity(keys.len());
        for together in keys.chunks(TOGETHER) {
            match self.durable.get(together).await {
                Ok(mut found) => {
                    found.resize(together.len(), None);
                    answers.extend(found.into_iter().map(|found| self.stored(found).map_err(Arc::new)));
                }
                Err(error) if means_away(&error) || together.len() == 1 => {
                    let error = Arc::new(error);
                    answers.extend(together.iter().map(|_| Err(Arc::clone(&error))));
                }
                Err(_) => {
                    for key in together {
                        let found = self.durable.get(std::slice::from_ref(key)).await;
                        let found = found.and_then(|mut found| self.stored(found.pop().flatten()));
                        answers.push(found.map_err(Arc::new));
                    }
                }
            }
        }
        answers
    }

    /// Fills the caches, unless the change feed was applied since the request: the answer may be older than the
    /// feed.
    pub(super) fn landed(&self, key: &Key, found: Option<&Record>, generation: u64) {
        match found {
            Some(record) => {
                self.missing.invalidate(key);
                self.fill_in(generation, || {
                    self.hot.fill(record, self.clock.now());
                    self.cache_writer.push(CacheWork::Records(vec![record.clone()]));
                });
            }
            None => {
                self.missing.insert(key.clone(), ());
                // A commit fills the hot layer and then clears the mark: one of the two sees the other.
                if self.hot.get(key).is_some() {
                    self.missing.invalidate(key);
                }
            }
        }
    }
}
