//! A log to standard error, if RUST_LOG enables one.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;

/// Starts the log. `RUST_LOG` is a level, or `target=level` pairs with commas between them.
pub(crate) fn start() -> Result<(), Failure> {
    let Some(wanted) = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.trim().is_empty()) else {
        return Ok(());
    };
    let targets: Targets = wanted.parse().map_err(|source| {
        let message = format!("RUST_LOG={wanted:?} is not a filter: {source}");
        Failure::usage(message, "RUST_LOG=info, or RUST_LOG=memory_core=debug,libsql=warn")
    })?;
    let to_stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(to_stderr).with(targets).init();
    Ok(())
}
