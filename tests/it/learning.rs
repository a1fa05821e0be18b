//! What episodes teach: evidence, recall of it, forgetting, hold-out, crashes and several processes.

use std::path::Path;
use std::time::Duration;

use agent_memory::embed::Embedder;
use agent_memory::learning::{
    ConfidenceConfig, ConsolidationConfig, ContrastReflector, Decision, Reflection, Reflector, Strategy,
    Trace,
};
use agent_memory::{
    Action, EpisodeId, EpisodeQuery, Error, ErrorKind, Freshness, ItemId, Memory, Outcome, Phase,
    RecallQuery, Recorded, Recording, Task,
};
use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};

use crate::common::{PATIENCE, eventually, remote};

/// Opens a memory that learns only when it is asked to.
async fn open(path: &Path) -> Memory {
    Memory::builder().path(path).background_learning(false).open().await.unwrap()
}

/// Records how an order is cancelled: in the way that works, or in one that does not.
async fn cancel_order(memory: &Memory, number: u32, well: bool) -> EpisodeId {
    let order = format!("#W{:07}", 1_000_000 + number * 37);
    let task = Task::new(format!("Cancel order {order}, the customer no longer needs it"))
        .kind("support")
        .domain("retail");
    let mut episode = memory.start(task).await.unwrap();
    let arguments = serde_json::json!({ "order_id": order });
    if well {
        let look = Action::tool("get_order").description("look the order up").arguments(arguments.clone());
        episode.step(look.observation("pending")).await.unwrap();
    }
    let cancel = Action::tool("cancel_order").description("cancel it").arguments(arguments);
    if well {
        episode.step(cancel.observation("cancelled")).await.unwrap();
        episode.complete(Outcome::success("cancelled")).await.unwrap().id
    } else {
        let error = format!("order {order} is locked: look it up first (code 40{number})");
        episode.step(cancel.error(error)).await.unwrap();
        episode.complete(Outcome::failure("the order could not be cancelled")).await.unwrap().id
    }
}

#[tokio::test]
async fn fifty_alike_are_one_pattern_with_fifty_pieces_of_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..50 {
        cancel_order(&memory, number, true).await;
    }
    assert_eq!(memory.learn().await.unwrap().episodes, 50);
    assert_eq!(memory.learn().await.unwrap().episodes, 0, "learning again finds nothing due");
    let patterns = memory.knowledge().patterns().await.unwrap();
    let sequences: Vec<_> = patterns.iter().filter(|p| p.strategy == Strategy::ToolSequence).collect();
    assert_eq!(sequences.len(), 1, "{patterns:#?}");
    let evidence = memory.knowledge().evidence(ItemId::Pattern(sequences[0].id)).await.unwrap();
    assert_eq!((evidence.len(), sequences[0].tally.successes), (50, 50));
    assert!(sequences[0].confidence > 0.8 && sequences[0].confidence < 1.0, "never a bare success rate");
}

#[tokio::test]
async fn what_was_learned_helps_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..12 {
        cancel_order(&memory, number, number % 3 != 0).await;
    }
    memory.learn().await.unwrap();
    let query = RecallQuery::new("Please cancel my order #W7654321").domain("retail").kind("support");
    let recall = memory.recall(query.clone()).await.unwrap();
    let tools: Vec<_> = recall.tools.iter().map(|advice| advice.tool.as_str()).collect();
    assert_eq!(tools, ["get_order", "cancel_order"], "{recall:#?}");
    assert!(recall.tools.iter().all(|advice| !advice.reasons.is_empty() && !advice.items.is_empty()));
    let playbook = recall.playbook.as_ref().expect("a procedure is suggested");
    assert!(playbook.missing.is_empty(), "the order's number is in the task: {playbook:?}");
    assert!(playbook.steps.iter().any(|step| step.instruction.contains("#W7654321")), "{playbook:?}");
    let forecast = recall.forecast.expect("similar episodes are known");
    assert!(forecast.success > 0.3 && forecast.success < 0.95, "{forecast:?}");
    let prompt = recall.to_prompt(800);
    assert!(prompt.contains("get_order"), "{prompt}");

    let sequences = async |query: RecallQuery| {
        let patterns = memory.recall(query).await.unwrap().patterns;
        patterns.iter().filter(|found| found.item.strategy == Strategy::ToolSequence).count()
    };
    assert_eq!(sequences(query.clone().done(["get_order"])).await, 1);
    let last = query.clone().done(["get_order", "cancel_order"]);
    let failed = query.clone().done(["get_order"]).failed("cancel_order", "no");
    assert_eq!(sequences(last.clone()).await, 0, "what is done needs no telling");
    assert_eq!(sequences(failed.clone()).await, 1, "what failed is not done");

    let phase = async |query: RecallQuery| memory.recall(query).await.unwrap().phase;
    assert_eq!(phase(query.clone()).await, Phase::Start);
    assert_eq!(phase(query.clone().done(["get_order"])).await, Phase::UnderWay);
    assert_eq!(phase(last.clone()).await, Phase::Finishing);
    assert_eq!(phase(failed).await, Phase::Recovering);
    let prompt = memory.recall(last.clone()).await.unwrap().to_prompt(800);
    assert!(prompt.contains("check the result"), "{prompt}");

    let stuck = query.failed("cancel_order", "order #W7654321 is locked: look it up first (code 999)");
    let recall = memory.recall(stuck).await.unwrap();
    let fix = &recall.fixes.first().expect("the error is known").item;
    assert_eq!(fix.tool, "cancel_order");
    assert_eq!(fix.occurrences, 4, "one kind of error, whatever its numbers");
    let nothing = memory.recall("zebra migration patterns").await.unwrap();
    assert!(nothing.is_empty(), "nothing is an answer: {nothing:#?}");
}

