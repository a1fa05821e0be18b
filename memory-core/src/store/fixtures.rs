//! Records for tests: one entity of every kind, all fields set, with text that is hard to store.

use std::sync::Arc;

use serde_json::json;

use crate::clock::Timestamp;
use crate::id::{
    ArtifactId, EpisodeId, FailureId, HeuristicId, IdSource, PatternId, PlaybookId, RecallId, SeededIds,
};
use crate::model::artifact::{Artifact, NewArtifact, Quality};
use crate::model::cycle::{Cycle, Trigger};
use crate::model::embedding::{Embedding, Vector};
use crate::model::entity::Entity;
use crate::model::episode::{Attempt, Episode, EpisodeStatus, RecallUse, ToolUse};
use crate::model::evidence::{Evidence, EvidenceRole, ItemId, Standing, Tally};
use crate::model::failure::{ErrorCategory, Failure};
use crate::model::feedback::Feedback;
use crate::model::heuristic::{Advice, Heuristic, RuleCondition};
use crate::model::kind::Kind;
use crate::model::metric::Metric;
use crate::model::outcome::Outcome;
use crate::model::pattern::{Pattern, PatternBody, Strategy};
use crate::model::playbook::{Playbook, PlaybookStep};
use crate::model::reflection::{Insight, Reflection};
use crate::model::remedy::{ArgumentChange, ArgumentValue, Remedy, RemedyCall};
use crate::model::reward::Reward;
use crate::model::ruling::{Decision, Ruling};
use crate::model::step::{Action, Step};
use crate::model::task::{Complexity, Task};
use crate::store::record::{Key, Namespace, Record, Revision, WriterId};

/// Text with quotes, control characters, NUL and characters outside the basic plane.
pub const HARD_TEXT: &str = "it's \"quoted\" \\ %_*?[ \0 \n\t ünïcode 漢字 🦀 \u{202e}rtl";

