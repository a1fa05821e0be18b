//! Acknowledged writes.

use std::time::Duration;

use memory_core::{Namespace, Row, SystemClock};
use memory_storage_redb::codec::encode_row;
use memory_test_support::{Sqld, SqldOptions};
use tempfile::TempDir;

use crate::baseline::{GroupCommit, LibsqlFile, RedbFile};
use crate::contest::Contest;
use crate::ours::{Ours, Verb};
use crate::payload::Steps;
use crate::{Result, Run};

/// Local mode against one libsql connection that commits each row with `synchronous = FULL`.
pub struct LocalWrite {
    ours: Ours,
    baseline: LibsqlFile,
    _folder: TempDir,
}

impl LocalWrite {
    /// Opens both on new files.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn new(verb: Verb) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let baseline = LibsqlFile::create(&folder.path().join("raw.db"))?;
        Ok(Self { ours: Ours::open(verb, None)?, baseline, _folder: folder })
    }
}

impl Contest for LocalWrite {
    fn ours(&mut self, operations: u64) -> Result<Duration> {
        Ok(self.ours.write(1, operations as usize)?.elapsed)
    }

    fn baseline(&mut self, operations: u64) -> Result<Duration> {
        let records = Steps::new(&Namespace::default()).records(operations as usize);
        let rows = records.iter().map(Row::encode).collect::<memory_core::Result<Vec<_>>>()?;
        let elapsed = self.baseline.commit_each(rows)?;
        self.baseline.checkpoint()?;
        Ok(elapsed)
    }
}

/// Remote mode, with a server that runs or not, against redb commits of the same bytes: for one client one
/// `Durability::Immediate` commit with quick repair a record, for several clients group commit by one writer thread.
pub struct RemoteWrite {
    clients: usize,
    ours: Ours,
    baseline: Raw,
    sqld: Sqld,
    _folder: TempDir,
}

enum Raw {
    Each(RedbFile),
    Group(GroupCommit),
}

impl RemoteWrite {
    /// Starts a server and opens both on new files.
    ///
    /// # Errors
    /// When a file cannot be made.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn new(verb: Verb, clients: usize) -> Result<Self> {
        let (folder, sqld) = (tempfile::tempdir()?, Sqld::start(SqldOptions::new()));
        let file = RedbFile::open(&folder.path().join("raw.redb"))?;
        let baseline = if clients == 1 { Raw::Each(file) } else { Raw::Group(GroupCommit::start(file)?) };
        let ours = Ours::open(verb, Some(&sqld.url()))?;
        Ok(Self { clients, ours, baseline, sqld, _folder: folder })
    }

    /// Lets the memory's clients share so many writes; the outbox is empty at the start if the server runs.
    ///
    /// # Errors
    /// Whatever fails.
    pub fn run_ours(&mut self, writes: u64) -> Result<Run> {
        if self.sqld.is_running() {
            self.ours.flush()?;
        }
        self.ours.write(self.clients, self.share(writes))
    }

    /// Lets the comparator's clients share so many writes.
    ///
    /// # Errors
    /// Whatever fails.
    pub fn run_baseline(&mut self, writes: u64) -> Result<Run> {
        if self.sqld.is_running() {
            // The server would still be busy with what the other side left behind.
            self.ours.flush()?;
        }
        let share = self.share(writes);
        let client = || {
            let records = Steps::new(&Namespace::default()).records(share);
            let now = memory_core::Clock::now(&SystemClock::new());
            records.iter().map(|record| encode_row(record, now)).collect::<memory_core::Result<Vec<_>>>()
        };
        match &mut self.baseline {
            Raw::Each(file) => file.commit_each(&client()?),
            Raw::Group(group) => {
                group.commit((0..self.clients).map(|_| client()).collect::<memory_core::Result<_>>()?)
            }
        }
    }

    /// Starts the server if it does not run, and waits until it has everything.
    ///
    /// # Errors
    /// When it does not take it.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn server_up(&mut self) -> Result<()> {
        if !self.sqld.is_running() {
            self.sqld.restart();
        }
        self.ours.flush()
    }

    /// Kills the server.
    pub fn server_down(&mut self) {
        self.sqld.kill();
    }

    fn share(&self, writes: u64) -> usize {
        (writes as usize).div_ceil(self.clients)
    }
}

impl Contest for RemoteWrite {
    fn ours(&mut self, operations: u64) -> Result<Duration> {
        Ok(self.run_ours(operations)?.elapsed)
    }

    fn baseline(&mut self, operations: u64) -> Result<Duration> {
        Ok(self.run_baseline(operations)?.elapsed)
    }
}
