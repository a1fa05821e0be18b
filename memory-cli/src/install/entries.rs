//! The entries in the agents' settings.

use std::path::PathBuf;

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstRootNode};
use serde_json::{Value, json};

use super::files::MARK;
use crate::cli::AgentArg;

/// How long an agent waits for an event that only asks or logs, in seconds. The hook's own deadline is far shorter.
const TIMEOUT_S: u64 = 5;
/// The deadline of the events at which the memory learns or reads a transcript, in milliseconds; and what the agent
/// waits for at most, in seconds.
const LEARN_MS: u64 = 20_000;
const LEARN_TIMEOUT_S: u64 = 30;

/// The command of the hooks.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) program: PathBuf,
    pub(super) folder: Option<PathBuf>,
}

impl Command {
    fn line(&self, agent: AgentArg, event: Option<&str>, learns: bool) -> String {
        let mut line =
            format!("{} hook --agent {}", quoted(&self.program.display().to_string()), agent.name());
        if let Some(folder) = &self.folder {
            line.push_str(&format!(" --path {}", quoted(&folder.display().to_string())));
        }
        if let Some(event) = event {
            line.push_str(&format!(" --event {event}"));
        }
        if learns {
            line.push_str(&format!(" --learn --deadline-ms {LEARN_MS}"));
        }
        line
    }
}

/// Quotes a word for a POSIX shell where that is needed.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:\\".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// An event that is hooked.
struct Hooked {
    event: &'static str,
    /// It is about a tool, and every tool is meant.
    of_tools: bool,
    learns: bool,
}

const fn hooked(event: &'static str) -> Hooked {
    Hooked { event, of_tools: false, learns: false }
}

const fn tools(event: &'static str) -> Hooked {
    Hooked { event, of_tools: true, learns: false }
}

const fn learns(event: &'static str) -> Hooked {
    Hooked { event, of_tools: false, learns: true }
}

fn events(agent: AgentArg) -> Vec<Hooked> {
    match agent {
        AgentArg::ClaudeCode => vec![
            hooked("SessionStart"),
            hooked("UserPromptSubmit"),
            tools("PreToolUse"),
            tools("PostToolUse"),
            tools("PostToolUseFailure"),
            learns("Stop"),
            learns("SubagentStop"),
            learns("SessionEnd"),
        ],
        AgentArg::Codex => vec![
            hooked("SessionStart"),
            hooked("UserPromptSubmit"),
            tools("PreToolUse"),
            tools("PostToolUse"),
            learns("Stop"),
        ],
        AgentArg::Gemini => vec![
            hooked("SessionStart"),
            hooked("BeforeAgent"),
            tools("BeforeTool"),
            tools("AfterTool"),
            learns("AfterAgent"),
            learns("SessionEnd"),
        ],
        AgentArg::Cursor => vec![
            hooked("sessionStart"),
            hooked("beforeSubmitPrompt"),
            hooked("postToolUse"),
            hooked("postToolUseFailure"),
            learns("stop"),
            learns("sessionEnd"),
        ],
        AgentArg::CopilotCli => vec![
            hooked("sessionStart"),
            hooked("userPromptSubmitted"),
            hooked("postToolUse"),
            learns("sessionEnd"),
        ],
        AgentArg::OpenCode => Vec::new(),
    }
}

