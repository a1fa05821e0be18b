//! Opening from the snapshot of the recall index, and from what has changed since.

use std::path::Path;

use agent_memory::{Action, EpisodeId, Memory, Outcome, RecallQuery, Recorded, Recording, Task, ToolAdvice};

use crate::common::{PATIENCE, damage};

/// More than a snapshot is made for.
const EPISODES: usize = 2_100;

async fn open(folder: &Path) -> Memory {
    Memory::builder().path(folder).background_learning(false).open().await.unwrap()
}

fn recording(number: usize) -> Recording {
    let what = ["invoice", "ticket", "parcel"][number % 3];
    let tool = ["scan", "sort", "send"][number % 2];
    Recording::new(
        format!("line:{number}"),
        Task::new(format!("file the {what} w{number} of shelf s{}", number % 97)).domain("office"),
        if number.is_multiple_of(5) { Outcome::failure("torn") } else { Outcome::success("filed") },
    )
    .actions(vec![Action::tool(tool).duration_ms(number as u64)])
}

async fn record(memory: &Memory, numbers: std::ops::Range<usize>) -> Vec<EpisodeId> {
    let recorded: Vec<_> = numbers
        .map(|number| {
            let memory = memory.clone();
            tokio::spawn(async move { memory.record(recording(number)).await.unwrap() })
        })
        .collect();
    let mut ids = Vec::new();
    for recorded in recorded {
        let Recorded::New(id) = recorded.await.unwrap() else { panic!("new") };
        ids.push(id);
    }
    ids
}

type Answer = (usize, Vec<(EpisodeId, f64)>, Vec<ToolAdvice>, String);

/// What recall says to a few questions.
async fn answers(memory: &Memory) -> Vec<Answer> {
    let mut answers = Vec::new();
    for text in ["file the invoice w7", "tickets of shelf s12", "parcel w2099 and w5 torn", "send w3000"] {
        let recall = memory.recall(RecallQuery::new(text).domain("office").limit(20)).await.unwrap();
        let episodes = recall.episodes.iter().map(|hit| (hit.id, hit.score)).collect();
        answers.push((recall.searched, episodes, recall.tools, format!("{:?}", recall.forecast)));
    }
    answers
}

/// Leaves out how probable tools are: a model that is learned again is alike, not the same, and of these tasks, whose words
/// say nothing, it learns chance.
fn found(answers: Vec<Answer>) -> Vec<Answer> {
    answers
        .into_iter()
        .map(|(searched, episodes, _, forecast)| (searched, episodes, Vec::new(), forecast))
        .collect()
}

/// Answers of a memory that has its cache file made anew.
async fn rebuilt(folder: &Path) -> Vec<Answer> {
    let local = folder.join("local");
    let aside = folder.join("aside");
    std::fs::rename(&local, &aside).unwrap();
    let memory = open(folder).await;
    let expected = answers(&memory).await;
    memory.close(PATIENCE).await.unwrap();
    std::fs::remove_dir_all(&local).unwrap();
    std::fs::rename(&aside, &local).unwrap();
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_opens_from_snapshot_and_changes_as_from_all_documents() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let memory = open(folder).await;
    let ids = record(&memory, 0..EPISODES).await;
    let expected = answers(&memory).await;
    assert!(
        expected[..3].iter().all(|(searched, episodes, ..)| *searched == EPISODES && !episodes.is_empty())
    );
    memory.close(PATIENCE).await.unwrap();

    // Of the documents none can be read: what is found comes from the snapshot.
    assert!(damage(folder, b"AMsd") >= EPISODES);
    let memory = open(folder).await;
    assert_eq!(answers(&memory).await, expected);
    assert_eq!(memory.status().await.warnings, Vec::<String>::new());

    record(&memory, 3_000..3_010).await;
    assert!(memory.forget(ids[7]).await.unwrap() && memory.forget(ids[2_099]).await.unwrap());
    let changed = answers(&memory).await;
    assert_ne!(changed, expected);
    memory.close(PATIENCE).await.unwrap();
    let memory = open(folder).await;
    assert_eq!(answers(&memory).await, changed, "the same snapshot, and what has changed");
    assert_eq!(memory.status().await.warnings, Vec::<String>::new());
    memory.close(PATIENCE).await.unwrap();
    assert_eq!(found(rebuilt(folder).await), found(changed));

    // Dropped without being closed: what the file has of it is enough, with the change feed. It may still be held for a
    // moment; then the next one starts a file of its own.
    let memory = open(folder).await;
    assert!(memory.forget(ids[5]).await.unwrap());
    let changed = answers(&memory).await;
    drop(memory);
    let memory = open(folder).await;
    assert_eq!(
        found(answers(&memory).await),
        found(changed.clone()),
        "a file of its own has a model of its own"
    );
    memory.close(PATIENCE).await.unwrap();

    assert!(damage(folder, b"AMip") > 0);
    let memory = open(folder).await;
    assert_eq!(
        found(answers(&memory).await),
        found(changed),
        "from documents, and from records what they lack"
    );
    memory.close(PATIENCE).await.unwrap();
}
