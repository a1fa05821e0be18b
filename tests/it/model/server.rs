//! The durable tier of a fleet: a libsql file that can be backed up, and restored while its clients run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use memory_core::{Durable, Kind, Namespace, Record, Result, Scan};
use memory_storage_turso::{LocalOptions, LocalStore};
use tokio::sync::{RwLock, RwLockReadGuard};

/// A server in this process. Calls hold it shared; backup and restore hold it alone.
pub(crate) struct Server {
    file: PathBuf,
    store: RwLock<Arc<LocalStore>>,
}

impl Server {
    /// Starts one with an empty database.
    pub(crate) fn start(file: PathBuf) -> Arc<Self> {
        lay_out(&file);
        let store = Arc::new(LocalStore::open(&file, LocalOptions::new().readers(1)).unwrap());
        Arc::new(Self { file, store: RwLock::new(store) })
    }

    /// Returns the database, held so that it is not replaced meanwhile.
    pub(crate) async fn store(&self) -> RwLockReadGuard<'_, Arc<LocalStore>> {
        self.store.read().await
    }

    /// Copies the database.
    pub(crate) async fn back_up(&self, to: &Path) {
        let store = self.store.write().await;
        store.close().await.unwrap();
        std::fs::copy(&self.file, to).unwrap();
        self.reopen(store);
    }

    /// Puts a copy in the place of the database: what was committed since is gone.
    pub(crate) async fn restore(&self, from: &Path) {
        let store = self.store.write().await;
        store.close().await.unwrap();
        remove(&self.file);
        std::fs::copy(from, &self.file).unwrap();
        self.reopen(store);
    }

    fn reopen(&self, mut store: tokio::sync::RwLockWriteGuard<'_, Arc<LocalStore>>) {
        *store = Arc::new(LocalStore::open(&self.file, LocalOptions::new().readers(1)).unwrap());
    }
}

/// Reads all live records of a namespace, in order of keys.
pub(crate) async fn live_records(store: &dyn Durable, namespace: &Namespace) -> Result<Vec<Record>> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let mut scan = Scan::new(namespace, kind).limit(1_000);
        loop {
            let page = store.scan(&scan).await?;
            all.extend(page.records);
            match page.next {
                Some(next) => scan.after = Some(next),
                None => break,
            }
        }
    }
    all.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(all)
}

/// Puts an empty database in place: laying out its schema anew for each case would take most of the time.
pub(crate) fn lay_out(file: &Path) {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    let empty = EMPTY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty.db");
        drop(LocalStore::open(&file, LocalOptions::new()).unwrap());
        std::fs::read(&file).unwrap()
    });
    std::fs::write(file, empty).unwrap();
}

fn remove(file: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut path = file.as_os_str().to_owned();
        path.push(end);
        // The log is gone when the last connection was closed.
        let _absent = std::fs::remove_file(PathBuf::from(path));
    }
}
