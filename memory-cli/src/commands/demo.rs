//! `memory demo`: the main use on a bundled sample, in sections.

mod telling;

use std::path::Path;
use std::time::{Duration, Instant};

use agent_memory::{Action, EpisodeId, EpisodeQuery, Memory, Outcome, Recall, RecallQuery, Role, Task};
use serde_json::{Value, json};

use super::import::{knowledge, known};
use super::recall;
use super::status::{self, DEAD_LETTERS_SHOWN};
use crate::cli::{DemoArgs, Global};
use crate::failure::{Exit, Failure};
use crate::import::{BadPlace, Defaults, Import, Sink, Tally};
use crate::output::Output;
use crate::session::{Session, folder, refuse};

use telling::Telling;

/// Episodes of made-up agents, in the two shapes that `memory import` reads.
const SAMPLE: &[u8] = include_bytes!("../../data/sample.jsonl");
/// Marks the live episode, so that the next run can recognise it.
const LIVE_RUN: &str = "memory-demo-live";
/// A task similar to some of the sample, recalled before and after learning from it.
const TASK: &str = "Deploy version 3.2.1 of the invoices service to production.";
/// The course of the task: the calls so far, and the error that followed.
const DONE: [&str; 1] = ["deploy_service"];
const FAILED: &str = "check_rollout";
const ERROR: &str =
    "Error: 0 of 3 replicas of invoices are available: migration 0107 is not applied, refusing to start";
/// A task that resembles some of the sample.
const RELATED: &str = "Our signup end-to-end test is flaky in CI, it sometimes times out";
/// A task that resembles nothing in it.
const UNRELATED: &str = "Compose a wedding speech for my sister";
const PROMPT_TOKENS: usize = 300;
/// Closing in local mode has nothing to send.
const CLOSING: Duration = Duration::from_secs(5);

pub(crate) async fn run(global: &Global, arguments: &DemoArgs, output: &mut Output) -> Result<Exit, Failure> {
    let why = "the demo has a folder of its own on this machine: choose it with --path";
    refuse("--url", global.url.is_some(), why)?;
    refuse("--config", global.config.is_some(), why)?;
    refuse("--namespace", global.namespace.is_some(), why)?;
    refuse("--here", global.here, why)?;
    let folder = match &global.path {
        Some(path) => path.clone(),
        None => folder(global, None)?.join("demo"),
    };
    let mut told = Telling::new(output, arguments.verbose);
    told.opening(&folder)?;
    // The demo learns explicitly, at its own steps.
    let memory = Memory::builder().path(&folder).background_learning(false).open().await?;
    told.warnings(&memory)?;

    told.section("A task, before anything like it is known")?;
    let before = ask(&memory, task()).await?;
    told.answer(TASK, &before)?;

    told.section("Import what agents did before, and learn from it")?;
    let sample = import(&memory).await?;
    told.imported(&sample)?;
    // The memory in the demo's own folder has everything at once.
    memory.learn().await?;
    let learned = known(&memory).await?.unwrap_or_default();
    told.learned(&knowledge(&learned))?;

    told.section("The same task again")?;
    let after = ask(&memory, task()).await?;
    told.answer(TASK, &after)?;
    if let Some(rule) = after.recall.heuristics.first() {
        told.explained(&memory.knowledge().explain(rule.item.id).await?)?;
    }

    told.section("In the middle of it, when a step fails")?;
    let midway = ask(&memory, task().done(DONE).failed(FAILED, ERROR)).await?;
    told.midway(&midway)?;

    told.section("Do a task, logging each step as it happens")?;
    let live = live(&memory, &mut told).await?;
    memory.learn().await?;
    let reward = memory.knowledge().reward(live.id).await?;
    let reflection = memory.knowledge().reflection(live.id).await?;
    told.reflected(reward.as_ref(), reflection.as_ref())?;

    told.section("Recall for a task like that")?;
    let related = ask(&memory, RecallQuery::new(RELATED).limit(3)).await?;
    told.answer(RELATED, &related)?;

    told.section("The same, as text for the agent's prompt")?;
    let prompt = related.recall.to_prompt(PROMPT_TOKENS);
    told.prompt(&prompt)?;

    told.section("Recall for a task that nobody has done")?;
    let unrelated = ask(&memory, RecallQuery::new(UNRELATED).limit(3)).await?;
    told.answer(UNRELATED, &unrelated)?;

    told.section("Close, open again: everything is still there")?;
    let (session, reopened) = reopen(memory, &folder, live.id).await?;
    told.warnings(&session.memory)?;
    told.reopened(&reopened)?;

    told.section("Status")?;
    let status = session.memory.status().await;
    let dead_letters = session.memory.dead_letters(0, DEAD_LETTERS_SHOWN).await?;
    let object = json!({
        "folder": folder.display().to_string(),
        "sample": {
            "new": sample.tally.new,
            "known": sample.tally.known,
            "steps": sample.tally.steps,
            "elapsed_us": micros(sample.taken),
        },
        "before": before.object(TASK),
        "learned": learned,
        "after": after.object(TASK),
        "midway": midway.object(TASK),
        "live": {
            "id": live.id,
            "writes": live.writes,
            "elapsed_us": micros(live.taken),
            "writes_per_second": live.rate(),
            "reward": reward,
            "reflection": reflection,
        },
        "related": related.object(RELATED),
        "prompt": prompt,
        "unrelated": unrelated.object(UNRELATED),
        "reopen": {
            "close_us": micros(reopened.closing),
            "open_us": micros(reopened.opening),
            "episodes": reopened.episodes,
            "live_steps": reopened.live_steps,
        },
        "status": status::object(&session, &status, &dead_letters)?,
    });
    told.status(&status::lines(&session, &status, &dead_letters, told.columns()))?;
    session.close().await?;
    told.brief(&sample, &learned, &after, &midway)?;
    told.ending(&folder, &object)?;
    Ok(Exit::Done)
}