#[tokio::test]
async fn what_failed_at_this_point_is_warned_of_and_what_worked_there_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    let task = || Task::new("Move the archive to the cold bucket").kind("ops").domain("store");
    for (text, tool) in
        [("Grow the cluster", "scale"), ("Rotate the keys", "rotate"), ("Trace latency", "trace")]
    {
        for _ in 0..4 {
            let mut other = memory.start(Task::new(text).kind("ops").domain("store")).await.unwrap();
            other.step(Action::tool(tool).observation("done")).await.unwrap();
            other.complete(Outcome::success("done")).await.unwrap();
        }
    }
    // Nobody ever got to the end of it.
    let mut failed = Vec::new();
    for _ in 0..2 {
        let mut episode = memory.start(task()).await.unwrap();
        episode.step(Action::tool("copy").error("the bucket is sealed")).await.unwrap();
        // Whoever takes an episode up again goes on with its course.
        let id = episode.id();
        drop(episode);
        let mut episode = memory.resume(id).await.unwrap();
        episode.step(Action::tool("unseal").observation("unsealed")).await.unwrap();
        episode.step(Action::tool("link").error("no such class")).await.unwrap();
        episode.complete(Outcome::failure("not moved")).await.unwrap();
        let course = memory.get(id).await.unwrap().unwrap().course.clone();
        let course: Vec<(u16, bool)> = course.iter().map(|it| (it.tool, it.worked)).collect();
        assert_eq!(course, [(0, false), (1, true), (2, false)]);
        failed.push(id);
    }
    let failed = [failed[0], failed[1]];
    memory.learn().await.unwrap();
    let query = RecallQuery::new("Move the archive to the cold bucket").kind("ops").domain("store");
    let warned = async |query: RecallQuery| {
        let recall = memory.recall(query).await.unwrap();
        let tools: Vec<String> = recall.tools.iter().map(|advice| advice.tool.clone()).collect();
        let warnings: Vec<String> = recall.warnings.iter().map(|warning| warning.text.clone()).collect();
        (tools, warnings)
    };
    let (tools, warnings) = warned(query.clone()).await;
    assert_eq!(tools.first().map(String::as_str), Some("unseal"), "{tools:?}");
    let text = "in tasks like this one this failed before anything else had worked: copy (2 times)";
    assert!(warnings.iter().any(|warning| warning == text), "{warnings:?}");
    let (tools, warnings) = warned(query.clone().done(["unseal"])).await;
    assert!(!tools.iter().any(|tool| tool == "link"), "{tools:?}");
    let text = "in tasks like this one this failed once unseal had worked: link (2 times)";
    assert!(warnings.iter().any(|warning| warning == text), "{warnings:?}");
    // One warning, of five tools at most, names each episode once.
    let mut many = memory.start(Task::new("Paint the fence").kind("ops").domain("store")).await.unwrap();
    for n in 0..7 {
        many.step(Action::tool(format!("brush{n}")).error("too dry")).await.unwrap();
    }
    let many = many.complete(Outcome::failure("not painted")).await.unwrap().id;
    memory.learn().await.unwrap();
    let recall =
        memory.recall(RecallQuery::new("Paint the fence").kind("ops").domain("store")).await.unwrap();
    let dead: Vec<_> = recall.warnings.iter().filter(|it| it.text.contains("this failed")).collect();
    assert!(matches!(dead[..], [it] if it.tools.len() == 5 && it.episodes == [many]), "{recall:#?}");
    // More was done than anybody had when it failed.
    let (_, warnings) = warned(query.clone().done(["unseal", "scale"])).await;
    assert!(!warnings.iter().any(|warning| warning.contains("this failed")), "{warnings:?}");
    // What was forgotten is not named, even before anything is learned anew.
    for id in failed {
        memory.forget(id).await.unwrap();
    }
    let recall = memory.recall(query).await.unwrap();
    assert!(recall.warnings.is_empty(), "{recall:#?}");
    let items = recall.tools.iter().flat_map(|advice| &advice.items);
    assert!(!items.copied().any(|item| failed.map(ItemId::Episode).contains(&item)), "{recall:#?}");
}

#[tokio::test]
async fn an_error_that_stays_leads_to_what_successes_did_instead() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    let refused = "a basic fare cannot be cancelled";
    let names = ["Ada", "Ben", "Cid", "Dot", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kim", "Lea"];
    for (number, name) in names.into_iter().enumerate() {
        let task = Task::new(format!("{name} asks to cancel a booking")).kind("support").domain("travel");
        let mut episode = memory.start(task).await.unwrap();
        episode.step(Action::tool("find_booking").observation("found")).await.unwrap();
        let fails = number % 4 == 3;
        if fails {
            episode.step(Action::tool("cancel_booking").error(refused)).await.unwrap();
            episode.step(Action::tool("hand_over").observation("handed over")).await.unwrap();
        } else {
            episode.step(Action::tool("cancel_booking").observation("cancelled")).await.unwrap();
            episode.step(Action::tool("refund").observation("refunded")).await.unwrap();
        }
        episode.complete(Outcome::success("done")).await.unwrap();
    }
    memory.learn().await.unwrap();
    let query = RecallQuery::new("Max asks to cancel a booking").kind("support").domain("travel");
    let tools = |recall: &agent_memory::Recall| -> Vec<String> {
        recall.tools.iter().map(|advice| advice.tool.clone()).collect()
    };
    let usual = memory.recall(query.clone().done(["find_booking"])).await.unwrap();
    assert_eq!(tools(&usual), ["cancel_booking", "refund"], "{usual:#?}");
    let stuck = query.done(["find_booking"]).failed("cancel_booking", refused);
    let recall = memory.recall(stuck).await.unwrap();
    // What was not cancelled is not refunded either.
    assert_eq!(tools(&recall), ["hand_over"], "{recall:#?}");
    assert!(recall.tools[0].items.contains(&ItemId::Failure(recall.fixes[0].item.id)), "{recall:#?}");
    let steps = recall.playbook.iter().flat_map(|playbook| &playbook.steps);
    assert!(!steps.into_iter().any(|step| ["cancel_booking", "refund"].contains(&step.tool.as_str())));
    let patterns: Vec<String> = recall.patterns.iter().map(|found| found.item.body.to_string()).collect();
    assert!(patterns.iter().all(|pattern| pattern.contains("hand_over")), "{patterns:?}");
    let prompt = recall.to_prompt(800);
    assert!(
        prompt.contains(
            "cancel_booking: a basic fare cannot be cancelled (invalid_input): hand_over (3 times)"
        ),
        "{prompt}"
    );
}

