//! The child process: writes as fast as it can and prints each acknowledgement after it has it.

use std::io::Write as _;
use std::process::ExitCode;

use agent_memory::{Memory, Outcome};

use crate::content;

/// The first argument that makes the program a writer.
pub(crate) const COMMAND: &str = "writer";

/// Concurrent episodes.
const WRITERS: u64 = 32;

/// Runs until killed. Arguments: folder, seed, and in remote mode the URL.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    let [folder, seed, url @ ..] = arguments else { return ExitCode::from(2) };
    let Ok(mut seed) = seed.parse::<u64>() else { return ExitCode::from(2) };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
    else {
        return ExitCode::FAILURE;
    };
    let result = runtime.block_on(async {
        let mut builder = Memory::builder().path(folder).first_pull(std::time::Duration::ZERO);
        if let Some(url) = url.first() {
            builder = builder.remote(url);
        }
        let memory = builder.open().await?;
        let writers: Vec<_> =
            (0..WRITERS).map(|_| tokio::spawn(write(memory.clone(), content::mix(&mut seed)))).collect();
        for writer in writers {
            if let Ok(result) = writer.await {
                result?;
            }
        }
        Ok::<_, agent_memory::Error>(())
    });
    if let Err(error) = result {
        eprintln!("writer: {error:?}");
    }
    ExitCode::FAILURE
}

async fn write(memory: Memory, mut seed: u64) -> Result<(), agent_memory::Error> {
    loop {
        let nonce = content::mix(&mut seed);
        let mut episode = memory.start(content::description(nonce)).await?;
        let id = episode.id();
        acknowledge(format_args!("started {id} {nonce} ."));
        for number in 1..=content::STEPS {
            let number = episode.step(content::action(nonce, number)).await?;
            acknowledge(format_args!("step {id} {number} ."));
        }
        episode.complete(Outcome::success(content::outcome(nonce))).await?;
        acknowledge(format_args!("completed {id} 0 ."));
    }
}

/// Prints a line in one write, so that a kill leaves at most one incomplete line.
fn acknowledge(line: std::fmt::Arguments<'_>) {
    let line = format!("{line}\n");
    let mut out = std::io::stdout().lock();
    if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
        // Nobody listens any more.
        std::process::exit(1);
    }
}
