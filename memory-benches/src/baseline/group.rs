//! Group commit on bare redb: one writer thread, fed by a channel.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::RedbFile;
use crate::{Result, Run};

/// The most values of one commit.
const GROUP: usize = 1_024;

type Request = (Vec<u8>, oneshot::Sender<()>);

/// A database behind a thread that commits whatever has queued up.
pub(crate) struct GroupCommit {
    runtime: Runtime,
    requests: Sender<Request>,
    writer: JoinHandle<Result<()>>,
}

impl GroupCommit {
    pub(crate) fn start(file: RedbFile) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
        let (requests, queue) = channel();
        let writer =
            std::thread::Builder::new().name("raw-commit".into()).spawn(move || write(file, &queue))?;
        Ok(Self { runtime, requests, writer })
    }

    /// Lets each client commit its values one after the other, all clients at the same time.
    pub(crate) fn commit(&mut self, clients: Vec<Vec<Vec<u8>>>) -> Result<Run> {
        if self.writer.is_finished() {
            return Err("the writer thread has ended".into());
        }
        let start = Instant::now();
        let tasks: Vec<_> = clients
            .into_iter()
            .map(|values| self.runtime.spawn(client(self.requests.clone(), values)))
            .collect();
        self.runtime.block_on(async {
            let mut run = Run::default();
            for task in tasks {
                run.latencies.extend(task.await??);
            }
            run.elapsed = start.elapsed();
            Ok(run)
        })
    }
}

async fn client(requests: Sender<Request>, values: Vec<Vec<u8>>) -> Result<Vec<std::time::Duration>> {
    let mut latencies = Vec::with_capacity(values.len());
    for value in values {
        let before = Instant::now();
        let (reply, committed) = oneshot::channel();
        requests.send((value, reply))?;
        committed.await?;
        latencies.push(before.elapsed());
    }
    Ok(latencies)
}

fn write(mut file: RedbFile, queue: &Receiver<Request>) -> Result<()> {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        file.commit(group.iter().map(|(value, _)| value.as_slice()))?;
        for (_, reply) in group {
            // The client has gone: the measurement was given up.
            let _ = reply.send(());
        }
    }
    Ok(())
}