#[tokio::test]
async fn recall_is_deterministic() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..20 {
        cancel_order(&memory, number, number % 4 != 0).await;
    }
    memory.learn().await.unwrap();
    let ask = async |memory: &Memory| {
        let query = RecallQuery::new("cancel the order and look it up").domain("retail");
        let mut recall = serde_json::to_value(memory.recall(query).await.unwrap()).unwrap();
        recall["id"] = serde_json::Value::Null;
        recall
    };
    let first = ask(&memory).await;
    assert_eq!(ask(&memory).await, first);
    memory.close(PATIENCE).await.unwrap();
    assert_eq!(ask(&open(folder.path()).await).await, first, "after reopening, too");
}

#[tokio::test]
async fn learning_goes_on_where_it_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    {
        let memory = open(folder.path()).await;
        for number in 0..5 {
            cancel_order(&memory, number, true).await;
        }
        // Dropped without a word, before anything was learned.
    }
    let memory = open(folder.path()).await;
    assert_eq!(memory.learn().await.unwrap().episodes, 5);
    assert!(!memory.knowledge().patterns().await.unwrap().is_empty());
    memory.close(PATIENCE).await.unwrap();
    let memory = Memory::open(folder.path()).await.unwrap();
    cancel_order(&memory, 9, true).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let id = cancel_order(&memory, 10, true).await;
    while memory.knowledge().reflection(id).await.unwrap().is_none() {
        assert!(tokio::time::Instant::now() < deadline, "the background learner never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn two_that_learn_at_once_lose_no_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()).await, open(folder.path()).await);
    for number in 0..30 {
        cancel_order(if number % 2 == 0 { &one } else { &two }, number, true).await;
    }
    let (a, b) = tokio::join!(one.learn(), two.learn());
    assert!(a.unwrap().episodes + b.unwrap().episodes >= 30);
    one.consolidate(Some(Duration::from_secs(30))).await.unwrap();
    let patterns = one.knowledge().patterns().await.unwrap();
    let sequence = patterns.iter().find(|p| p.strategy == Strategy::ToolSequence).unwrap();
    let evidence = one.knowledge().evidence(ItemId::Pattern(sequence.id)).await.unwrap();
    let episodes: std::collections::BTreeSet<_> = evidence.iter().map(|evidence| evidence.episode).collect();
    assert_eq!(episodes.len(), evidence.len(), "one piece an episode");
    assert!(evidence.len() >= 28, "{}", evidence.len());
    assert_eq!(sequence.tally.successes as usize, evidence.len(), "figures follow the evidence");
}

#[tokio::test]
async fn forgetting_leaves_nothing_of_the_episode() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..6 {
        cancel_order(&memory, number, true).await;
    }
    let mut secret = memory
        .start(Task::new("Cancel order #W9999999 for xylophonia").kind("support").domain("retail"))
        .await
        .unwrap();
    let arguments = serde_json::json!({"order_id": "xylophonia-77"});
    secret
        .step(Action::tool("cancel_order").arguments(arguments).error("xylophonia is locked"))
        .await
        .unwrap();
    secret.step(Action::tool("get_order").description("xylophonia")).await.unwrap();
    let id = secret.complete(Outcome::failure("xylophonia gave up")).await.unwrap().id;
    memory.learn().await.unwrap();
    let before = memory.knowledge().patterns().await.unwrap();
    assert!(memory.knowledge().reflection(id).await.unwrap().is_some());

    assert!(memory.forget(id).await.unwrap());
    memory.learn().await.unwrap();
    memory.close(PATIENCE).await.unwrap();
    let database = libsql::Builder::new_local(folder.path().join("memory.db")).build().await.unwrap();
    let connection = database.connect().unwrap();
    let sql = "SELECT kind, id, body FROM records WHERE body LIKE '%xylophonia%' OR \
               (deleted = 0 AND body LIKE '%' || ?1 || '%')";
    let mut rows = connection.query(sql, [id.to_string()]).await.unwrap();
    if let Some(row) = rows.next().await.unwrap() {
        let cell = |i| row.get::<String>(i).unwrap();
        panic!("{} {} still has it: {}", cell(0), cell(1), cell(2));
    }
    let memory = open(folder.path()).await;
    let after = memory.knowledge().patterns().await.unwrap();
    let kept = |patterns: &[agent_memory::learning::Pattern]| {
        patterns.iter().filter(|p| p.strategy == Strategy::ToolSequence).map(|p| p.tally.successes).max()
    };
    assert_eq!(kept(&after), kept(&before), "what others showed stays");
}

