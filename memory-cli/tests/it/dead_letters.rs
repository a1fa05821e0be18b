//! Dead letters: records that the server never took.

use std::time::Duration;

use agent_memory::Memory;
use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};
use serde_json::Value;

use crate::command::{Run, World, names};

const BLOCKED: &str = "the word that a filter dislikes";

/// Leaves two dead letters in the memory of a world.
async fn leave_two(world: &World, proxy: &FaultProxy) {
    let open = Memory::builder()
        .path(world.path("memory"))
        .remote(proxy.url())
        .background_learning(false)
        .read_deadline(Duration::from_millis(1_500))
        .write_deadline(Duration::from_millis(1_500))
        .first_answer(Duration::from_secs(3))
        .open();
    let memory = open.await.unwrap();
    memory.sync(Duration::from_secs(30)).await.unwrap();
    proxy.set_mode(Mode::Filter(403, BLOCKED));
    for number in 0..2 {
        memory.start(format!("{BLOCKED}, for the {number}th time")).await.unwrap();
    }
    for number in 0..3_000 {
        memory.start(format!("harmless {number}")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        if memory.status().await.engine.outbox.unwrap().dead_letters == 2 {
            memory.flush(Duration::from_secs(30)).await.unwrap();
            memory.close(Duration::from_secs(5)).await.unwrap();
            return;
        }
    }
    unreachable!("no dead letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_exported_sent_again_and_dropped() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let world = World::new();
    leave_two(&world, &proxy).await;
    let url = proxy.url();
    let run = |arguments: &[&str]| -> Run { world.run(["--url", &url].iter().chain(arguments)) };
    let arrived = || sqld.scalar("SELECT count(*) FROM episodes WHERE description LIKE 'the word%'");

    let status = run(&["status", "--json"]).object();
    assert_eq!(status["outbox"]["dead_letters"], 2, "{status}");
    let told = run(&["status"]).ok();
    assert!(
        !told.contains("everything has arrived")
            && told.lines().any(|line| line.starts_with("refused    2 (")),
        "{told}"
    );
    assert_eq!(run(&["sync", "--json"]).code, 4, "not everything is on the server");

    let listed = run(&["sync", "dead-letters", "--json"]).object();
    let letters = listed["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 2);
    assert_eq!(names(&letters[0]), ["at", "reason", "record", "seq"]);
    assert!(letters[0]["reason"].as_str().unwrap().contains("403"), "{listed}");
    let seq = |at: usize| letters[at]["seq"].as_u64().unwrap().to_string();
    let told = run(&["sync", "dead-letters"]).ok();
    assert_eq!(told.lines().count(), 2, "{told}");

    let export = world.path("letters.jsonl");
    let export = export.to_str().unwrap();
    assert_eq!(run(&["sync", "dead-letters", "--export", export, "--json"]).object()["exported"], 2);
    let lines = std::fs::read_to_string(export).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.to_string().contains(BLOCKED)), "{lines:?}");
    let piped = run(&["sync", "dead-letters", "--export", "-"]).ok();
    assert_eq!(piped.lines().count(), 2, "{piped}");

    // A file that is there is not written over, and nothing is dropped then.
    run(&["sync", "drop", "--export", export, "--yes", "--json"]).error(1, "io");
    assert_eq!(run(&["sync", "drop", &seq(0), "--no-export"]).code, 2, "without --yes");
    assert_eq!(run(&["sync", "drop", &seq(0), "--yes"]).code, 2, "with a copy, or expressly without one");
    assert_eq!(run(&["sync", "dead-letters", "--json"]).object(), listed);
    assert_eq!(run(&["sync", "drop", &seq(0), "--no-export", "--yes", "--json"]).object()["dropped"], 1);
    let left = run(&["sync", "dead-letters", "--json"]).object();
    assert_eq!(left["dead_letters"], Value::from(&letters[1..]));

    proxy.set_mode(Mode::Pass);
    assert_eq!(arrived(), 0);
    let retried = run(&["sync", "retry", &seq(1), "--json"]).object();
    assert_eq!(
        (&retried["retried"], &retried["dead_letters"]),
        (&1.into(), &Value::Array(vec![])),
        "{retried}"
    );
    assert_eq!(arrived(), 1);
    assert_eq!(run(&["sync", "dead-letters"]).ok().trim(), "There are no dead letters.");
    assert_eq!(run(&["sync"]).code, 0);
}
