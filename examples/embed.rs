//! Embeds a memory in ten lines: `cargo run --example embed`.

use agent_memory::{Action, Memory, Outcome, Task};

#[tokio::main]
async fn main() -> Result<(), agent_memory::Error> {
    let folder = std::env::var("MEMORY_DB_PATH").unwrap_or_else(|_| "agent-memory-example".into());
    let memory = Memory::open(folder).await?;
    let mut episode = memory.start(Task::new("Fix the flaky login test").domain("web")).await?;
    episode.step(Action::tool("bash").description("run the tests").error("timeout in login_spec")).await?;
    episode.step(Action::tool("edit").description("wait for the session cookie")).await?;
    episode.complete(Outcome::success("the test waits for the cookie")).await?;

    let recall = memory.recall("login test times out").await?;
    println!("{}", recall.to_prompt(500));
    Ok(())
}
