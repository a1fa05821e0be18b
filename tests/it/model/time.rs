//! Virtual time: the runtime's timers stand still while something is at work.
//!
//! tokio moves a paused clock on by itself once all tasks wait, but what they wait for here are threads of the engine
//! and of libsql, so that each deadline would pass at once. A thread of the blocking pool that is busy keeps it from
//! doing so. Timers fire only here, in a fixed order: when a call has waited for `patience` of real time, it is time
//! that it waits for.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How long a call may take in all; then it hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// How far time moves at once.
const STEP: Duration = Duration::from_millis(250);

/// Runs a case on a runtime of its own whose time stands still.
pub(crate) fn run<T>(case: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (release, held) = mpsc::channel::<()>();
    let outcome = runtime.block_on(async {
        let anchor = tokio::task::spawn_blocking(move || held.recv().is_err());
        let outcome = case.await;
        drop(release);
        anchor.await.unwrap();
        outcome
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}

/// Waits for a call; moves time on when it has taken `patience`. `None` if it hangs.
pub(crate) async fn within<T>(patience: Duration, call: impl Future<Output = T>) -> Option<T> {
    let start = Instant::now();
    let mut call = std::pin::pin!(call);
    let mut pause = patience;
    loop {
        tokio::select! {
            biased;
            answer = &mut call => return Some(answer),
            () = real_sleep(pause) => {}
        }
        if start.elapsed() > LIMIT {
            return None;
        }
        tokio::time::advance(STEP).await;
        pause = Duration::from_millis(5);
    }
}

/// Sleeps in real time, which the runtime does not know.
async fn real_sleep(duration: Duration) {
    static TIMER: OnceLock<mpsc::Sender<Alarm>> = OnceLock::new();
    let timer = TIMER.get_or_init(|| {
        let (set, alarms) = mpsc::channel();
        std::thread::spawn(move || ring(&alarms));
        set
    });
    let (ringing, rung) = oneshot::channel();
    timer.send((Instant::now() + duration, ringing)).unwrap();
    let _ended = rung.await;
}

type Alarm = (Instant, oneshot::Sender<()>);

/// Rings alarms in time, for as long as the tests run.
fn ring(alarms: &mpsc::Receiver<Alarm>) {
    let mut set: BTreeMap<(Instant, u64), oneshot::Sender<()>> = BTreeMap::new();
    for number in 0.. {
        let next = set.first_key_value().map(|((at, _), _)| *at);
        let wait = next.map_or(Duration::from_secs(3_600), |at| at.saturating_duration_since(Instant::now()));
        if let Ok((at, ringing)) = alarms.recv_timeout(wait) {
            set.insert((at, number), ringing);
        }
        let later = set.split_off(&(Instant::now(), 0));
        for ringing in std::mem::replace(&mut set, later).into_values() {
            let _gone = ringing.send(());
        }
    }
}
