//! What people rule about what was learned, and whose episodes recall answers with.

use std::path::Path;
use std::time::Duration;

use agent_memory::learning::{Decision, RemedyCall, Strategy};
use agent_memory::{Action, EpisodeQuery, ErrorKind, ItemId, Memory, Outcome, Recall, RecallQuery, Task};
use memory_test_support::{Sqld, SqldOptions};

use crate::common::{PATIENCE, remote};

const ERROR: &str = "permission denied: the session has ended";

async fn open(path: &Path) -> Memory {
    Memory::builder().path(path).background_learning(false).open().await.unwrap()
}

/// Records a deployment that meets an error, and gets over it in a way of its own.
async fn deploy(memory: &Memory, number: u32, agent: &str, remedy: &str) {
    let task = Task::new(format!("Deploy release {number} of the web shop")).domain("ops").agent(agent);
    let mut episode = memory.start(task).await.unwrap();
    episode.step(Action::tool("build").description("build it")).await.unwrap();
    episode.step(Action::tool("deploy").description("deploy it").error(ERROR)).await.unwrap();
    episode.step(Action::tool(remedy).description("get the right")).await.unwrap();
    episode.step(Action::tool("deploy").description("deploy it")).await.unwrap();
    episode.complete(Outcome::success("deployed")).await.unwrap();
}

async fn six(memory: &Memory) {
    for number in 0..6 {
        deploy(memory, number, "dev", "log_in").await;
    }
    memory.learn().await.unwrap();
}

fn query() -> RecallQuery {
    RecallQuery::new("Deploy release 9 of the web shop").domain("ops")
}

fn stuck() -> RecallQuery {
    query().done(["build"]).failed("deploy", ERROR)
}

/// Everything that a recall shows, but for episodes: those are forgotten, not ruled on.
fn shown(recall: &Recall) -> Vec<ItemId> {
    recall.items().into_iter().filter(|item| !matches!(item, ItemId::Episode(_))).collect()
}

#[tokio::test]
async fn whatever_recall_shows_can_be_rejected_and_restored() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    six(&memory).await;
    let both = async || {
        let (first, second) = (memory.recall(query()).await.unwrap(), memory.recall(stuck()).await.unwrap());
        let mut items = [shown(&first), shown(&second)].concat();
        items.sort_unstable();
        items.dedup();
        items
    };
    let before = both().await;
    for kind in ["pattern", "heuristic", "playbook", "failure"] {
        assert!(before.iter().any(|item| item.kind().name() == kind), "no {kind}: {before:?}");
    }
    let knowledge = memory.knowledge();
    let mut rejected = Vec::new();
    while let Some(item) = both().await.first().copied() {
        assert!(!rejected.contains(&item), "{item} was rejected and is shown");
        knowledge.set_ruling(item, Some(Decision::Rejected)).await.unwrap();
        rejected.push(item);
    }
    assert!(rejected.len() >= before.len());
    // Learned again, by the same process and by another one, it stays so.
    deploy(&memory, 7, "dev", "log_in").await;
    memory.learn().await.unwrap();
    memory.consolidate(None).await.unwrap();
    let again = both().await;
    let back: Vec<&ItemId> = again.iter().filter(|item| rejected.contains(item)).collect();
    assert!(back.is_empty(), "{back:?}");
    let other = open(folder.path()).await;
    assert!(shown(&other.recall(stuck()).await.unwrap()).iter().all(|item| !rejected.contains(item)));
    assert_eq!(knowledge.rulings().await.unwrap().len(), rejected.len());

    for item in rejected {
        knowledge.set_ruling(item, None).await.unwrap();
    }
    assert_eq!(knowledge.rulings().await.unwrap().len(), 0);
    let after = both().await;
    assert!(before.iter().filter(|item| after.contains(item)).count() >= 4, "{before:?}\n{after:?}");
}

