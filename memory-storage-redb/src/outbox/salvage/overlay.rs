//! A writable view of a file that does not change the file: redb may repair what it needs to read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

const PAGE: usize = 4096;

/// Written pages that are kept in memory; a repair that needs more fails.
const LIMIT_PAGES: usize = 64 * 1024 * 1024 / PAGE;

#[derive(Debug)]
struct State {
    file: File,
    file_len: u64,
    len: u64,
    written: HashMap<u64, Box<[u8]>>,
}

/// The content of a file with changes on top, which are discarded on drop.
#[derive(Debug)]
pub(super) struct Overlay(Mutex<State>);

impl Overlay {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self(Mutex::new(State { file, file_len: len, len, written: HashMap::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Reads a page of the file; zeros after its end.
    fn page_of_file(&mut self, page: u64) -> io::Result<Box<[u8]>> {
        let start = page * PAGE as u64;
        let mut content = vec![0; PAGE];
        let readable = self.file_len.saturating_sub(start).min(PAGE as u64) as usize;
        if let Some(content) = content.get_mut(..readable).filter(|content| !content.is_empty()) {
            self.file.seek(SeekFrom::Start(start))?;
            self.file.read_exact(content)?;
        }
        Ok(content.into_boxed_slice())
    }

    /// Visits the parts of a range page by page: page, where in the page, how many bytes.
    fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
        let (mut at, end) = (offset, offset + length as u64);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (page, within) = (at / PAGE as u64, (at % PAGE as u64) as usize);
            let count = (PAGE - within).min((end - at) as usize);
            at += count as u64;
            Some((page, within, count))
        })
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        if offset + out.len() as u64 > state.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        for (page, within, count) in State::parts(offset, out.len()) {
            let read;
            let content = match state.written.get(&page) {
                Some(content) => content,
                None => {
                    read = state.page_of_file(page)?;
                    &read
                }
            };
            if let (Some(out), Some(content)) =
                (out.get_mut(done..done + count), content.get(within..within + count))
            {
                out.copy_from_slice(content);
            }
            done += count;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        // Truncated content must read as zeros when the length grows again.
        if len < state.len {
            state.file_len = state.file_len.min(len);
            state.written.retain(|page, _| page * (PAGE as u64) < len);
            let (page, within) = (len / PAGE as u64, (len % PAGE as u64) as usize);
            if let Some(rest) = state.written.get_mut(&page).and_then(|content| content.get_mut(within..)) {
                rest.fill(0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let mut done = 0;
        for (page, within, count) in State::parts(offset, data.len()) {
            if !state.written.contains_key(&page) {
                if state.written.len() >= LIMIT_PAGES {
                    return Err(io::Error::new(
                        io::ErrorKind::OutOfMemory,
                        "the repair needs too many pages",
                    ));
                }
                let content = state.page_of_file(page)?;
                state.written.insert(page, content);
            }
            let content = state.written.get_mut(&page);
            if let (Some(content), Some(data)) = (
                content.and_then(|content| content.get_mut(within..within + count)),
                data.get(done..done + count),
            ) {
                content.copy_from_slice(data);
            }
            done += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..10_000_u32).map(|at| at as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let overlay = Overlay::open(&path).unwrap();
        let mut expected = content.clone();
        overlay.write(4_000, &[1; 5_000]).unwrap();
        expected[4_000..9_000].fill(1);
        overlay.set_len(8_500).unwrap();
        overlay.set_len(12_000).unwrap();
        expected.truncate(8_500);
        expected.resize(12_000, 0);
        let mut read = vec![7; 12_000];
        overlay.read(0, &mut read).unwrap();
        assert_eq!(read, expected);
        assert!(overlay.read(11_999, &mut [0; 2]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}
