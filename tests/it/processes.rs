//! Several processes on one folder, killed processes, and a disk that is full.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use agent_memory::{Action, EpisodeId, EpisodeQuery, ErrorKind, Memory, Outcome};
use memory_test_support::{Sqld, SqldOptions};

use crate::common::{PATIENCE, eventually, record_one, remote};

const FOLDER: &str = "MEMORY_TEST_FOLDER";
const URL: &str = "MEMORY_TEST_URL";
const TASK: &str = "MEMORY_TEST_TASK";

/// Not a test of its own: what the child processes of the other tests run.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let (Ok(folder), Ok(task)) = (std::env::var(FOLDER), std::env::var(TASK)) else { return };
    let mut builder = Memory::builder().path(folder);
    if let Ok(url) = std::env::var(URL) {
        builder = builder.remote(url);
    }
    let memory = builder.open().await.unwrap();
    match task.as_str() {
        "record" => {
            for i in 0..25 {
                println!("id {}", record_one(&memory, &format!("by a child, {i}")).await.id);
            }
            memory.close(PATIENCE).await.unwrap();
        }
        "hang open" => {
            let mut episode = memory.start("left open by a killed process").await.unwrap();
            for _ in 0..7 {
                episode.step(Action::tool("bash")).await.unwrap();
            }
            println!("id {}", episode.id());
            std::future::pending::<()>().await;
        }
        "fill" => {
            let mut episode = memory.start("until the disk is full").await.unwrap();
            println!("id {}", episode.id());
            loop {
                let observation = "x".repeat(9_000);
                match episode.step(Action::tool("fill").observation(observation)).await {
                    Ok(number) => println!("step {number}"),
                    Err(error) => {
                        println!("refused {} {}", error.kind(), error.hint().is_some());
                        return;
                    }
                }
            }
        }
        other => panic!("no task {other}"),
    }
}

fn spawn(folder: &Path, url: Option<&str>, task: &str, shell: Option<&str>) -> Child {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "processes::child", "--nocapture"];
    let mut command = match shell {
        None => Command::new(program),
        Some(limits) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("{limits}; exec \"$0\" \"$@\"")).arg(program);
            command
        }
    };
    command.args(arguments).env(FOLDER, folder).env(TASK, task).stdout(Stdio::piped());
    if let Some(url) = url {
        command.env(URL, url);
    }
    command.spawn().unwrap()
}

/// Reads lines that start with a word until `enough` of them came or the child ended.
fn lines(child: &mut Child, word: &str, enough: usize) -> Vec<String> {
    let output = BufReader::new(child.stdout.take().unwrap());
    // The test harness may print its own words before ours on the same line.
    let lines = output.lines().map_while(Result::ok).filter_map(|line| {
        let at = line.find(word)?;
        Some(line[at + word.len()..].trim().to_owned())
    });
    lines.take(enough).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let mut children: Vec<_> = (0..3).map(|_| spawn(folder.path(), None, "record", None)).collect();
    for i in 0..25 {
        record_one(&memory, &format!("by the parent, {i}")).await;
    }
    let mut ids: Vec<EpisodeId> = Vec::new();
    for child in &mut children {
        ids.extend(lines(child, "id ", usize::MAX).iter().map(|id| id.parse::<EpisodeId>().unwrap()));
        assert!(child.wait().unwrap().success(), "no child ever sees a locked database");
    }
    assert_eq!(ids.len(), 75);
    for id in &ids {
        assert_eq!(memory.steps(*id).await.unwrap().len(), 2);
    }
    eventually("recall knows all", async || memory.status().await.engine.indexed == 100).await;
    let page = memory.list(&EpisodeQuery::default().limit(1_000)).await.unwrap();
    assert_eq!(page.episodes.len(), 100);
    assert_eq!(memory.recall("by a child").await.unwrap().searched, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_an_episode_that_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = spawn(folder.path(), None, "hang open", None);
    let id: EpisodeId = lines(&mut child, "id ", 1)[0].parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    let open = memory.list(&EpisodeQuery::open()).await.unwrap().episodes;
    assert_eq!(open.iter().map(|episode| episode.id).collect::<Vec<_>>(), [id]);
    let mut episode = memory.resume(id).await.unwrap();
    assert_eq!(episode.step_count(), 7, "every acknowledged step");
    assert_eq!(episode.step(Action::tool("bash")).await.unwrap(), 8);
    let done = episode.complete(Outcome::success("resumed")).await.unwrap();
    assert_eq!((done.steps, done.tools[0].calls), (8, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphaned_outbox_is_adopted() {
    let sqld = Sqld::start(SqldOptions::new());
    let folder = tempfile::tempdir().unwrap();
    let url = sqld.url();
    // The parent holds the first instance folder, so the child gets one that nobody takes up by itself.
    let holder = remote(folder.path(), &url).open().await.unwrap();
    sqld.kill();
    let mut child = spawn(folder.path(), Some(&url), "hang open", None);
    let id: EpisodeId = lines(&mut child, "id ", 1)[0].parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    holder.close(std::time::Duration::from_millis(10)).await.unwrap();
    sqld.restart();
    let memory = remote(folder.path(), &url).open().await.unwrap();
    memory.flush(PATIENCE).await.unwrap();
    assert_eq!(sqld.scalar("SELECT count(*) FROM steps"), 7, "the killed process's writes arrive");
    assert_eq!(memory.resume(id).await.unwrap().step_count(), 7);
}

/// A limit on the size of files stands in for a full disk: both make a write fail in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_and_harms_nothing_acknowledged() {
    let sqld = Sqld::start(SqldOptions::new());
    for url in [None, Some(sqld.url())] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = spawn(folder.path(), url.as_deref(), "fill", Some("trap '' XFSZ; ulimit -f 4096"));
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines: Vec<String> = output.lines().map_while(Result::ok).collect();
        child.wait().unwrap();
        let find = |word: &str| -> Vec<String> {
            let found =
                lines.iter().filter_map(|line| Some(line[line.find(word)? + word.len()..].to_owned()));
            found.collect()
        };
        let id: EpisodeId = find("id ")[0].parse().unwrap();
        let acknowledged = find("step ").len();
        assert_eq!(find("refused "), ["io true"], "{lines:?}");
        assert!(acknowledged > 10);
        let mut builder = Memory::builder().path(folder.path());
        if let Some(url) = &url {
            builder = builder.remote(url);
        }
        let memory = builder.open().await.unwrap();
        memory.flush(PATIENCE).await.unwrap();
        let steps = memory.steps(id).await.unwrap();
        assert!(steps.len() >= acknowledged, "{} of {acknowledged}", steps.len());
        let resumed = memory.resume(id).await.unwrap().step(Action::tool("on")).await;
        assert!(resumed.is_ok_and(|number| number as usize > acknowledged), "and it goes on with space");
        assert_eq!(
            memory.resume(EpisodeId(id.0)).await.map(|e| e.id()).map_err(|e| e.kind()),
            Ok::<_, ErrorKind>(id)
        );
    }
}