#[tokio::test]
async fn one_remedy_is_rejected_and_another_one_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    six(&memory).await;
    deploy(&memory, 6, "dev", "ask_for_help").await;
    memory.learn().await.unwrap();
    let knowledge = memory.knowledge();
    let lesson = async || memory.recall(stuck()).await.unwrap().fixes.remove(0).item;
    let held = lesson().await;
    let fix = |tool: &str| held.helped().find(|it| it.tools()[0] == tool).unwrap().calls.clone();
    let (usual, other) = (fix("log_in"), fix("ask_for_help"));
    let first_tool = async || memory.recall(stuck()).await.unwrap().tools[0].tool.clone();
    assert_eq!(first_tool().await, "log_in");

    knowledge.set_remedy_ruling(held.id, &usual, Some(Decision::Rejected)).await.unwrap();
    let told: Vec<_> = lesson().await.helped().map(|it| it.calls.clone()).collect();
    assert_eq!(told, std::slice::from_ref(&other));
    let recall = memory.recall(stuck()).await.unwrap();
    assert!(
        recall.patterns.iter().all(|it| it.item.strategy != Strategy::ErrorRecovery),
        "{:?}",
        recall.patterns
    );
    // More evidence does not bring it back.
    deploy(&memory, 8, "dev", "log_in").await;
    memory.learn().await.unwrap();
    assert!(lesson().await.helped().all(|it| it.calls != usual));

    knowledge.set_remedy_ruling(held.id, &usual, None).await.unwrap();
    assert_eq!(lesson().await.helped().next().unwrap().calls, usual);
    knowledge.set_remedy_ruling(held.id, &other, Some(Decision::Pinned)).await.unwrap();
    assert_eq!(lesson().await.helped().next().unwrap().calls, other);
    assert_eq!(first_tool().await, "ask_for_help", "what is pinned comes first");

    let unknown = knowledge
        .set_remedy_ruling(held.id, &[RemedyCall::new("pray")], Some(Decision::Rejected))
        .await
        .unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let episode = memory.list(&EpisodeQuery::default()).await.unwrap().episodes[0].id;
    let refused = knowledge.set_ruling(ItemId::Episode(episode), Some(Decision::Rejected)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_ruling_holds_when_the_item_was_forgotten_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    six(&memory).await;
    let recall = memory.recall(query()).await.unwrap();
    let playbook = ItemId::Playbook(recall.playbook.expect("a procedure is suggested").playbook.id);
    memory.knowledge().set_ruling(playbook, Some(Decision::Rejected)).await.unwrap();
    for episode in memory.list(&EpisodeQuery::default()).await.unwrap().episodes {
        memory.forget(episode.id).await.unwrap();
    }
    assert!(memory.knowledge().playbooks().await.unwrap().is_empty(), "what it says is forgotten");
    let rulings = memory.knowledge().rulings().await.unwrap().items;
    let [ruling] = &rulings[..] else { panic!("{rulings:?}") };
    assert_eq!((ruling.item, ruling.decision), (playbook, Decision::Rejected));
    six(&memory).await;
    let held = memory.knowledge().playbooks().await.unwrap().items;
    assert!(held.iter().any(|it| ItemId::Playbook(it.id) == playbook && it.ruling.is_some()), "{held:?}");
    let recall = memory.recall(query()).await.unwrap();
    assert!(recall.playbook.is_none_or(|found| ItemId::Playbook(found.playbook.id) != playbook));
}

