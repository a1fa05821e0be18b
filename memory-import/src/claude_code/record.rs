//! One line of a session file.

use serde::Deserialize;
use serde_json::Value;

use super::words::{Words, words};
use crate::texts::{clip, clip_value};
use crate::times;

/// What a line is.
pub(super) enum Read {
    Record(Box<Record>),
    /// Says nothing about a task, and no other line refers to it.
    Skipped(String),
    Bad {
        reason: String,
        /// Its JSON ends too early.
        is_torn: bool,
    },
}

/// A line that is part of a session.
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) uuid: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) at_ms: Option<i64>,
    /// `Some` in the chain of a sub-agent: its id, where the line has it.
    pub(super) side: Option<Option<String>>,
    /// The line of the session's main chain from which a sub-agent was started.
    pub(super) side_parent: Option<String>,
    pub(super) content: Content,
}

/// What a line of a session says.
pub(super) enum Content {
    User {
        said: Said,
        results: Vec<CallResult>,
        agent_id: Option<String>,
    },
    Agent(Message),
    /// The model's service failed.
    ServiceError(String),
    /// What the user said while the agent was at work.
    Queued(String),
    Goal(bool),
    PullRequest(String),
    /// The agent's number of turns is used up.
    TurnsUsedUp,
    /// The agent has ended its turn.
    TurnEnd,
    /// The sub-agent with this id was started by the task that this line is part of.
    AgentStarted {
        agent_id: String,
    },
    /// What a command wrote that Claude Code carried out itself.
    CommandOutput,
    /// Only a link between other lines; the kind of line.
    Link(String),
}

/// What a user's line says.
pub(super) enum Said {
    Nothing,
    Prompt(Box<Prompt>),
    /// What comes with a tool's result: the user answers a question of the tool.
    Answer(String),
    Interruption,
}

/// What the user asked, and where.
pub(super) struct Prompt {
    pub(super) text: String,
    /// A slash command, which is a task only if the agent does something about it.
    pub(super) is_command: bool,
    /// The session and the line that this line is a copy of, otherwise its own.
    pub(super) session: String,
    pub(super) uuid: String,
    pub(super) prompt_id: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) version: Option<String>,
}

pub(super) struct CallResult {
    pub(super) call_id: String,
    pub(super) text: String,
    pub(super) failed: bool,
}

/// One line of a message of the agent; a message of the API has a line for each of its blocks.
pub(super) struct Message {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) blocks: Vec<Block>,
    pub(super) tokens: Option<u64>,
    pub(super) stop_reason: Option<String>,
}

pub(super) enum Block {
    Text(String),
    Call { id: String, tool: String, arguments: Value },
    Result(CallResult),
}

impl Record {
    pub(super) fn prompt(&self) -> Option<&Prompt> {
        match &self.content {
            Content::User { said: Said::Prompt(prompt), .. } => Some(prompt),
            _ => None,
        }
    }