#[tokio::test]
async fn uses_become_evidence_and_hold_outs_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::builder()
        .path(folder.path())
        .background_learning(false)
        .hold_out(0.5)
        .hold_out_seed(7)
        .open()
        .await
        .unwrap();
    for number in 0..10 {
        cancel_order(&memory, number, true).await;
    }
    memory.learn().await.unwrap();
    let (mut shown, mut withheld, mut used) = (0, 0, Vec::new());
    for number in 0..24 {
        let task = Task::new(format!("Cancel order #W10{number:05}")).kind("support").domain("retail");
        let recall = memory.recall("Cancel order").await.unwrap();
        let mut episode = memory.start(task).await.unwrap();
        episode.note_recall(&recall).await.unwrap();
        // Further recalls, one of which does not say what it follows, leave the episode where it was drawn to.
        let further = RecallQuery::new("Cancel order").following(recall.id);
        let further = memory.recall(further).await.unwrap();
        assert_eq!(further.withheld, recall.withheld);
        episode.note_recall(&further).await.unwrap();
        let late = RecallQuery::new("Cancel order").following(recall.id).failed("get_order", "no");
        assert_eq!(memory.recall(late).await.unwrap().phase, Phase::Recovering, "also of what is withheld");
        episode.note_recall(&memory.recall("Cancel order").await.unwrap()).await.unwrap();
        let outcome = if recall.withheld {
            assert!(recall.is_empty());
            let done = RecallQuery::new("Cancel order").following(recall.id);
            let done = memory.recall(done.done(["get_order", "cancel_order"])).await.unwrap();
            assert_eq!((done.phase, done.to_prompt(1_000)), (Phase::UnderWay, String::new()));
            withheld += 1;
            Outcome::failure("no idea how")
        } else {
            shown += 1;
            let item = recall.items()[0];
            episode.note_use(&[item]).await.unwrap();
            used.push(item);
            Outcome::success("as recalled")
        };
        episode.complete(outcome).await.unwrap();
    }
    assert!(shown > 3 && withheld > 3, "{shown} shown, {withheld} withheld");
    memory.learn().await.unwrap();
    let lift = memory.knowledge().lift().await.unwrap();
    let overall = &lift[0];
    assert_eq!((overall.with.episodes, overall.without.episodes), (shown, withheld));
    assert!(overall.low > 0.0 && overall.difference > 0.9, "{overall:?}");
    let evidence = memory.knowledge().evidence(used[0]).await.unwrap();
    assert!(
        evidence.iter().any(|e| e.role == agent_memory::learning::EvidenceRole::Used && e.success == 1.0)
    );
    let unknown = "heuristic:0190a0a0-0000-7000-8000-000000000000".parse().unwrap();
    let mut episode = memory.start("one more").await.unwrap();
    assert!(episode.note_use(&[unknown]).await.is_err(), "what was not recalled cannot have been used");
}

/// Embeds by the first letter, unless its provider is away.
#[derive(Debug, Default)]
struct Letters {
    away: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl Embedder for Letters {
    fn model(&self) -> &str {
        "letters"
    }

    fn dimensions(&self) -> usize {
        2
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        if self.away.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "embed", "the provider is away"));
        }
        Ok(texts
            .iter()
            .map(|text| if text.starts_with('C') { vec![1.0, 0.0] } else { vec![0.0, 1.0] })
            .collect())
    }
}

#[tokio::test]
async fn a_failing_model_holds_up_neither_learning_nor_recall() {
    let folder = tempfile::tempdir().unwrap();
    let letters = std::sync::Arc::new(Letters::default());
    letters.away.store(true, std::sync::atomic::Ordering::Relaxed);
    let memory = Memory::builder().path(folder.path()).embedder(letters.clone()).open().await.unwrap();
    cancel_order(&memory, 1, true).await;
    cancel_order(&memory, 2, true).await;
    memory.learn().await.unwrap();
    let recall = memory.recall("Cancel my order").await.unwrap();
    assert_eq!(recall.episodes.len(), 2, "words still find them");
    assert!(recall.degraded.unwrap().contains("away"));
    eventually("the status says why there are no vectors", async || {
        memory.status().await.engine.sync.last_error.is_some_and(|error| error.contains("away"))
    })
    .await;
    letters.away.store(false, std::sync::atomic::Ordering::Relaxed);
    memory.complete_vectors().await.unwrap();
    let recall = memory.recall("Cancel my order").await.unwrap();
    assert_eq!(recall.degraded, None);
    assert_eq!(recall.episodes[0].parts.semantic, Some(1.0));
    let forgotten = recall.episodes[0].id;
    assert!(memory.forget(forgotten).await.unwrap());
    memory.close(PATIENCE).await.unwrap();
    let database = libsql::Builder::new_local(folder.path().join("memory.db")).build().await.unwrap();
    let connection = database.connect().unwrap();
    let mut rows = connection.query("SELECT count(*) FROM embeddings", ()).await.unwrap();
    let left = rows.next().await.unwrap().unwrap().get::<i64>(0).unwrap();
    assert_eq!(left, 1, "the vector went with its episode");
}

/// Keeps what it was shown; may refuse single words, or be away.
#[derive(Debug, Default)]
struct Witness {
    shown: std::sync::Mutex<Vec<String>>,
    is_away: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl Embedder for Witness {
    fn model(&self) -> &str {
        "witness"
    }

    fn dimensions(&self) -> usize {
        4
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        if self.is_away.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "embed", "away"));
        }
        self.shown.lock().unwrap().extend_from_slice(texts);
        let vector = |text: &String| {
            let mut vector = vec![0.0; 4];
            vector[text.len() % 4] = 1.0;
            vector
        };
        Ok(texts.iter().map(vector).collect())
    }
}

