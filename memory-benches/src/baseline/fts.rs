//! SQLite's full-text search, and no index at all.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use libsql::{Builder, Connection, Statement};
use tokio::runtime::Runtime;

use crate::Result;

/// A table with an FTS5 index over its texts, ranked by bm25.
pub(crate) struct Fts {
    runtime: Runtime,
    connection: Connection,
    search: Option<Statement>,
}

impl Fts {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let connection = runtime.block_on(async {
            let connection = Builder::new_local(path).build().await?.connect()?;
            connection
                .execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;
                     CREATE TABLE tasks(id INTEGER PRIMARY KEY, body TEXT NOT NULL);
                     CREATE VIRTUAL TABLE words USING fts5(text, content = '', tokenize = 'porter unicode61');",
                )
                .await?;
            Result::Ok(connection)
        })?;
        Ok(Self { runtime, connection, search: None })
    }

    /// Adds texts with the bodies that a hit returns.
    pub(crate) fn add(&mut self, rows: impl Iterator<Item = (u64, String, String)>) -> Result<()> {
        self.search = None;
        self.runtime.block_on(async {
            let transaction = self.connection.transaction().await?;
            let task = transaction.prepare("INSERT INTO tasks(id, body) VALUES (?1, ?2)").await?;
            let words = transaction.prepare("INSERT INTO words(rowid, text) VALUES (?1, ?2)").await?;
            for (id, text, body) in rows {
                task.execute((id as i64, body)).await?;
                task.reset();
                words.execute((id as i64, text)).await?;
                words.reset();
            }
            transaction.commit().await?;
            // One segment, as after a long rest.
            self.connection.execute("INSERT INTO words(words) VALUES ('optimize')", ()).await?;
            self.search = Some(
                self.connection
                    .prepare(
                        "SELECT body FROM (SELECT rowid AS id, rank FROM words WHERE words MATCH ?1
                         ORDER BY rank LIMIT 5) JOIN tasks USING (id) ORDER BY rank",
                    )
                    .await?,
            );
            Ok(())
        })
    }

    /// Returns how long each search for any of the words takes, best five with their bodies.
    pub(crate) fn search(&mut self, questions: &[Vec<String>]) -> Result<Vec<Duration>> {
        let search = self.search.as_mut().ok_or("nothing to search")?;
        self.runtime.block_on(async {
            let mut latencies = Vec::with_capacity(questions.len());
            for words in questions {
                let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                let start = Instant::now();
                let mut rows = search.query([quoted.join(" OR ")]).await?;
                let mut found = 0;
                while let Some(row) = rows.next().await? {
                    found += row.get_str(0)?.len();
                }
                std::hint::black_box(found);
                latencies.push(start.elapsed());
                drop(rows);
                search.reset();
            }
            Ok(latencies)
        })
    }
}

/// Looks through every text for words, as a program without an index does; returns how long each search takes.
pub(crate) fn scan(texts: &[String], questions: &[Vec<String>]) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(questions.len());
    for words in questions {
        let start = Instant::now();
        let words: HashSet<&str> = words.iter().map(String::as_str).collect();
        let mut best: Vec<(usize, usize)> = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let shared = text.split(' ').filter(|word| words.contains(word)).count();
            if shared > 0 && best.last().is_none_or(|last| best.len() < 5 || shared > last.0) {
                let place = best.partition_point(|held| held.0 >= shared);
                best.insert(place, (shared, number));
                best.truncate(5);
            }
        }
        std::hint::black_box(best);
        latencies.push(start.elapsed());
    }
    latencies
}