    /// Returns the kind of a line that is kept for its links only.
    pub(super) fn says_nothing(&self) -> Option<String> {
        match &self.content {
            Content::Link(kind) => Some(kind.clone()),
            Content::CommandOutput => Some("command_output".into()),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLine {
    r#type: String,
    subtype: Option<String>,
    uuid: Option<String>,
    parent_uuid: Option<String>,
    logical_parent_uuid: Option<String>,
    sidechain_parent_uuid: Option<String>,
    session_id: Option<String>,
    timestamp: Option<String>,
    cwd: Option<String>,
    git_branch: Option<String>,
    version: Option<String>,
    #[serde(default)]
    is_sidechain: Option<bool>,
    agent_id: Option<String>,
    prompt_id: Option<String>,
    is_meta: Option<bool>,
    is_compact_summary: Option<bool>,
    is_visible_in_transcript_only: Option<bool>,
    is_api_error_message: Option<bool>,
    origin: Option<Value>,
    forked_from: Option<RawForked>,
    message: Option<RawMessage>,
    tool_use_result: Option<Value>,
    attachment: Option<RawAttachment>,
    data: Option<RawProgress>,
    pr_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawForked {
    session_id: String,
    message_uuid: String,
}

#[derive(Deserialize)]
struct RawMessage {
    id: Option<String>,
    model: Option<String>,
    content: Option<RawContent>,
    stop_reason: Option<String>,
    usage: Option<RawUsage>,
}

#[derive(Deserialize, Default)]
struct RawUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawContent {
    Text(String),
    Blocks(Vec<RawBlock>),
}

impl RawContent {
    /// Returns the texts among the blocks.
    fn into_texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Blocks(blocks) => blocks.into_iter().filter_map(|block| block.text).collect(),
        }
    }
}

#[derive(Deserialize)]
struct RawBlock {
    #[serde(default)]
    r#type: String,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Value>,
    tool_use_id: Option<String>,
    content: Option<Value>,
    is_error: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAttachment {
    #[serde(default)]
    r#type: String,
    prompt: Option<RawContent>,
    command_mode: Option<String>,
    is_meta: Option<bool>,
    origin: Option<Value>,
    met: Option<bool>,
    sentinel: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawProgress {
    #[serde(default)]
    r#type: String,
    agent_id: Option<String>,
}

/// The types of lines whose content counts.
const READ_TYPES: [&str; 6] = ["user", "assistant", "system", "attachment", "progress", "pr-link"];

/// Reads one line.
pub(super) fn read(line: u64, bytes: &[u8]) -> Read {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let raw: RawLine = match serde_path_to_error::deserialize(&mut json) {
        Ok(raw) => raw,
        Err(error) => return unreadable(bytes, error),
    };
    if let Err(error) = json.end() {
        return Read::Bad { reason: error.to_string(), is_torn: false };
    }
    // Reading a long conversation again to shorten it is no task.
    if raw.agent_id.as_deref().is_some_and(|id| id.starts_with("acompact")) {
        return Read::Skipped("agent/compaction".into());
    }
    record(line, raw)
}

/// Tells what a line is that does not have the fields expected: of a type that is not known, it need not have
/// them.
fn unreadable(bytes: &[u8], error: serde_path_to_error::Error<serde_json::Error>) -> Read {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    match serde_json::from_slice::<Typed>(bytes) {
        Ok(Typed { r#type: kind }) if !READ_TYPES.contains(&kind.as_str()) => Read::Skipped(kind),
        _ => Read::Bad { reason: error.to_string(), is_torn: error.inner().is_eof() },
    }
}

fn record(line: u64, mut raw: RawLine) -> Read {
    let content = match raw.r#type.as_str() {
        "user" => user(&mut raw),
        "assistant" => agent(&mut raw),
        "system" => Ok(system(&raw)),
        "attachment" => Ok(attachment(raw.attachment.take())),
        "progress" => Ok(progress(raw.data.take())),
        "pr-link" => raw.pr_url.take().map(Content::PullRequest).ok_or("no prUrl"),
        kind => Ok(Content::Link(kind.to_owned())),
    };
    let content = match content {
        Ok(content) => content,
        Err(reason) => return Read::Bad { reason: reason.to_owned(), is_torn: false },
    };
    if let (Content::Link(kind), None) = (&content, &raw.uuid) {
        return Read::Skipped(kind.clone());
    }
    Read::Record(Box::new(Record {
        line,
        uuid: raw.uuid,
        // Compaction cuts the chain; the link over the cut has another name.
        parent: raw.parent_uuid.or(raw.logical_parent_uuid),
        at_ms: raw.timestamp.as_deref().and_then(times::read),
        side: (raw.is_sidechain == Some(true)).then_some(raw.agent_id),
        side_parent: raw.sidechain_parent_uuid,
        content,
    }))
}

fn user(raw: &mut RawLine) -> Result<Content, &'static str> {
    let message = raw.message.take().ok_or("no message")?;
    let mut texts = Vec::new();
    let mut results = Vec::new();
    match message.content {
        None => {}
        Some(RawContent::Text(text)) => texts.push(text),
        Some(RawContent::Blocks(blocks)) => {
            for block in blocks {
                match (block.tool_use_id, block.text) {
                    (Some(call_id), _) => results.push(CallResult {
                        call_id,
                        text: text_of(block.content),
                        failed: block.is_error == Some(true),
                    }),
                    (None, Some(text)) => texts.push(text),
                    (None, None) => {}
                }
            }
        }
    }
    let agent_id =
        raw.tool_use_result.take().and_then(|result| Some(result.get("agentId")?.as_str()?.to_owned()));
    let text = texts.join("\n");
    let is_by_tool = [raw.is_meta, raw.is_compact_summary, raw.is_visible_in_transcript_only]
        .contains(&Some(true))
        || is_notification(raw.origin.as_ref());
    let said = match words(&text) {
        Words::Interruption => Said::Interruption,
        _ if is_by_tool => Said::Nothing,
        Words::Prompt(text) if !results.is_empty() => Said::Answer(clip(text)),
        Words::Prompt(text) => Said::Prompt(Box::new(prompt(raw, text, false)?)),
        Words::Command(text) => Said::Prompt(Box::new(prompt(raw, text, true)?)),
        Words::CommandOutput => return Ok(Content::CommandOutput),
        Words::Nothing => Said::Nothing,
    };
    if results.is_empty() && matches!(said, Said::Nothing) {
        let kind = if raw.is_compact_summary == Some(true) { "user/compact_summary" } else { "user/by_tool" };
        return Ok(Content::Link(kind.into()));
    }
    Ok(Content::User { said, results, agent_id })
}

fn prompt(raw: &mut RawLine, text: String, is_command: bool) -> Result<Prompt, &'static str> {
    let own = (raw.session_id.take(), raw.uuid.clone());
    let (session, uuid) = match raw.forked_from.take() {
        Some(forked) => (Some(forked.session_id), Some(forked.message_uuid)),
        None => own,
    };
    Ok(Prompt {
        text: clip(text),
        is_command,
        session: session.ok_or("no sessionId")?,
        uuid: uuid.ok_or("no uuid")?,
        prompt_id: raw.prompt_id.take(),
        cwd: raw.cwd.take(),
        branch: raw.git_branch.take().filter(|branch| !branch.is_empty()),
        version: raw.version.take(),
    })
}

fn agent(raw: &mut RawLine) -> Result<Content, &'static str> {
    let message = raw.message.take().ok_or("no message")?;
    let blocks = match message.content {
        None => Vec::new(),
        Some(RawContent::Text(text)) => vec![Block::Text(clip(text))],
        Some(RawContent::Blocks(blocks)) => blocks.into_iter().filter_map(block).collect(),
    };
    if raw.is_api_error_message == Some(true) {
        let texts = blocks.into_iter().filter_map(|block| match block {
            Block::Text(text) => Some(text),
            _ => None,
        });
        return Ok(Content::ServiceError(texts.collect::<Vec<_>>().join("\n")));
    }
    let tokens = message
        .usage
        .map(|usage| usage.input_tokens.unwrap_or(0).saturating_add(usage.output_tokens.unwrap_or(0)));
    Ok(Content::Agent(Message {
        id: message.id,
        // What Claude Code itself says in the agent's name.
        model: message.model.filter(|model| model != "<synthetic>"),
        blocks,
        tokens,
        stop_reason: message.stop_reason,
    }))
}

/// Returns a block that is said or done; thinking is neither.
fn block(raw: RawBlock) -> Option<Block> {
    match raw.r#type.as_str() {
        "text" => raw.text.filter(|text| !text.trim().is_empty()).map(|text| Block::Text(clip(text))),
        "tool_use" | "server_tool_use" => Some(Block::Call {
            id: raw.id?,
            tool: raw.name.unwrap_or_default(),
            arguments: clip_value(raw.input.unwrap_or(Value::Null)),
        }),
        // Of tools that the service runs (`web_search_tool_result`).
        kind if kind.ends_with("_tool_result") => Some(Block::Result(CallResult {
            call_id: raw.tool_use_id?,
            failed: raw
                .content
                .as_ref()
                .and_then(|content| content.get("type")?.as_str())
                .is_some_and(|kind| kind.ends_with("_error")),
            text: text_of(raw.content),
        })),
        _ => None,
    }
}

fn system(raw: &RawLine) -> Content {
    match raw.subtype.as_deref() {
        Some("turn_duration" | "stop_hook_summary") => Content::TurnEnd,
        Some("local_command") => Content::CommandOutput,
        subtype => Content::Link(format!("system/{}", subtype.unwrap_or(""))),
    }
}

fn attachment(raw: Option<RawAttachment>) -> Content {
    let Some(raw) = raw else { return Content::Link("attachment/".into()) };
    match raw.r#type.as_str() {
        // The sentinel marks that a goal was set.
        "goal_status" if raw.sentinel != Some(true) => match raw.met {
            Some(met) => Content::Goal(met),
            None => Content::Link("attachment/goal_status".into()),
        },
        "max_turns_reached" => Content::TurnsUsedUp,
        "queued_command" => {
            let is_by_user = raw.is_meta != Some(true)
                && !is_notification(raw.origin.as_ref())
                && raw.command_mode.as_deref().is_none_or(|mode| mode == "prompt");
            let texts = raw.prompt.map(RawContent::into_texts).unwrap_or_default();
            match words(&texts.join("\n")) {
                Words::Prompt(text) if is_by_user => Content::Queued(clip(text)),
                _ => Content::Link("attachment/queued_command".into()),
            }
        }
        kind => Content::Link(format!("attachment/{kind}")),
    }
}