#[tokio::test]
async fn another_model_makes_the_vectors_anew() {
    let folder = tempfile::tempdir().unwrap();
    let models = async || {
        let database = libsql::Builder::new_local(folder.path().join("memory.db")).build().await.unwrap();
        let connection = database.connect().unwrap();
        let mut rows = connection
            .query("SELECT model, count(*) FROM embeddings GROUP BY model ORDER BY model", ())
            .await
            .unwrap();
        let mut models = Vec::new();
        while let Some(row) = rows.next().await.unwrap() {
            models.push((row.get::<String>(0).unwrap(), row.get::<i64>(1).unwrap()));
        }
        models
    };
    let builder = || Memory::builder().path(folder.path());
    let memory = builder().embedder(std::sync::Arc::new(Letters::default())).open().await.unwrap();
    for number in 1..=3 {
        cancel_order(&memory, number, true).await;
    }
    memory.complete_vectors().await.unwrap();
    memory.close(PATIENCE).await.unwrap();
    assert_eq!(models().await, [("letters".to_owned(), 3)]);

    // In the background, with nobody asking for it.
    let memory = builder().embedder(std::sync::Arc::new(Witness::default())).open().await.unwrap();
    eventually("the vectors are the new model's", async || {
        let recall = memory.recall("Cancel my order").await.unwrap();
        recall.degraded.is_none() && recall.episodes.iter().all(|found| found.parts.semantic.is_some())
    })
    .await;
    memory.close(PATIENCE).await.unwrap();
    assert!(models().await.contains(&("witness".to_owned(), 3)), "{:?}", models().await);
}

#[tokio::test]
async fn a_model_is_shown_no_secrets_and_without_its_answer_words_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let witness = std::sync::Arc::new(Witness::default());
    let memory = Memory::builder().path(folder.path()).embedder(witness.clone()).open().await.unwrap();
    for number in 0..4 {
        cancel_order(&memory, number, true).await;
    }
    memory.learn().await.unwrap();
    witness.shown.lock().unwrap().clear();
    let query = RecallQuery::new("Revoke it, ghp_A7quagmire9Zeppelin3ShipWreck5Kq82Lm");
    memory.recall(query.domain("retail")).await.unwrap();
    let shown = witness.shown.lock().unwrap().clone();
    assert!(shown.iter().any(|text| text.contains("Revoke it")), "{shown:?}");
    assert!(!shown.iter().any(|text| text.to_lowercase().contains("quagmire")), "{shown:?}");
    witness.is_away.store(true, std::sync::atomic::Ordering::Relaxed);
    let recall = memory.recall(RecallQuery::new("Annul it, cancel order 7").domain("retail")).await.unwrap();
    assert!(recall.degraded.is_some_and(|why| why.contains("away")));
    assert!(recall.tools.iter().any(|advice| advice.tool == "cancel_order"), "learned words go on");
    memory.close(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_new_process_advises_by_the_stored_model_and_a_forgotten_episode_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let record = async |memory: &Memory, text: &str, tool: &str| {
        let mut episode = memory.start(Task::new(text).domain("garden")).await.unwrap();
        episode.step(Action::tool(tool).observation("done")).await.unwrap();
        let id = episode.id();
        episode.complete(Outcome::success("")).await.unwrap();
        id
    };
    let advised = async |memory: &Memory, text: &str| {
        memory.recall(RecallQuery::new(text).domain("garden")).await.unwrap().tools
    };
    let memory = open(folder.path()).await;
    for number in 0..8 {
        record(&memory, &format!("Water bed {number} of the roses"), "hose").await;
        record(&memory, &format!("Cut hedge {number} behind the shed"), "shears").await;
    }
    let odd = record(&memory, "Frobnicate the gizmo", "frobnicator").await;
    memory.learn().await.unwrap();
    let before = advised(&memory, "Frobnicate the gizmo").await;
    assert_eq!(before.first().map(|advice| advice.tool.as_str()), Some("frobnicator"), "{before:?}");
    let skill = memory.knowledge().advice_skill().await;
    assert_eq!((skill.len(), skill[0].episodes, skill[0].tools), (1, 17, 3));
    memory.close(PATIENCE).await.unwrap();

    let memory = open(folder.path()).await;
    assert_eq!(advised(&memory, "Frobnicate the gizmo").await, before);
    assert!(memory.forget(odd).await.unwrap());
    let after = advised(&memory, "Frobnicate the gizmo of the roses").await;
    assert!(after.iter().all(|advice| advice.tool != "frobnicator"), "{after:?}");
    memory.close(PATIENCE).await.unwrap();

    let memory = open(folder.path()).await;
    assert_eq!(advised(&memory, "Frobnicate the gizmo of the roses").await, after);
    assert_eq!(memory.knowledge().advice_skill().await[0].episodes, 16);
    memory.close(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn consolidation_takes_up_what_other_processes_recorded_and_forgot() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || Memory::builder().path(folder.path()).background_learning(false);
    let (one, two) = (builder().open().await.unwrap(), builder().open().await.unwrap());
    let mut ids = Vec::new();
    for number in 0..10 {
        let task = Task::new(format!("Water bed {number} of the roses")).domain("garden");
        let mut episode = one.start(task).await.unwrap();
        episode.step(Action::tool("hose").observation("done")).await.unwrap();
        ids.push(episode.id());
        episode.complete(Outcome::success("")).await.unwrap();
    }
    one.learn().await.unwrap();
    let learned = async || {
        two.consolidate(None).await.unwrap();
        two.knowledge().advice_skill().await.iter().map(|skill| skill.episodes).sum::<usize>()
    };
    assert_eq!(learned().await, 10);
    assert!(one.forget(ids[3]).await.unwrap());
    assert_eq!(learned().await, 9);
    one.close(PATIENCE).await.unwrap();
    two.close(PATIENCE).await.unwrap();
}

/// Refuses one episode.
#[derive(Debug)]
struct Picky(ContrastReflector);

#[async_trait::async_trait]
impl Reflector for Picky {
    async fn reflect(&self, trace: &Trace, similar: &[Trace]) -> Result<Reflection, Error> {
        if trace.episode.task.description.contains("1000037") {
            return Err(Error::new(ErrorKind::InvalidInput, "reflect", "this one not"));
        }
        self.0.reflect(trace, similar).await
    }
}

#[tokio::test]
async fn an_episode_that_cannot_be_learned_from_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let picky = std::sync::Arc::new(Picky(ContrastReflector::default()));
    let builder = Memory::builder().path(folder.path()).background_learning(false).reflector(picky);
    let memory = builder.open().await.unwrap();
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(cancel_order(&memory, number, true).await);
    }
    let error = memory.learn().await.unwrap_err();
    assert!(error.to_string().contains("this one not"), "{error}");
    for (number, id) in ids.into_iter().enumerate() {
        let learned = memory.knowledge().reflection(id).await.unwrap().is_some();
        assert_eq!(learned, number != 1, "{number}");
    }
    memory.close(PATIENCE).await.unwrap();
    let memory = open(folder.path()).await;
    assert_eq!(memory.learn().await.unwrap().episodes, 1, "it stays due");
}