/// An import and how long it took.
struct Imported {
    tally: Tally,
    taken: Duration,
}

/// The sample has no bad lines; a test checks that.
struct Unwatched;

impl Sink for Unwatched {
    fn read(&mut self, _bytes: u64) {}

    fn bad(&mut self, _place: &BadPlace) -> std::io::Result<()> {
        Ok(())
    }
}

async fn import(memory: &Memory) -> Result<Imported, Failure> {
    let start = Instant::now();
    let mut sink = Unwatched;
    let mut import = Import::new(memory.clone(), true, None, Defaults::default(), &mut sink);
    import.file("sample.jsonl", memory_import::Format::JsonLines, Box::new(SAMPLE)).await?;
    Ok(Imported { tally: import.into_tally(), taken: start.elapsed() })
}

/// The episode that was logged step by step.
struct Live {
    id: EpisodeId,
    writes: u64,
    taken: Duration,
}

impl Live {
    /// Returns acknowledged writes a second, one after the other.
    fn rate(&self) -> u64 {
        (self.writes as f64 / self.taken.as_secs_f64().max(1e-6)) as u64
    }
}

async fn live(memory: &Memory, told: &mut Telling<'_>) -> Result<Live, Failure> {
    // The live episode of an earlier run would be the best answer to every later one.
    let earlier = memory.list(&EpisodeQuery::default().correlation_id(LIVE_RUN)).await?.episodes;
    for episode in &earlier {
        memory.forget(episode.id).await?;
    }
    if !earlier.is_empty() {
        told.forgot_the_last()?;
    }
    let task = Task::new("The profile page test is flaky: the avatar upload times out on slow CI runners")
        .kind("debugging")
        .domain("web")
        .agent("coder")
        .tag("flaky-test")
        .correlation_id(LIVE_RUN);
    told.task(&task.description)?;
    let start = Instant::now();
    let mut episode = memory.start(task).await?;
    let mut taken = start.elapsed();
    for action in actions() {
        let shown = action.clone();
        let start = Instant::now();
        let number = episode.step(action).await?;
        let one = start.elapsed();
        taken += one;
        told.step(number, &shown, one)?;
    }
    let (id, writes) = (episode.id(), u64::from(episode.step_count()) + 2);
    let start = Instant::now();
    let outcome = "The test waits for the upload's response instead of a fixed time; 40 of 40 runs pass.";
    episode.complete(Outcome::success(outcome)).await?;
    taken += start.elapsed();
    let live = Live { id, writes, taken };
    told.completed(outcome, &live)?;
    Ok(live)
}

fn actions() -> Vec<Action> {
    let call = |tool: &str, name: &str, value: &str| Action::tool(tool).arguments(json!({name: value}));
    vec![
        call("bash", "command", "npx playwright test profile.spec.ts --repeat-each 20")
            .description("reproduce it")
            .error("Error: 6 of 20 failed: Timeout 5000ms exceeded waiting for img.avatar")
            .duration_ms(48_200),
        call("read_file", "path", "tests/profile.spec.ts")
            .description("see what the test waits for")
            .observation("await page.setInputFiles('#avatar', file);\nawait page.waitForTimeout(1000);"),
        Action::message(Role::Assistant, "A fixed second is too short for a slow runner."),
        call("edit_file", "path", "tests/profile.spec.ts")
            .description("wait for the response of the upload")
            .observation("1 replacement"),
        call("bash", "command", "npx playwright test profile.spec.ts --repeat-each 40")
            .description("check the fix")
            .observation("40 passed (2.1m)")
            .duration_ms(126_000),
    ]
}

/// A question's answer and how long it took.
struct Answer {
    recall: Recall,
    taken: Duration,
}

impl Answer {
    fn object(&self, question: &str) -> Value {
        let mut object = recall::object(&self.recall, None);
        object["text"] = question.into();
        object["elapsed_us"] = micros(self.taken).into();
        object
    }
}

fn task() -> RecallQuery {
    RecallQuery::new(TASK).limit(1)
}

async fn ask(memory: &Memory, query: RecallQuery) -> Result<Answer, Failure> {
    let start = Instant::now();
    let recall = memory.recall(query).await?;
    Ok(Answer { recall, taken: start.elapsed() })
}

/// The state after reopening.
struct Reopened {
    closing: Duration,
    opening: Duration,
    episodes: u64,
    live_steps: u64,
}

async fn reopen(memory: Memory, folder: &Path, live: EpisodeId) -> Result<(Session, Reopened), Failure> {
    let start = Instant::now();
    memory.close(CLOSING).await?;
    let closing = start.elapsed();
    let start = Instant::now();
    let memory = Memory::open(folder).await?;
    let opening = start.elapsed();
    let session = Session { memory, folder: folder.to_owned(), url: None };
    let live_steps = session.memory.steps(live).await?.len() as u64;
    let mut query = EpisodeQuery::default().limit(500);
    let mut episodes = 0;
    loop {
        let page = session.memory.list(&query).await?;
        episodes += page.episodes.len() as u64;
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    Ok((session, Reopened { closing, opening, episodes, live_steps }))
}

fn micros(taken: Duration) -> u64 {
    u64::try_from(taken.as_micros()).unwrap_or(u64::MAX)
}
