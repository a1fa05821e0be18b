//! What the tests share.

use std::path::Path;
use std::time::{Duration, Instant};

use agent_memory::{Action, Builder, Episode, Memory, Outcome, Task};

/// How long anything may take before a test gives up; never a measure of speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A builder with a fast poll and short deadlines, so that outages are noticed quickly. It learns only when asked: what
/// waits and arrives can be counted.
pub(crate) fn remote(folder: &Path, url: &str) -> Builder {
    Memory::builder()
        .path(folder)
        .remote(url)
        .background_learning(false)
        .poll_interval(Duration::from_millis(50))
        .read_deadline(Duration::from_millis(1_500))
        .write_deadline(Duration::from_millis(1_500))
        // A busy machine may take its time.
        .first_answer(Duration::from_secs(3))
}

/// Records an episode of two steps.
pub(crate) async fn record_one(memory: &Memory, description: &str) -> Episode {
    let mut episode = memory.start(Task::new(description).domain("web").tag("ci")).await.unwrap();
    episode.step(Action::tool("bash").error("timeout").duration_ms(5).tokens(10)).await.unwrap();
    episode.step(Action::tool("edit").duration_ms(7)).await.unwrap();
    episode.complete(Outcome::success("done")).await.unwrap()
}

/// Waits until a condition holds.
pub(crate) async fn eventually<F>(what: &str, condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    within(PATIENCE, what, condition).await;
}

/// Waits until a condition holds, for so long at the most.
pub(crate) async fn within<F>(patience: Duration, what: &str, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + patience;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited {patience:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// Returns the only file of this name below a folder.
pub(crate) fn file_named(folder: &Path, name: &str) -> std::path::PathBuf {
    let mut found: Vec<_> =
        files(folder).into_iter().filter(|path| path.file_name().is_some_and(|n| n == name)).collect();
    assert_eq!(found.len(), 1, "{name} in {}: {found:?}", folder.display());
    found.remove(0)
}

/// Damages every value of a sort in the cache files below a folder, behind magic, versions, length and checksum; returns
/// how many.
pub(crate) fn damage(folder: &Path, magic: &[u8; 4]) -> usize {
    let mut damaged = 0;
    for cache in files(folder).into_iter().filter(|path| path.ends_with("cache.redb")) {
        let mut bytes = std::fs::read(&cache).unwrap();
        let found: Vec<usize> = (0..bytes.len() - 64).filter(|at| bytes[*at..].starts_with(magic)).collect();
        found.iter().for_each(|at| bytes[at + 20] ^= 0x5a);
        std::fs::write(&cache, bytes).unwrap();
        damaged += found.len();
    }
    damaged
}