#[tokio::test]
async fn one_known_wish_among_unknown_ones_is_helped() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..8 {
        cancel_order(&memory, number, true).await;
    }
    memory.learn().await.unwrap();
    let unknown =
        "repaint the garden fence beside the old barn; mow the lawn, then feed both hungry cats tonight";
    assert!(memory.recall(unknown).await.unwrap().is_empty());
    let recall = memory.recall(format!("{unknown}. Cancel it for grandmother")).await.unwrap();
    let tools: Vec<&str> = recall.tools.iter().map(|advice| advice.tool.as_str()).collect();
    assert_eq!(tools, ["get_order", "cancel_order"]);
}

#[tokio::test]
async fn a_way_that_mostly_fails_is_no_pattern_to_follow() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    let shown = async |failures: usize, successes: usize| {
        for works in [vec![false; failures], vec![true; successes]].concat() {
            let mut episode = memory.start(Task::new("Send the report")).await.unwrap();
            episode.step(Action::tool("write_report")).await.unwrap();
            episode.step(Action::tool("send_report")).await.unwrap();
            let outcome = if works { Outcome::success("sent") } else { Outcome::failure("it was wrong") };
            episode.complete(outcome).await.unwrap();
        }
        memory.learn().await.unwrap();
        let patterns = memory.recall("Send the report").await.unwrap().patterns;
        patterns.iter().any(|found| found.item.strategy == Strategy::ToolSequence)
    };
    assert!(!shown(4, 2).await);
    assert!(shown(0, 3).await);
}

#[tokio::test]
async fn people_have_the_last_word_on_heuristics() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..12 {
        cancel_order(&memory, number, true).await;
    }
    memory.learn().await.unwrap();
    let recall = memory.recall(RecallQuery::new("cancel the order").domain("retail")).await.unwrap();
    let first = recall.heuristics.first().expect("a rule was learned").item.clone();
    let explanation = memory.knowledge().explain(first.id).await.unwrap();
    assert!(!explanation.supporting.is_empty());
    memory.knowledge().set_ruling(ItemId::Heuristic(first.id), Some(Decision::Rejected)).await.unwrap();
    cancel_order(&memory, 13, true).await;
    memory.learn().await.unwrap();
    let recall = memory.recall(RecallQuery::new("cancel the order").domain("retail")).await.unwrap();
    assert!(recall.heuristics.iter().all(|found| found.item.id != first.id), "rejected means never");
    let behind = recall.tools.iter().flat_map(|advice| &advice.items);
    assert!(behind.into_iter().all(|item| *item != ItemId::Heuristic(first.id)), "nor behind any advice");
    let mut about = memory.knowledge().heuristics().await.unwrap().items;
    about.retain(|rule| rule.tool == first.tool);
    for rule in &about {
        memory.knowledge().set_ruling(ItemId::Heuristic(rule.id), Some(Decision::Rejected)).await.unwrap();
    }
    let without = memory.recall(RecallQuery::new("cancel the order").domain("retail")).await.unwrap();
    assert!(without.tools.iter().all(|advice| advice.tool != first.tool), "{:?}", without.tools);
    for rule in &about {
        memory.knowledge().set_ruling(ItemId::Heuristic(rule.id), None).await.unwrap();
    }
    let recall = memory.recall(RecallQuery::new("cancel the order").domain("retail")).await.unwrap();
    assert!(recall.heuristics.iter().any(|found| found.item.id == first.id));

    // A ruling outlives the episodes that showed the rule; their figures do not.
    memory.knowledge().set_ruling(ItemId::Heuristic(first.id), Some(Decision::Rejected)).await.unwrap();
    for episode in memory.list(&EpisodeQuery::default()).await.unwrap().episodes {
        memory.forget(episode.id).await.unwrap();
    }
    let left = memory.knowledge().heuristics().await.unwrap().items;
    let [rule] = &left[..] else { panic!("{left:?}") };
    assert_eq!((rule.id, rule.is_rejected(), rule.tally.count()), (first.id, true, 0));
    assert!(rule.supporting.is_empty() && rule.contradicting.is_empty(), "{rule:?}");
}