/// Adds the entries of an agent to its settings, or takes them out, and returns the new text; nothing if there is no file and
/// none is needed.
///
/// # Errors
/// What in the file is not understood.
pub(super) fn merge(
    agent: AgentArg,
    text: Option<&str>,
    command: &Command,
    remove: bool,
) -> Result<Option<String>, String> {
    if remove && text.is_none() {
        return Ok(None);
    }
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("{}\n");
    let root =
        CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| format!("not JSON: {error}"))?;
    let settings = root.object_value_or_create().ok_or("not an object")?;
    if !remove && agent == AgentArg::Cursor && settings.get("version").is_none() {
        settings.append("version", CstInputValue::Number("1".into()));
    }
    let hooks = match settings.object_value("hooks") {
        Some(hooks) => hooks,
        None if remove && settings.get("hooks").is_none() => return Ok(Some(text.to_owned())),
        None => settings.object_value_or_create("hooks").ok_or("`hooks` is not an object")?,
    };
    for property in hooks.properties() {
        let name = property.decoded_name().unwrap_or_default();
        let list = property.array_value().ok_or_else(|| format!("`hooks.{name}` is not a list"))?;
        take_out(&list);
        if list.elements().is_empty() && (remove || !events(agent).iter().any(|it| it.event == name)) {
            property.remove();
        }
    }
    if remove {
        if hooks.properties().is_empty()
            && let Some(property) = settings.get("hooks")
        {
            property.remove();
        }
        return Ok(Some(root.to_string()));
    }
    for hooked in events(agent) {
        let list = hooks
            .array_value_or_create(hooked.event)
            .ok_or_else(|| format!("`hooks.{}` is not a list", hooked.event))?;
        list.append(input(&entry(agent, &hooked, command)));
    }
    // The same entries in another order or layout are no change.
    let same = |text: &str| jsonc_parser::parse_to_serde_value::<Value>(text, &ParseOptions::default()).ok();
    let after = root.to_string();
    Ok(Some(if same(&after) == same(text) { text.to_owned() } else { after }))
}

/// Takes our entries out of the list of an event: entries with a command, and groups of them.
fn take_out(list: &CstArray) {
    for element in list.elements() {
        if is_ours(&element) {
            element.remove();
            continue;
        }
        let Some(group) = element.as_object().and_then(|entry| entry.array_value("hooks")) else { continue };
        let all = group.elements();
        let own: Vec<CstNode> = all.iter().filter(|entry| is_ours(entry)).cloned().collect();
        if !own.is_empty() && own.len() == all.len() {
            element.remove();
        } else {
            own.into_iter().for_each(CstNode::remove);
        }
    }
}

/// Returns true for an entry whose command is the hook.
fn is_ours(entry: &CstNode) -> bool {
    let command = entry.as_object().and_then(|entry| entry.get("command")).and_then(|it| it.value());
    let command = command.and_then(|value| value.as_string_lit()).and_then(|it| it.decoded_value().ok());
    command.is_some_and(|command| {
        // Whatever the program is called: nothing else has such a command.
        let agent = command.split_once(" hook --agent ").and_then(|(_, rest)| rest.split(' ').next());
        agent.is_some_and(|agent| <AgentArg as clap::ValueEnum>::from_str(agent, false).is_ok())
    })
}

