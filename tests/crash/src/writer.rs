//! The child process: writes as fast as it can and prints each acknowledgement after it has it.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agent_memory::testing::{Clock, SystemClock};
use agent_memory::{Memory, Outcome, Timestamp};

use crate::content;

/// The first argument that makes the program a writer.
pub(crate) const COMMAND: &str = "writer";

/// Concurrent episodes.
const WRITERS: u64 = 32;

/// One of so many episodes takes another one that this process completed along: it forgets it.
const FORGETS: u64 = 4;

/// A clock that is off by days, and goes on.
#[derive(Debug)]
struct Off {
    clock: SystemClock,
    days: i64,
}

impl Clock for Off {
    fn now(&self) -> Timestamp {
        let off = Duration::from_secs(86_400) * u32::try_from(self.days.unsigned_abs()).unwrap_or(0);
        let now = self.clock.now();
        if self.days < 0 { now.minus(off) } else { now.plus(off) }
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// Runs until killed. Arguments: folder, seed, by how many days the clock is ahead, and in remote mode the URL.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    let [folder, seed, days, url @ ..] = arguments else { return ExitCode::from(2) };
    let (Ok(mut seed), Ok(days)) = (seed.parse::<u64>(), days.parse::<i64>()) else {
        return ExitCode::from(2);
    };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
    else {
        return ExitCode::FAILURE;
    };
    let result = runtime.block_on(async {
        let clock = Arc::new(Off { clock: SystemClock::new(), days });
        let mut builder = content::builder(folder).clock(clock).first_pull(Duration::ZERO);
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
    let mut completed = Vec::new();
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
        if content::mix(&mut seed).is_multiple_of(FORGETS)
            && let Some(old) = completed.pop()
        {
            // It may be forgotten from here on, and is from the second line on.
            acknowledge(format_args!("forgetting {old} 0 ."));
            match memory.forget(old).await {
                Ok(true) => acknowledge(format_args!("forgotten {old} 0 .")),
                Ok(false) => eprintln!("writer: {old} was not there to be forgotten"),
                // The server may be away; whether it is forgotten is then not known.
                Err(error) if error.is_transient() => {}
                Err(error) => return Err(error),
            }
        }
        completed.push(id);
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