#[tokio::test]
async fn operators_query_what_was_learned_with_sql() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..8 {
        cancel_order(&memory, number, number % 2 == 0).await;
    }
    memory.learn().await.unwrap();
    memory.consolidate(Some(Duration::from_secs(30))).await.unwrap();
    memory.close(PATIENCE).await.unwrap();
    let database = libsql::Builder::new_local(folder.path().join("memory.db")).build().await.unwrap();
    let connection = database.connect().unwrap();
    let count = async |sql: &str| {
        let mut rows = connection.query(sql, ()).await.unwrap();
        rows.next().await.unwrap().unwrap().get::<i64>(0).unwrap()
    };
    assert_eq!(count("SELECT count(*) FROM rewards WHERE learned = 1").await, 8);
    assert!(count("SELECT count(*) FROM patterns WHERE confidence > 0").await > 0);
    assert!(count("SELECT count(*) FROM pattern_usage WHERE role = 'observed'").await > 0);
    assert!(count("SELECT count(*) FROM failures WHERE occurrences = 4").await > 0);
    assert!(count("SELECT count(*) FROM learning_metrics WHERE name = 'success_rate'").await > 0);
    assert_eq!(count("SELECT count(*) FROM consolidation_cycles").await, 1);
    let by_task = "SELECT count(*) FROM (SELECT fingerprint FROM episodes GROUP BY fingerprint)";
    assert_eq!(count(by_task).await, 1, "order numbers do not make another task");
}

#[tokio::test]
async fn an_import_is_learned_from_once() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    let recording = || {
        Recording::new(
            "file:1",
            Task::new("Refund the kettle").domain("retail"),
            Outcome::success("refunded"),
        )
        .actions(vec![Action::tool("find_order"), Action::tool("refund")])
    };
    assert!(matches!(memory.record(recording()).await.unwrap(), Recorded::New(_)));
    assert_eq!(memory.learn().await.unwrap().episodes, 1);
    assert!(matches!(memory.record(recording()).await.unwrap(), Recorded::Known(_)));
    assert_eq!(memory.learn().await.unwrap().episodes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_machine_learns_and_another_recalls_it() {
    let sqld = Sqld::start(SqldOptions::new());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = remote(folders[0].path(), &sqld.url()).open().await.unwrap();
    let two = remote(folders[1].path(), &sqld.url()).open().await.unwrap();
    for number in 0..8 {
        cancel_order(&one, number, true).await;
    }
    one.flush(PATIENCE).await.unwrap();
    one.learn().await.unwrap();
    one.sync(PATIENCE).await.unwrap();
    two.sync(PATIENCE).await.unwrap();
    let recall = two.recall(RecallQuery::new("cancel the order").domain("retail")).await.unwrap();
    assert!(!recall.patterns.is_empty(), "{recall:#?}");
    assert!(recall.playbook.is_some(), "{recall:#?}");
    assert_eq!(two.learn().await.unwrap().episodes, 0, "what one has learned from is not due for the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_cut_off_writes_over_no_ruling_and_stores_its_rules_afterwards() {
    let sqld = Sqld::start(SqldOptions::new());
    let proxy = FaultProxy::start(sqld.addr());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let cut_off = remote(folders[0].path(), &proxy.url()).open().await.unwrap();
    let other = remote(folders[1].path(), &sqld.url()).open().await.unwrap();
    for number in 0..12 {
        cancel_order(&cut_off, number, true).await;
    }
    cut_off.flush(PATIENCE).await.unwrap();
    cut_off.learn().await.unwrap();
    cut_off.sync(PATIENCE).await.unwrap();
    other.sync(PATIENCE).await.unwrap();
    let rule = other.knowledge().heuristics().await.unwrap().items.remove(0);

    proxy.set_mode(Mode::Refuse);
    other.knowledge().set_ruling(ItemId::Heuristic(rule.id), Some(Decision::Rejected)).await.unwrap();
    other.sync(PATIENCE).await.unwrap();
    for number in 0..6 {
        let task = Task::new(format!("Mail the receipt of day {number}")).kind("support").domain("retail");
        let mut episode = cut_off.start(task).await.unwrap();
        episode.step(Action::tool("mail_receipt")).await.unwrap();
        episode.complete(Outcome::success("mailed")).await.unwrap();
    }
    // What it extends may be out of reach; the episodes are then due later on.
    if let Err(error) = cut_off.learn().await {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    let rules = cut_off.knowledge().heuristics().await.unwrap();
    assert!(matches!(rules.freshness, Freshness::Stale { .. }), "{:?}", rules.freshness);
    assert!(rules.items.iter().all(|rule| rule.tool != "mail_receipt"), "stored without knowing of rulings");

    proxy.set_mode(Mode::Pass);
    cut_off.flush(PATIENCE).await.unwrap();
    cut_off.learn().await.unwrap();
    cut_off.sync(PATIENCE).await.unwrap();
    other.sync(PATIENCE).await.unwrap();
    let rules = other.knowledge().heuristics().await.unwrap().items;
    let held = rules.iter().find(|held| held.id == rule.id);
    assert!(held.is_some_and(|held| held.is_rejected()), "{held:?}");
    assert!(rules.iter().any(|rule| rule.tool == "mail_receipt"), "{rules:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_evidence_adds_up_is_configured_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let open = |confidence: ConfidenceConfig, consolidation: ConsolidationConfig| {
        let builder =
            Memory::builder().path(folder.path()).confidence(confidence).consolidation(consolidation);
        builder.background_learning(false).open()
    };
    let (mut confidence, mut consolidation) = (ConfidenceConfig::default(), ConsolidationConfig::default());
    confidence.quantile = 0.7;
    let error = open(confidence.clone(), consolidation.clone()).await.unwrap_err();
    assert!(error.to_string().contains("confidence.quantile"), "{error}");
    confidence.quantile = 0.4;
    consolidation.budget = Duration::ZERO;
    let error = open(confidence.clone(), consolidation.clone()).await.unwrap_err();
    assert!(error.to_string().contains("consolidation.budget"), "{error}");
    // Of one success the middle of the posterior is surer than its tenth.
    let best_of = async |config: ConfidenceConfig, of: &str| {
        let memory = open(config, ConsolidationConfig::default()).await.unwrap();
        let mut episode = memory.start(Task::new("Sort the mail").domain(of)).await.unwrap();
        for tool in ["open", "sort", "file"] {
            episode.step(Action::tool(tool)).await.unwrap();
        }
        episode.complete(Outcome::success("sorted")).await.unwrap();
        memory.learn().await.unwrap();
        let patterns = memory.knowledge().patterns().await.unwrap().items;
        let best = patterns.iter().filter(|it| it.domain.as_deref() == Some(of)).map(|it| it.confidence);
        let best = best.fold(0.0, f64::max);
        memory.close(PATIENCE).await.unwrap();
        best
    };
    let (bold, careful) =
        (best_of(confidence, "bold").await, best_of(ConfidenceConfig::default(), "careful").await);
    assert!(bold > careful + 0.1, "{bold} {careful}");
}

#[tokio::test]
async fn a_task_is_known_up_to_its_values() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for (number, works, took) in [(1, true, 100), (2, false, 300)] {
        let task = Task::new(format!("Cancel order #W10{number:05}")).kind("support").domain("retail");
        let mut episode = memory.start(task).await.unwrap();
        episode.step(Action::tool("cancel_order").duration_ms(took)).await.unwrap();
        let outcome = if works { Outcome::success("done") } else { Outcome::failure("locked") };
        episode.complete(outcome).await.unwrap();
    }
    let known = async |text: &str| {
        let task = Task::new(text).kind("support").domain("retail");
        let known = memory.knowledge().task(&task).await.unwrap();
        (known.episodes, known.successes, known.steps, known.duration_ms)
    };
    assert_eq!(known("Cancel order #W9999999").await, (2, 1, 1.0, Some(200.0)));
    assert_eq!(known("Return order #W9999999").await, (0, 0, 0.0, None));
}

#[tokio::test]
async fn the_scheduler_consolidates_what_is_new_when_there_is_no_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = agent_memory::learning::ConsolidationConfig::default();
    config.idle_after = Duration::from_millis(100);
    let memory = Memory::builder().path(folder.path()).consolidation(config).open().await.unwrap();
    for number in 0..3 {
        cancel_order(&memory, number, true).await;
    }
    eventually("a cycle has run", async || {
        let cycles = memory.knowledge().cycles().await.unwrap();
        cycles
            .iter()
            .any(|cycle| cycle.trigger == agent_memory::learning::Trigger::Idle && !cycle.interrupted)
    })
    .await;
    assert!(!memory.knowledge().metrics().await.unwrap().is_empty(), "it measured");
}

#[tokio::test]
async fn what_hurts_is_withheld_until_the_episodes_it_hurt_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..12 {
        cancel_order(&memory, number, true).await;
    }
    memory.learn().await.unwrap();
    let ask = || memory.recall("Cancel order #W1000042");
    let playbook = ItemId::Playbook(ask().await.unwrap().playbook.expect("a procedure").playbook.id);
    let under_way = RecallQuery::new("Cancel order #W1000042").done(["get_order"]);
    let rest = memory.recall(under_way).await.unwrap().playbook.expect("the rest of it");
    assert_eq!(rest.steps.iter().map(|step| step.tool.as_str()).collect::<Vec<_>>(), ["cancel_order"]);
    let mut hurt = Vec::new();
    for number in 0..8 {
        let mut episode = memory.start(format!("Cancel order #W20{number:05}")).await.unwrap();
        let recall = ask().await.unwrap();
        if !recall.items().contains(&playbook) {
            break;
        }
        episode.note_recall(&recall).await.unwrap();
        episode.note_use(&[playbook]).await.unwrap();
        hurt.push(episode.complete(Outcome::failure("refused")).await.unwrap().id);
        memory.learn().await.unwrap();
    }
    assert!((4..8).contains(&hurt.len()), "withheld after {} failures", hurt.len());
    let shown = ask().await.unwrap().playbook.map(|it| ItemId::Playbook(it.playbook.id));
    assert_ne!(shown, Some(playbook));
    for id in hurt {
        assert!(memory.forget(id).await.unwrap());
    }
    let shown = ask().await.unwrap().playbook.map(|it| ItemId::Playbook(it.playbook.id));
    assert_eq!(shown, Some(playbook), "nothing speaks against it any more");
}

