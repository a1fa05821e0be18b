use std::sync::Arc;

use memory_core::{
    Action, ErrorKind, Kind, ManualClock, MemoryStore, Namespace, NewArtifact, Outcome, Scan, SeededIds,
    Task, Tiers, Timestamp,
};
use serde_json::json;

use super::{RedactionPass, SecretsFound};
use crate::memory::config::{LearningConfig, MemoryConfig};
use crate::memory::{Memory, Recording};
use crate::redact::Redactor;

const SECRET: &str = "ghp_aB3dE5fG7haB3dE5fG7haB3dE5fG7haB3dE5";

async fn memory(durable: &Arc<MemoryStore>, redactor: Redactor) -> Memory {
    let learning = LearningConfig { background: false, ..LearningConfig::default() };
    let tiers = Tiers {
        durable: durable.clone(),
        cache: Arc::new(MemoryStore::new()),
        outbox: None,
        contacts: None,
        warnings: Vec::new(),
    };
    let config = MemoryConfig { learning, redactor, ..MemoryConfig::default() };
    let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000)));
    Memory::assemble(Namespace::default(), config, tiers, clock, Arc::new(SeededIds::new(7))).await.unwrap()
}

/// Records with every kind of text a secret may be in, as a program without redaction did.
async fn careless(durable: &Arc<MemoryStore>) -> Memory {
    let memory = memory(durable, Redactor::off()).await;
    for number in 0..4 {
        let task = Task::new(format!("Deploy the shop {number} with {SECRET}")).domain("ops").kind("deploy");
        let action = |tool: &str| Action::tool(tool).description(format!("run with {SECRET}"));
        let actions = vec![
            action("login").error(format!("denied: token {SECRET} has expired")),
            action("refresh").arguments(json!({"token": SECRET, "region": "eu"})),
            action("login").observation(format!("welcome, {SECRET}")),
            action(&format!("deploy-{SECRET}")),
        ];
        let outcome = Outcome::success(format!("deployed with {SECRET}"));
        let recording = Recording::new(format!("careless {number}"), task, outcome).actions(actions);
        memory.record(recording).await.unwrap();
    }
    let mut open = memory.start(format!("Rotate {SECRET}")).await.unwrap();
    open.step(Action::tool("vault").observation(SECRET)).await.unwrap();
    open.artifact(NewArtifact::new("log", format!("export TOKEN={SECRET}"))).await.unwrap();
    let innocent = memory.start("Sweep the yard").await.unwrap();
    innocent.complete(Outcome::success("swept")).await.unwrap();
    memory.learn().await.unwrap();
    memory
}

/// Runs a complete pass.
async fn pass(memory: &Memory, pass: RedactionPass) -> (u64, Vec<SecretsFound>) {
    let (mut checked, mut found, mut from) = (0, Vec::new(), None);
    loop {
        let page = memory.redact_stored(pass, from.as_deref()).await.unwrap();
        assert_eq!(page.unreadable, [""; 0]);
        checked += page.checked;
        found.extend(page.found);
        from = page.next;
        if from.is_none() {
            return (checked, found);
        }
    }
}

/// Returns key and content of everything stored.
async fn stored(memory: &Memory) -> String {
    let mut all = String::new();
    for kind in Kind::ALL {
        let scan = Scan::new(memory.inner.records.engine.namespace(), kind).limit(500);
        for record in memory.inner.records.engine.scan_fresh(&scan).await.unwrap().0.records {
            all.push_str(&format!("{} {}\n", record.key, record.entity.unwrap().to_json().unwrap()));
        }
    }
    all
}

fn holds_secret(text: &str) -> bool {
    text.to_lowercase().contains(&SECRET[4..].to_lowercase())
}

#[tokio::test]
async fn what_was_stored_without_redaction_is_redacted_with_what_it_taught() {
    let durable = Arc::new(MemoryStore::new());
    careless(&durable).await;
    let memory = memory(&durable, Redactor::default()).await;
    let before = stored(&memory).await;
    let learned = |text: &str| Kind::ALL.map(|kind| text.matches(&format!("/{kind}/")).count());
    assert!(holds_secret(&before));

    let (checked, told) = pass(&memory, RedactionPass::DryRun).await;
    assert_eq!(stored(&memory).await, before, "a dry run changes nothing");
    assert_eq!(checked, before.lines().count() as u64);
    let kinds = |kind: Kind| told.iter().filter(|found| found.kind == kind).count();
    assert_eq!((kinds(Kind::Episode), kinds(Kind::Step), kinds(Kind::Artifact)), (5, 17, 1));
    assert!(kinds(Kind::Failure) > 0, "{told:?}");
    assert!(told.iter().all(|found| found.rules.values().sum::<u64>() > 0), "{told:?}");

    pass(&memory, RedactionPass::Apply).await;
    memory.learn().await.unwrap();
    memory.consolidate(None).await.unwrap();
    let after = stored(&memory).await;
    assert!(!holds_secret(&after), "{after}");
    assert!(after.contains("[REDACTED:"));
    assert_eq!(learned(&after)[Kind::Step as usize], learned(&before)[Kind::Step as usize]);
    for kind in [Kind::Reward, Kind::Reflection] {
        assert_eq!(learned(&after)[kind as usize], learned(&before)[kind as usize], "{kind}");
    }
    let lessons = memory.knowledge().failures().await.unwrap().items;
    assert_eq!(lessons.iter().map(|lesson| lesson.occurrences).max(), Some(4), "{lessons:?}");

    let again = stored(&memory).await;
    let (_, told) = pass(&memory, RedactionPass::Apply).await;
    assert_eq!(told, [], "a second pass finds nothing");
    assert_eq!(stored(&memory).await, again);
}

#[tokio::test]
async fn a_pass_that_was_stopped_goes_on_where_it_was() {
    let durable = Arc::new(MemoryStore::new());
    careless(&durable).await;
    let first = memory(&durable, Redactor::default()).await;
    let from = first.redact_stored(RedactionPass::Apply, None).await.unwrap().next;
    drop(first);
    let second = memory(&durable, Redactor::default()).await;
    let mut from = from;
    while let Some(place) = from {
        from = second.redact_stored(RedactionPass::Apply, Some(&place)).await.unwrap().next;
    }
    second.learn().await.unwrap();
    second.consolidate(None).await.unwrap();
    let left = stored(&second).await;
    assert!(!holds_secret(&left), "{left}");
}

#[tokio::test]
async fn a_place_that_no_pass_returned_is_refused() {
    let memory = memory(&Arc::new(MemoryStore::new()), Redactor::default()).await;
    for place in ["", "episode", "nothing:", ":"] {
        let error = memory.redact_stored(RedactionPass::DryRun, Some(place)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{place:?}");
    }
    assert_eq!(memory.redact_stored(RedactionPass::DryRun, Some("cycle:")).await.unwrap().checked, 0);
}