/// Returns an entity of each kind, made from a seed.
pub fn entities(seed: u64) -> Vec<Entity> {
    let ids = SeededIds::new(seed);
    let at = Timestamp(1_700_000_000_000 + seed);
    let id = || ids.next(at);
    let episode_id = EpisodeId(id());
    let task = Task::new(HARD_TEXT)
        .kind("debugging")
        .domain("web")
        .language("rust")
        .framework("axum")
        .tag("a")
        .tag("b c")
        .complexity(Complexity::Complex)
        .agent("agent-1")
        .correlation_id("trace 7")
        .parent(EpisodeId(id()))
        .attributes(json!({"gen_ai.request.model": HARD_TEXT, "deep": {"n": [1.5, null]}}));
    let mut episode = Episode::open(episode_id, task, at);
    episode.status = EpisodeStatus::Completed;
    episode.completed_at = Some(Timestamp(at.0 + 5));
    episode.confidence = 0.7;
    episode.outcome = Some(Outcome::failure(HARD_TEXT).last_error(HARD_TEXT));
    let reviewed = Quality::default().review_score(0.5).measure("coverage", 0.25);
    let partial = Outcome::Partial { fraction: 0.1 + 0.2, summary: HARD_TEXT.into() };
    episode.take_feedback(Feedback::new("review").outcome(partial).quality(reviewed).comment(HARD_TEXT));
    episode.steps = 3;
    episode.tools = vec![ToolUse { tool: "bash".into(), calls: 3, failures: 1 }];
    episode.course = vec![Attempt { tool: 0, worked: false }, Attempt { tool: 0, worked: true }];
    episode.step_duration_ms = 1_234;
    episode.tokens = u64::from(u32::MAX) + 1;
    episode.redactions = 2;
    episode.fingerprint = "00112233445566778899aabbccddeeff".into();
    episode.reward = Some(2.0 / 3.0);
    episode.keywords = vec!["axum".into(), "w5442520".into()];
    episode.recall = Some(RecallUse {
        recall: Some(RecallId(id())),
        shown: vec![ItemId::Episode(episode_id), ItemId::Playbook(PlaybookId(id()))],
        used: vec![ItemId::Episode(episode_id)],
        withheld: true,
    });
    let arguments = json!({"deep": [{"n": 1.5, "big": u64::MAX, "neg": -3, "none": null}], "t": HARD_TEXT});
    let action = Action::tool("bash")
        .description("run the tests")
        .arguments(arguments)
        .observation(HARD_TEXT)
        .timeout()
        .duration_ms(17)
        .tokens(99)
        .attributes(json!({"gen_ai.tool.call.id": HARD_TEXT}));
    let quality = Quality::default().tests(10, 1).lint_findings(2).review_score(0.75).accepted(true);
    let quality = quality.measure("coverage", 0.1 + 0.2).measure("complexity", 7.0);
    let (pattern_id, failure_id) = (PatternId(id()), FailureId(id()));
    let tally =
        Tally { successes: 3, failures: 1, success_weight: 2.5, failure_weight: 0.1 + 0.2, as_of: at };
    vec![
        episode.into(),
        Step::new(episode_id, 3, 42, at, action).into(),
        Artifact::new(
            ArtifactId(id()),
            episode_id,
            at,
            NewArtifact::new("src/lib.rs", HARD_TEXT)
                .media_type("text/x-rust")
                .quality(quality)
                .language("rust")
                .lines(12, 3)
                .attributes(json!({"vcs.ref.head.name": "main"})),
        )
        .into(),
        Reward {
            episode: episode_id,
            at,
            total: 1.0 / 3.0,
            outcome: 1.0,
            efficiency: 0.5,
            complexity: 1.1,
            quality: -0.0,
            learning_bonus: f64::MIN_POSITIVE,
            learned: true,
        }
        .into(),
        Reflection {
            episode: episode_id,
            at,
            worked: vec![Insight { text: "ran the tests first".into(), steps: vec![1, 2] }],
            failed: vec![],
            improve: vec![Insight { text: HARD_TEXT.into(), steps: vec![] }],
        }
        .into(),
        Pattern {
            id: pattern_id,
            strategy: Strategy::ToolSequence,
            domain: None,
            task_kind: Some("debugging".into()),
            body: PatternBody::ToolSequence { tools: vec!["bash".into(), "edit".into()] },
            terms: vec!["build".into(), "fix".into()],
            tally,
            confidence: 0.625,
            used: tally,
            standing: Standing::Demoted,
            episodes: vec![episode_id],
            ruling: None,
            created_at: at,
            updated_at: at,
        }
        .into(),
        Evidence {
            item: ItemId::Pattern(pattern_id),
            episode: episode_id,
            role: EvidenceRole::Used,
            at,
            success: 1.0,
            reward: 0.75,
            duration_ms: Some(12),
            context: "ci".into(),
        }
        .into(),
        Heuristic {
            id: HeuristicId(id()),
            condition: RuleCondition {
                terms: vec!["build".into(), "fail".into()],
                task_kind: Some("debugging".into()),
                after_tool: Some("edit".into()),
            },
            advice: Advice::Avoid,
            tool: "bash".into(),
            action: "read the first error".into(),
            domain: Some("web".into()),
            tally,
            confidence: 0.875,
            used: tally,
            standing: Standing::Demoted,
            weight: 1.5,
            supporting: vec![episode_id],
            contradicting: vec![],
            generalises: vec![HeuristicId(id())],
            ruling: None,
            created_at: at,
            updated_at: at,
        }
        .into(),
        Playbook {
            id: PlaybookId(id()),
            title: "Fix a build".into(),
            domain: None,
            steps: vec![PlaybookStep { tool: "bash".into(), instruction: "cargo check {crate}".into() }],
            placeholders: vec!["crate".into()],
            shapes: vec!["a-9".into()],
            task_kind: Some("debugging".into()),
            terms: vec!["build".into()],
            sources: vec![episode_id],
            tally,
            confidence: 0.5,
            used: tally,
            standing: Standing::Demoted,
            ruling: None,
            created_at: at,
            updated_at: at,
        }
        .into(),
        Failure {
            id: failure_id,
            category: ErrorCategory::Timeout,
            error: "no answer after <n> ms".into(),
            example: HARD_TEXT.into(),
            tool: "bash".into(),
            root_cause: Some("the server was not started".into()),
            remedies: vec![Remedy {
                calls: vec![remedy_call()],
                worked: 2,
                failed: 1,
                worked_at: Some(at),
                failed_at: Some(Timestamp(7)),
                ruling: None,
            }],
            domain: Some("web".into()),
            task_kind: Some("debugging".into()),
            occurrences: 3,
            resolved: 2,
            episodes: vec![episode_id],
            first_at: at,
            last_at: at,
            ruling: None,
        }
        .into(),
        Metric {
            name: "success_rate".into(),
            value: 0.1 + 0.2,
            samples: 7,
            agent: Some("agent-1".into()),
            task_kind: None,
            domain: Some("web".into()),
            day: Timestamp(at.0 / 86_400_000 * 86_400_000),
        }
        .into(),
        Cycle {
            trigger: Trigger::Idle,
            started_at: at,
            duration_ms: 12,
            merged: 1,
            decayed: 2,
            pruned: 3,
            generalised: 4,
            expired: 5,
            interrupted: true,
            notes: vec![HARD_TEXT.into()],
        }
        .into(),
        Embedding {
            model: "minilm".into(),
            content: "00112233445566778899aabbccddeeff".into(),
            vector: Vector(vec![0.6, -0.8, f32::MIN_POSITIVE]),
        }
        .into(),
        Ruling {
            item: ItemId::Failure(failure_id),
            remedy: Some("e0e98d16023c521ca9c3c077d7f06a00".into()),
            decision: Decision::Rejected,
            at,
        }
        .into(),
    ]
}

/// Returns the episode of [`entities`].
pub fn episode(seed: u64) -> Entity {
    entities(seed).swap_remove(0)
}

/// Makes a record; the revision is `clock` by writer 1, it never expires.
pub fn record(namespace: &Namespace, id: &str, clock: u64, entity: Option<Entity>) -> Record {
    record_of(namespace, entity.as_ref().map_or(Kind::Episode, Entity::kind), id, clock, entity)
}

/// Makes a record of a given kind; without an entity it is a tombstone that expires in the year 2100.
pub fn record_of(namespace: &Namespace, kind: Kind, id: &str, clock: u64, entity: Option<Entity>) -> Record {
    Record {
        key: Key::new(namespace, kind, id),
        revision: Revision { clock, writer: WriterId::new(1) },
        updated_at: Timestamp(clock),
        expires_at: entity.is_none().then_some(Timestamp(4_102_444_800_000)),
        entity: entity.map(Arc::new),
    }
}

/// A call of a remedy with every shape of change.
fn remedy_call() -> RemedyCall {
    let name = || "port".to_owned();
    let arguments = vec![
        ArgumentChange::Added { name: name() },
        ArgumentChange::Removed { name: name() },
        ArgumentChange::Changed { name: name() },
        ArgumentChange::Replaced { name: name(), from: "low".into(), to: "high, then `x`".into() },
        ArgumentChange::Set { name: name(), value: ArgumentValue::Word("true".into()) },
        ArgumentChange::Set { name: name(), value: ArgumentValue::Phrase("start it, then wait".into()) },
    ];
    RemedyCall { tool: "serve".into(), arguments, note: "start the server".into() }
}