#[tokio::test]
async fn each_part_of_a_task_finds_episodes_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let memory = open(folder.path()).await;
    for number in 0..8 {
        cancel_order(&memory, number, true).await;
    }
    let mut episode = memory.start("Translate the brochure into Welsh").await.unwrap();
    episode.step(Action::tool("translate")).await.unwrap();
    let welsh = episode.complete(Outcome::success("translated")).await.unwrap().id;
    let recall = |text: &'static str| memory.recall(RecallQuery::new(text).limit(2));
    let of_part = |recall: &agent_memory::Recall| -> Vec<EpisodeId> {
        let found = recall.episodes.iter();
        found
            .filter(|found| found.reasons[0].starts_with("like a part of the task: "))
            .map(|it| it.id)
            .collect()
    };
    let one = recall("Cancel order #W1000001").await.unwrap();
    assert_eq!((one.episodes.len(), of_part(&one).len()), (2, 0));
    let both = "Cancel order #W1000001 because the customer no longer needs it; translate it";
    let both = recall(both).await.unwrap();
    assert_eq!((both.episodes.len(), of_part(&both)), (2, vec![welsh]), "{both:#?}");
    assert_eq!(both.episodes[1].id, welsh, "behind what the task as a whole finds");
    assert!(both.episodes[1].score <= both.episodes[0].score);
}
