//! Machines whose clocks are wrong: nothing is deleted because of it, and nothing that they write is born expired.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_memory::testing::{Clock, ManualClock, SystemClock};
use agent_memory::{EpisodeQuery, Kind, Memory, Timestamp};
use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};

use crate::common::{PATIENCE, record_one, remote};

const DAY: Duration = Duration::from_secs(86_400);

/// Returns a clock that is off by days, and never moves.
fn off_by(days: i64) -> Arc<ManualClock> {
    let now = SystemClock::new().now();
    let off = DAY * u32::try_from(days.unsigned_abs()).unwrap();
    Arc::new(ManualClock::new(if days < 0 { now.minus(off) } else { now.plus(off) }))
}

async fn local(folder: &Path, clock: Arc<dyn Clock>, kept_days: u32) -> Memory {
    let builder = Memory::builder().path(folder).clock(clock).background_learning(false);
    builder.retention_days(Kind::Episode, kept_days).open().await.unwrap()
}

async fn over(sqld: &Sqld, folder: &Path, clock: Arc<dyn Clock>, kept_days: u32) -> Memory {
    let builder = remote(folder, &sqld.url()).clock(clock).retention_days(Kind::Episode, kept_days);
    builder.open().await.unwrap()
}

async fn titles(memory: &Memory) -> Vec<String> {
    let listed = memory.list(&EpisodeQuery::default()).await.unwrap().episodes;
    let mut titles: Vec<_> = listed.into_iter().map(|episode| episode.task.description).collect();
    titles.sort_unstable();
    titles
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_deletes_nothing_of_a_local_memory() {
    for (days, kept_days) in [(40, 30), (400, 365), (-40, 30), (-400, 365)] {
        let folder = tempfile::tempdir().unwrap();
        let right: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let memory = local(folder.path(), right.clone(), kept_days).await;
        record_one(&memory, "written by a right clock").await;
        memory.learn().await.unwrap();
        memory.close(PATIENCE).await.unwrap();

        let memory = local(folder.path(), off_by(days), kept_days).await;
        record_one(&memory, "written by a wrong clock").await;
        memory.learn().await.unwrap();
        memory.consolidate(None).await.unwrap();
        memory.close(PATIENCE).await.unwrap();

        let memory = local(folder.path(), right, kept_days).await;
        memory.consolidate(None).await.unwrap();
        assert_eq!(titles(&memory).await, ["written by a right clock", "written by a wrong clock"], "{days}");
        let recall = memory.recall("written by which clock").await.unwrap();
        assert_eq!(recall.episodes.len(), 2, "{days}");
        assert!(!memory.knowledge().patterns().await.unwrap().is_empty(), "{days}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_deletes_nothing_of_a_shared_memory() {
    for (days, kept_days) in [(40, 30), (400, 365), (-40, 30), (-400, 365)] {
        let sqld = Sqld::start(SqldOptions::new());
        let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let right: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let memory = over(&sqld, one.path(), right, kept_days).await;
        let first = record_one(&memory, "written by a right clock").await;
        memory.sync(PATIENCE).await.unwrap();

        let wrong = over(&sqld, two.path(), off_by(days), kept_days).await;
        wrong.sync(PATIENCE).await.unwrap();
        assert_eq!(titles(&wrong).await, ["written by a right clock"], "nor is it hidden: {days}");
        record_one(&wrong, "written by a wrong clock").await;
        wrong.consolidate(None).await.unwrap();
        // Both clocks have gone on by the next page, and so has what a warning would say.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        wrong.sync(PATIENCE).await.unwrap();
        let status = wrong.status().await;
        let ahead = status.engine.sync.clock_ahead_ms.unwrap() / 86_400_000;
        assert!((ahead - days).abs() <= 1, "the status tells: {ahead}");
        let warnings = status.warnings.iter().filter(|it| it.contains("this machine's clock")).count();
        assert_eq!(warnings, 1, "{:?}", status.warnings);

        memory.sync(PATIENCE).await.unwrap();
        memory.consolidate(None).await.unwrap();
        assert_eq!(titles(&memory).await, ["written by a right clock", "written by a wrong clock"], "{days}");
        let expiries = "SELECT count(*) FROM records WHERE kind = 'episode' AND \
                        abs(expires_at - 1000 * strftime('%s', 'now') - 86400000 * ";
        let kept = sqld.scalar(&format!("{expiries}{kept_days}) < 3600000"));
        assert_eq!(kept, 2, "both expire by the server's time: {days}");

        // Forgotten by one whose clock is behind, whatever the others' revisions.
        assert!(wrong.forget(first.id).await.unwrap());
        wrong.sync(PATIENCE).await.unwrap();
        memory.sync(PATIENCE).await.unwrap();
        assert_eq!(titles(&memory).await, ["written by a wrong clock"], "{days}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_without_a_battery_records_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let memory = local(folder.path(), Arc::new(ManualClock::new(Timestamp(5_000))), 30).await;
    record_one(&memory, "before the time was known").await;
    memory.close(PATIENCE).await.unwrap();
    let memory = local(folder.path(), Arc::new(SystemClock::new()), 30).await;
    memory.consolidate(None).await.unwrap();
    assert_eq!(titles(&memory).await, ["before the time was known"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_of_the_far_future_ends_no_updates() {
    let sqld = Sqld::start(SqldOptions::new());
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let memory = over(&sqld, one.path(), clock.clone(), 0).await;
    let damaged = record_one(&memory, "damaged").await;
    let sound = memory.start("sound").await.unwrap();
    memory.sync(PATIENCE).await.unwrap();
    sqld.sql(&format!(
        "UPDATE records SET revision = 9223372036854775807, seq = (SELECT 1 + max(seq) FROM records) \
         WHERE kind = 'episode' AND id = '{}'",
        damaged.id
    ));
    let other = over(&sqld, two.path(), clock, 0).await;
    other.sync(PATIENCE).await.unwrap();
    let status = other.status().await.engine.sync;
    assert_eq!(status.unreadable, 1, "{status:?}");
    assert!(status.unreadable_records[0].ends_with(&damaged.id.to_string()), "{status:?}");
    let error = other.get(damaged.id).await.unwrap_err();
    assert!(error.to_string().contains("revision") && error.to_string().contains("the limit is"), "{error}");
    let id = sound.id();
    sound.complete(agent_memory::Outcome::success("done")).await.unwrap();
    memory.sync(PATIENCE).await.unwrap();
    other.sync(PATIENCE).await.unwrap();
    assert!(other.get(id).await.unwrap().unwrap().is_completed(), "other records are updated as ever");
}

/// What a machine writes before the server has told it the time has an expiry by its own clock.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_does_not_expire_before_it_is_sent() {
    // The process that wrote it goes on, or another one with a right clock takes over.
    for takes_over in [false, true] {
        let sqld = Sqld::start(SqldOptions::new());
        let proxy = FaultProxy::start(sqld.addr());
        let folder = tempfile::tempdir().unwrap();
        let open = async |clock: Arc<dyn Clock>| {
            let builder = remote(folder.path(), &proxy.url()).clock(clock).first_pull(Duration::ZERO);
            builder.retention_days(Kind::Episode, 30).open().await.unwrap()
        };
        proxy.set_mode(Mode::Refuse);
        let mut memory = open(off_by(-40)).await;
        let id = record_one(&memory, "written forty days ago, as the clock says").await.id;
        if takes_over {
            memory.close(Duration::ZERO).await.unwrap();
            memory = open(Arc::new(SystemClock::new())).await;
            assert_eq!(titles(&memory).await.len(), 1, "it waits, so it is there");
            assert!(memory.get(id).await.unwrap().is_some());
            assert_eq!(memory.recall("written forty days ago").await.unwrap().episodes.len(), 1);
        }
        proxy.set_mode(Mode::Pass);
        memory.sync(PATIENCE).await.unwrap();
        memory.flush(PATIENCE).await.unwrap();
        assert!(memory.get(id).await.unwrap().is_some(), "{takes_over}");
        let expired = "SELECT count(*) FROM records WHERE kind = 'episode' AND deleted = 0 \
                       AND expires_at <= 1000 * strftime('%s', 'now')";
        assert_eq!(sqld.scalar(expired), 0, "{takes_over}");
        let other = tempfile::tempdir().unwrap();
        let other = over(&sqld, other.path(), Arc::new(SystemClock::new()), 30).await;
        assert_eq!(titles(&other).await.len(), 1, "{takes_over}");
    }
}
