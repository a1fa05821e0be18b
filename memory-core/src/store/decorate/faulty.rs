//! Scripted faults, for tests.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::store::decorate::{Layer, Operation};

/// A fault in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call is not made and fails with this kind.
    Refuse(ErrorKind),
    /// The call is made, and its answer is lost: the caller sees `Unavailable`.
    LoseAnswer,
    /// The call is made, and its answer comes that much later.
    Late(Duration),
    /// The call is never answered.
    Hang,
    /// The call is not made and panics.
    Panic,
}

/// Injects scripted faults; cheap to clone, clones share the script.
#[derive(Debug, Clone, Default)]
pub struct Faulty {
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<(Option<Operation>, Fault)>,
    always: Option<Fault>,
    calls: u64,
}

impl Faulty {
    /// Creates a layer without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next call of `operation` (of any, for `None`) fail, after the faults scripted before.
    pub fn then(&self, operation: Option<Operation>, fault: Fault) {
        lock(&self.script).next.push_back((operation, fault));
    }

    /// Makes every call fail from now on, or none.
    pub fn always(&self, fault: Option<Fault>) {
        lock(&self.script).always = fault;
    }

    /// Returns how many calls were made through this layer, failed ones too.
    pub fn calls(&self) -> u64 {
        lock(&self.script).calls
    }

    fn next(&self, operation: Operation) -> Option<Fault> {
        let mut script = lock(&self.script);
        script.calls += 1;
        if let Some(fault) = script.always {
            return Some(fault);
        }
        let at =
            script.next.iter().position(|(scripted, _)| scripted.is_none_or(|only| only == operation))?;
        script.next.remove(at).map(|(_, fault)| fault)
    }
}

impl Layer for Faulty {
    async fn around<'a, T, F, Fut>(&'a self, operation: Operation, call: F) -> Result<T>
    where
        T: Send + 'a,
        F: Fn() -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        match self.next(operation) {
            None => call().await,
            Some(Fault::Refuse(kind)) => Err(Error::new(kind, "scripted fault", format!("{operation:?}"))),
            Some(Fault::LoseAnswer) => {
                call().await?;
                Err(Error::new(ErrorKind::Unavailable, "scripted fault", "the answer was lost"))
            }
            Some(Fault::Late(delay)) => {
                let answer = call().await;
                tokio::time::sleep(delay).await;
                answer
            }
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Panic) => panic!("scripted panic in {operation:?}"),
        }
    }
}
