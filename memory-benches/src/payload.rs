//! The records that are written: steps of about 2 KB, as agents log them.

use agent_memory::Recording;
use memory_core::{
    Action, Clock, Entity, EpisodeId, IdSource, Key, Namespace, Outcome, Record, Revision, Step, SystemClock,
    SystemIds, Task, WriterId,
};

/// The least words of an observation that make the encoded step about 2 KB.
const OBSERVATION_BYTES: usize = 1_600;

const WORDS: [&str; 48] = [
    "error",
    "test",
    "build",
    "login",
    "session",
    "cookie",
    "timeout",
    "retry",
    "cache",
    "index",
    "query",
    "schema",
    "migration",
    "deploy",
    "service",
    "request",
    "response",
    "token",
    "header",
    "parser",
    "module",
    "import",
    "branch",
    "commit",
    "merge",
    "conflict",
    "review",
    "flight",
    "booking",
    "refund",
    "seat",
    "customer",
    "invoice",
    "payment",
    "address",
    "order",
    "shipment",
    "ticket",
    "agent",
    "policy",
    "upgrade",
    "config",
    "thread",
    "socket",
    "memory",
    "buffer",
    "stream",
    "file",
];

/// A reproducible source of text (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Text(u64);

impl Text {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn word(&mut self) -> &'static str {
        WORDS[(self.next() % WORDS.len() as u64) as usize]
    }

    /// Returns a sentence of about `words` words.
    pub(crate) fn sentence(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    /// Returns what a tool may have printed.
    fn output(&mut self, bytes: usize) -> String {
        let mut out = String::with_capacity(bytes + 80);
        while out.len() < bytes {
            let (folder, file, line) = (self.word(), self.word(), self.next() % 900);
            let said = self.sentence(5);
            out.push_str(&format!("src/{folder}/{file}.rs:{line}: {said}\n"));
        }
        out
    }
}

/// Makes an action whose step is about 2 KB encoded.
pub(crate) fn action(text: &mut Text) -> Action {
    let (file, words) = (text.word(), text.sentence(12));
    Action::tool("bash")
        .description(words)
        .arguments(
            serde_json::json!({ "command": format!("cargo test {file}"), "timeout_s": 120, "retries": 2 }),
        )
        .observation(text.output(OBSERVATION_BYTES))
        .duration_ms(text.next() % 9_000)
        .tokens(text.next() % 2_000)
}

/// Makes the steps of one episode, one after the other.
#[derive(Debug)]
pub(crate) struct Steps {
    space: Namespace,
    episode: EpisodeId,
    number: u32,
    text: Text,
}

impl Steps {
    pub(crate) fn new(space: &Namespace) -> Self {
        let ids = SystemIds::default();
        let episode = EpisodeId(ids.next(SystemClock::new().now()));
        Self { space: space.clone(), episode, number: 0, text: Text::new(ids.random()) }
    }

    /// Returns key and content of the next step.
    pub(crate) fn entity(&mut self) -> (Key, Entity) {
        self.number += 1;
        let step = Step::new(self.episode, self.number, 7, SystemClock::new().now(), action(&mut self.text));
        (Key::step(&self.space, &step), Entity::Step(step))
    }

    /// Returns the next step as a record.
    pub(crate) fn record(&mut self) -> Record {
        let (key, entity) = self.entity();
        let now = SystemClock::new().now();
        let revision = Revision { clock: now.0 << 16, writer: WriterId::new(7) };
        Record { key, revision, updated_at: now, expires_at: None, entity: Some(entity.into()) }
    }

    /// Returns the next `count` steps as records.
    pub(crate) fn records(&mut self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.record()).collect()
    }
}

/// Makes the head of an open episode, as a record.
pub(crate) fn head(space: &Namespace, text: &mut Text) -> Record {
    let (ids, now) = (SystemIds::default(), SystemClock::new().now());
    let id = EpisodeId(ids.next(now));
    let episode =
        memory_core::Episode::open(id, Task::new(text.sentence(30)).kind("debugging").domain("web"), now);
    Record {
        key: Key::episode(space, id),
        revision: Revision { clock: now.0 << 16, writer: WriterId::new(7) },
        updated_at: now,
        expires_at: None,
        entity: Some(Entity::Episode(episode).into()),
    }
}

/// Makes a finished episode with three steps, for recall and import.
pub(crate) fn recording(number: u64) -> Recording {
    let mut text = Text::new(number);
    let task = Task::new(text.sentence(25)).kind("debugging").domain(text.word()).tag(text.word());
    let actions =
        (0..3).map(|_| Action::tool(text.word()).description(text.sentence(8)).observation(text.output(300)));
    let actions = actions.collect();
    Recording::new(format!("bench:{number}"), task, Outcome::success(text.sentence(12))).actions(actions)
}

#[cfg(test)]
mod tests {
    use memory_core::Row;

    use super::*;

    #[test]
    fn steps_are_about_2_kb_and_differ() {
        let mut steps = Steps::new(&Namespace::default());
        let rows: Vec<Row> = steps.records(20).iter().map(|record| Row::encode(record).unwrap()).collect();
        for row in &rows {
            let bytes = row.body.as_ref().map_or(0, String::len);
            assert!((1_900..2_300).contains(&bytes), "{bytes}");
        }
        assert!(rows.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].body != pair[1].body));
    }
}