#[tokio::test]
async fn recall_answers_with_what_some_agents_did_alone() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..4 {
        deploy(&memory, number, "dev", "log_in").await;
    }
    // Many more, all by one that is not to be trusted.
    for number in 10..40 {
        deploy(&memory, number, "Stranger", "post_password").await;
    }
    memory.learn().await.unwrap();
    let all = memory.recall(stuck()).await.unwrap();
    let told = all.to_prompt(2_000);
    assert!(told.contains("post_password") && told.contains("Stranger"), "who did it is told: {told}");
    assert!(all.fixes[0].origin.agents.contains(&"Stranger".to_owned()), "{:?}", all.fixes[0].origin);

    for query in [stuck().agent("dev"), stuck().not_agent("stranger")] {
        let own = memory.recall(query).await.unwrap();
        assert!(!own.episodes.is_empty());
        assert!(own.episodes.iter().all(|it| it.episode.task.agent.as_deref() == Some("dev")));
        let origins = own.fixes.iter().map(|it| &it.origin).chain(own.patterns.iter().map(|it| &it.origin));
        for origin in origins.chain(own.heuristics.iter().map(|it| &it.origin)) {
            assert_eq!(origin.agents, ["dev"]);
            assert!(origin.latest.is_some());
        }
        assert!(own.tools.iter().all(|advice| advice.tool != "post_password"), "{:?}", own.tools);
        assert!(own.tools.iter().any(|advice| advice.tool == "log_in" || advice.tool == "deploy"));
    }
    let nobody = memory.recall(stuck().agent("nobody")).await.unwrap();
    assert!(nobody.is_empty(), "{nobody:?}");
    // In fewer episodes than are shown, and in a fence that they cannot leave.
    let fenced = all.to_fenced_prompt(2_000);
    assert!(fenced.starts_with(&format!("<recalled-memory id=\"{}\">", all.id)), "{fenced}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruling_reaches_other_machines() {
    let server = Sqld::start(SqldOptions::new());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let open = async |at: usize| {
        remote(folders[at].path(), &server.url()).background_learning(false).open().await.unwrap()
    };
    let (one, two) = (open(0).await, open(1).await);
    six(&one).await;
    one.flush(PATIENCE).await.unwrap();
    two.sync(PATIENCE).await.unwrap();
    let found = two.recall(stuck()).await.unwrap();
    let item = ItemId::Failure(found.fixes[0].item.id);
    one.knowledge().set_ruling(item, Some(Decision::Rejected)).await.unwrap();
    one.flush(PATIENCE).await.unwrap();
    two.sync(PATIENCE).await.unwrap();
    assert!(!shown(&two.recall(stuck()).await.unwrap()).contains(&item));
    // What that machine learns meanwhile does not undo it.
    deploy(&two, 9, "dev", "log_in").await;
    two.learn().await.unwrap();
    two.flush(PATIENCE).await.unwrap();
    one.sync(PATIENCE).await.unwrap();
    for memory in [&one, &two] {
        assert!(!shown(&memory.recall(stuck()).await.unwrap()).contains(&item));
        let held = memory.knowledge().failures().await.unwrap().items;
        assert!(held.iter().any(|it| it.ruling == Some(Decision::Rejected)), "{held:?}");
    }
}

/// What was pinned elsewhere is known before anything is pruned, however seldom the change feed is read.
#[tokio::test(flavor = "multi_thread")]
async fn consolidation_goes_by_what_was_ruled_elsewhere() {
    let server = Sqld::start(SqldOptions::new());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = remote(folders[0].path(), &server.url()).background_learning(false).open().await.unwrap();
    six(&one).await;
    one.flush(PATIENCE).await.unwrap();
    let seldom = remote(folders[1].path(), &server.url()).poll_interval(Duration::from_secs(3_600));
    let two = seldom.background_learning(false).open().await.unwrap();
    two.sync(PATIENCE).await.unwrap();
    // The poll at opening is over; the next one is an hour away.
    let _status = two.status().await;
    let found = one.knowledge().failures().await.unwrap().items[0].id;
    one.knowledge().set_ruling(ItemId::Failure(found), Some(Decision::Pinned)).await.unwrap();
    one.flush(PATIENCE).await.unwrap();
    let known = async || {
        let held = two.knowledge().failures().await.unwrap().items;
        held.into_iter().find(|held| held.id == found).unwrap().ruling
    };
    assert_eq!(known().await, None);
    two.consolidate(None).await.unwrap();
    assert_eq!(known().await, Some(Decision::Pinned));
}