fn progress(raw: Option<RawProgress>) -> Content {
    match raw {
        Some(RawProgress { r#type, agent_id: Some(agent_id) }) if r#type == "agent_progress" => {
            Content::AgentStarted { agent_id }
        }
        raw => Content::Link(format!("progress/{}", raw.map(|raw| raw.r#type).unwrap_or_default())),
    }
}

/// Tells whether Claude Code tells the agent about something in the user's place.
fn is_notification(origin: Option<&Value>) -> bool {
    origin.and_then(|origin| origin.get("kind")?.as_str()) == Some("task-notification")
}

/// Returns the text of a result; what is no text is named.
fn text_of(content: Option<Value>) -> String {
    let text = match content {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => {
            let texts = parts.into_iter().map(|part| match part {
                Value::String(text) => text,
                part => match part.get("text").and_then(Value::as_str) {
                    Some(text) => text.to_owned(),
                    None => format!("[{}]", part.get("type").and_then(Value::as_str).unwrap_or("part")),
                },
            });
            texts.collect::<Vec<_>>().join("\n")
        }
        Some(other) => match other.get("text").and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => other.to_string(),
        },
    };
    clip(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_read_are_told_from_unfinished_ones() {
        let check = |line: &str, torn: bool, expected: &str| match read(1, line.as_bytes()) {
            Read::Bad { reason, is_torn } => {
                assert!(reason.contains(expected), "{reason}");
                assert_eq!(is_torn, torn);
            }
            _ => panic!("{line}"),
        };
        check("{\"type\":\"user\",\"uu", true, "EOF");
        check("not json", false, "expected");
        check("{\"type\":\"user\"} x", false, "trailing");
        check("{\"uuid\":\"u\"}", false, "missing field `type`");
        check("{\"type\":\"user\",\"uuid\":\"u\",\"message\":{\"content\":7}}", false, "message.content");
        check("{\"type\":\"user\",\"uuid\":\"u\",\"message\":{\"content\":\"hi\"}}", false, "no sessionId");
        check("{\"type\":\"assistant\",\"uuid\":\"u\"}", false, "no message");
        check("{\"type\":\"user\",\"message\":\"hi\"}", false, "message: invalid type");
        let Read::Skipped(kind) = read(1, b"{\"type\":\"tomorrow\",\"message\":\"hi\"}") else { panic!() };
        assert_eq!(kind, "tomorrow");
    }

    #[test]
    fn results_are_text_whatever_their_parts() {
        let check = |content: Value, expected: &str| assert_eq!(text_of(Some(content)), expected);
        check(Value::Null, "");
        check("a".into(), "a");
        check(serde_json::json!([{"type": "text", "text": "a"}, {"type": "image"}, "b"]), "a\n[image]\nb");
        check(serde_json::json!({"type": "advisor_result", "text": "a"}), "a");
        check(serde_json::json!({"type": "x"}), "{\"type\":\"x\"}");
    }
}