fn entry(agent: AgentArg, hooked: &Hooked, command: &Command) -> Value {
    let line = command.line(agent, None, hooked.learns);
    let seconds = if hooked.learns { LEARN_TIMEOUT_S } else { TIMEOUT_S };
    if agent == AgentArg::Cursor {
        return json!({"command": line});
    }
    let timeout = if agent == AgentArg::Gemini { seconds * 1_000 } else { seconds };
    let mut handler = json!({"type": "command", "command": line, "timeout": timeout});
    if agent == AgentArg::ClaudeCode && hooked.learns {
        // Nothing is said then: the agent need not wait.
        handler["async"] = true.into();
    }
    let mut group = json!({"hooks": [handler]});
    if hooked.of_tools {
        group["matcher"] = "*".into();
    }
    group
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(fields) => {
            CstInputValue::Object(fields.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

/// Returns the hooks file of Copilot CLI, which is ours as a whole.
pub(super) fn copilot(command: &Command) -> String {
    let mut hooks = serde_json::Map::new();
    for hooked in events(AgentArg::CopilotCli) {
        let line = command.line(AgentArg::CopilotCli, Some(hooked.event), hooked.learns);
        let seconds = if hooked.learns { LEARN_TIMEOUT_S } else { TIMEOUT_S };
        let handler = json!({"type": "command", "bash": line, "timeoutSec": seconds, "comment": MARK});
        hooks.insert(hooked.event.into(), json!([handler]));
    }
    format!("{:#}\n", json!({"version": 1, "hooks": hooks}))
}

/// Returns the plugin of OpenCode, which is ours as a whole: it passes events on to the hook.
pub(super) fn opencode(command: &Command) -> String {
    let mut words =
        vec![command.program.display().to_string(), "hook".into(), "--agent".into(), "opencode".into()];
    if let Some(folder) = &command.folder {
        words.extend(["--path".into(), folder.display().to_string()]);
    }
    include_str!("opencode.ts").replace("__COMMAND__", &json!(words).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command { program: "/opt/memory".into(), folder: None }
    }

    fn merged(agent: AgentArg, text: &str, remove: bool) -> Result<String, String> {
        merge(agent, Some(text), &command(), remove).map(|text| text.unwrap())
    }

    const AGENTS: [AgentArg; 4] = [AgentArg::ClaudeCode, AgentArg::Codex, AgentArg::Gemini, AgentArg::Cursor];

    #[test]
    fn installing_twice_is_installing_once_and_taking_out_leaves_the_rest() {
        let text = "{\n  // mine\n  \"zeta\": 1,\n  \"hooks\": {\n    \"Stop\": [\n      // stays\n      {\"hooks\": [{\"type\": \
                    \"command\", \"command\": \"say done\"}]}\n    ]\n  },\n  \"alpha\": [1, 2]\n}\n";
        for agent in AGENTS {
            let once = merged(agent, text, false).unwrap();
            assert!(
                once.contains("// mine") && once.contains("// stays") && once.contains("say done"),
                "{once}"
            );
            assert!(once.find("zeta") < once.find("alpha"), "{once}");
            assert_eq!(once.matches("/opt/memory hook").count(), events(agent).len(), "{once}");
            assert_eq!(merged(agent, &once, false).unwrap(), once);
            let out = merged(agent, &once, true).unwrap();
            assert!(!out.contains("/opt/memory"), "{out}");
            let value = |text: &str| {
                jsonc_parser::parse_to_serde_value::<Value>(text, &ParseOptions::default()).unwrap()
            };
            let mut left = value(&out);
            left.as_object_mut().unwrap().remove("version");
            assert_eq!(left, value(text), "{out}");
        }
    }

    #[test]
    fn a_newer_program_takes_the_place_of_the_older() {
        let old = Command { program: "/old place/memory".into(), folder: Some("/m".into()) };
        let before = merge(AgentArg::ClaudeCode, None, &old, false).unwrap().unwrap();
        assert!(before.contains("'/old place/memory' hook --agent claude-code --path /m"), "{before}");
        let after = merged(AgentArg::ClaudeCode, &before, false).unwrap();
        assert!(!after.contains("old place"), "{after}");
        assert_eq!(after, merge(AgentArg::ClaudeCode, None, &command(), false).unwrap().unwrap());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let check = |text: &str, expected: &str| {
            let problem = merged(AgentArg::ClaudeCode, text, false).unwrap_err();
            assert!(problem.contains(expected), "{problem} does not say {expected:?}");
        };
        check("{\"hooks\": ", "not JSON");
        check("[]", "not an object");
        check("{\"hooks\": []}", "`hooks` is not an object");
        check("{\"hooks\": {\"Stop\": {}}}", "`hooks.Stop` is not a list");
    }

    #[test]
    fn the_plugin_has_the_same_entries() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/claude-code/hooks/hooks.json");
        let plugin: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let command = Command { program: "memory".into(), folder: None };
        let merged = merge(AgentArg::ClaudeCode, None, &command, false).unwrap().unwrap();
        let merged: Value = serde_json::from_str(&merged).unwrap();
        assert_eq!(plugin["hooks"], merged["hooks"]);
    }

    #[test]
    fn taking_out_of_nothing_changes_nothing() {
        assert_eq!(merge(AgentArg::Codex, None, &command(), true), Ok(None));
        let text = "{ \"a\": 1 }";
        assert_eq!(merged(AgentArg::Codex, text, true).unwrap(), text);
    }
}
