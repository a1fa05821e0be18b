//! Writes to a remote database that is away, and lets the records arrive when it is back:
//! `TURSO_DATABASE_URL=http://127.0.0.1:8080 cargo run --features remote --example offline_writes`.
//!
//! Without a server at that address nothing is lost: run it again once the server is there.

use std::time::Duration;

use agent_memory::{Action, Memory, Outcome};

#[tokio::main]
async fn main() -> Result<(), agent_memory::Error> {
    let memory = Memory::builder().path("agent-memory-example").env().open().await?;

    // Returns after a local fsync, whether or not the server answers.
    let mut episode = memory.start("Rotate the signing keys").await?;
    episode.step(Action::tool("vault").description("create the new key")).await?;
    let done = episode.complete(Outcome::success("rotated")).await?;
    println!("recorded {} with {} step", done.id, done.steps);

    let status = memory.status().await.engine;
    if let Some(outbox) = status.outbox {
        println!("{} rows wait for the server", outbox.rows);
    }
    match memory.flush(Duration::from_secs(5)).await {
        Ok(()) => println!("the server has everything"),
        Err(error) => println!("not yet: {error}"),
    }
    let left = memory.close(Duration::from_secs(1)).await?;
    println!("{} rows are left for the next run", left.rows);
    Ok(())
}
