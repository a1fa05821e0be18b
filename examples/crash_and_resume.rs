//! Loses a process in the middle of an episode and takes the episode up again: `cargo run --example crash_and_resume`.
//!
//! The program starts itself as a child, which logs steps and is then killed without warning.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use agent_memory::{Action, EpisodeQuery, Memory, Outcome};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::var("MEMORY_DB_PATH").unwrap_or_else(|_| "agent-memory-example".into());
    if std::env::args().nth(1).as_deref() == Some("child") {
        let memory = Memory::open(&folder).await?;
        let mut episode = memory.start("Migrate the billing tables").await?;
        for table in ["invoices", "payments", "refunds"] {
            episode.step(Action::tool("psql").description(format!("copy {table}"))).await?;
            println!("acknowledged: {table}");
        }
        std::future::pending::<()>().await;
    }

    let program = std::env::current_exe()?;
    let mut child =
        Command::new(program).arg("child").env("MEMORY_DB_PATH", &folder).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    for line in BufReader::new(output).lines().take(3) {
        println!("child: {}", line?);
    }
    child.kill()?;
    child.wait()?;
    println!("the child was killed in the middle of its episode");

    let memory = Memory::open(&folder).await?;
    for open in memory.list(&EpisodeQuery::open()).await?.episodes {
        let mut episode = memory.resume(open.id).await?;
        println!("resumed {:?} with its {} acknowledged steps", open.task.description, episode.step_count());
        episode.step(Action::tool("psql").description("verify the row counts")).await?;
        let done = episode.complete(Outcome::success("migrated")).await?;
        println!("completed after {} steps", done.steps);
    }
    Ok(())
}
