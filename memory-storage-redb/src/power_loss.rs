//! Power loss and failing disks, deterministically: a disk in memory that loses, tears or refuses writes.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use memory_core::{IdSource, SeededIds};
use redb::StorageBackend;

use crate::backend::Opener;

mod cache;
mod outbox;

/// The unit that a disk writes whole.
const SECTOR: usize = 512;

#[derive(Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// The calls that a disk refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Write,
    Sync,
    Full,
}

#[derive(Debug, Default)]
struct State {
    /// The content that survives power loss.
    durable: Vec<u8>,
    /// The content that a running program sees.
    visible: Vec<u8>,
    /// The difference between the two, in order.
    unsynced: Vec<Unsynced>,
    /// Power fails after this many more calls.
    calls_left: Option<u64>,
    dead: bool,
    fault: Option<Fault>,
}

/// A disk that outlives the programs that use it.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn opener(&self) -> Opener {
        let disk = self.clone();
        Arc::new(move || Ok(Box::new(disk.clone())))
    }

    fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Cuts the power after this many calls.
    fn cut_power_after(&self, calls: u64) {
        self.state().calls_left = Some(calls);
    }

    fn cut_power(&self) {
        self.state().dead = true;
    }

    /// Restores the power: any subset of the writes since the last sync has arrived, each whole, torn at a
    /// sector, or not at all, as the seed decides.
    fn restore_power(&self, random: &SeededIds) {
        let mut state = self.state();
        let State { durable, unsynced, .. } = &mut *state;
        let share = random.random() % 4;
        for change in unsynced.drain(..) {
            if random.random() % 3 >= share {
                continue;
            }
            match change {
                Unsynced::SetLen(length) => durable.resize(length, 0),
                Unsynced::Write(offset, mut data) => {
                    if random.random().is_multiple_of(4) {
                        let sectors = data.len().div_ceil(SECTOR) as u64;
                        data.truncate((random.random() % (sectors + 1)) as usize * SECTOR);
                    }
                    write_at(durable, offset, &data);
                }
            }
        }
        state.visible = state.durable.clone();
        state.dead = false;
        state.calls_left = None;
    }
}

fn write_at(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

impl State {
    fn call(&mut self) -> io::Result<()> {
        match &mut self.calls_left {
            Some(0) => self.dead = true,
            Some(left) => *left -= 1,
            None => {}
        }
        if self.dead { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().visible.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let offset = offset as usize;
        let bytes = state.visible.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        if state.fault == Some(Fault::Full) && len as usize > state.visible.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.visible.resize(len as usize, 0);
        state.unsynced.push(Unsynced::SetLen(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        if state.fault == Some(Fault::Sync) {
            return Err(io::Error::other("the disk refuses to sync"));
        }
        let State { durable, unsynced, .. } = &mut *state;
        for change in unsynced.drain(..) {
            match change {
                Unsynced::SetLen(length) => durable.resize(length, 0),
                Unsynced::Write(offset, data) => write_at(durable, offset, &data),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        if state.fault == Some(Fault::Write) {
            return Err(io::Error::other("the disk refuses to write"));
        }
        let offset = offset as usize;
        write_at(&mut state.visible, offset, data);
        state.unsynced.push(Unsynced::Write(offset, data.to_vec()));
        Ok(())
    }
}
