//! `memory install`: sets up the hooks and skills of coding agents, and takes them out again.
//!
//! A user's file keeps its comments and its order; only entries whose command is `memory hook` are ours. What cannot be
//! understood is refused, and a file that is changed has a copy beside it.

mod entries;
mod files;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{AgentArg, Global, InstallArgs};
use crate::failure::{Exit, Failure};
use crate::import::{claude_root, codex_root};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session;
use entries::Command;
use files::{Change, Plan};

pub(crate) fn run(global: &Global, arguments: &InstallArgs, output: &mut Output) -> Result<Exit, Failure> {
    let home = home()?;
    let why = "hooks take the server from TURSO_DATABASE_URL, the namespace from MEMORY_NAMESPACE or the repository";
    session::refuse("--url", global.url.is_some(), why)?;
    session::refuse("--config", global.config.is_some(), why)?;
    session::refuse("--namespace", global.namespace.is_some(), why)?;
    let project = match arguments.project {
        true => Some(std::env::current_dir().map_err(|source| Failure::file("the current folder", &source))?),
        false => None,
    };
    let from_env = || std::env::var_os("MEMORY_DB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
    let folder = global.path.clone().or_else(from_env);
    let command = match project {
        // What everybody on a project shares names no folder of this machine.
        Some(_) => Command { program: "memory".into(), folder: None },
        None => Command {
            program: std::env::current_exe().map_err(|source| Failure::file("this program", &source))?,
            folder: folder.map(|path| std::path::absolute(&path).unwrap_or(path)),
        },
    };
    // All files are understood before the first is written.
    let mut plans = Vec::new();
    for agent in &arguments.agent {
        plans.extend(plan(*agent, &home, project.as_deref(), &command, arguments.uninstall)?);
    }
    let mut done = Vec::new();
    for plan in &plans {
        if !arguments.dry_run {
            plan.apply()?;
        }
        done.push(json!({"agent": plan.agent.name(), "file": plan.path.display().to_string(), "change": plan.change.name()}));
    }
    if output.is_json() {
        output.object(&json!({"dry_run": arguments.dry_run, "changes": done}))?;
        return Ok(Exit::Done);
    }
    for plan in &plans {
        let what = match (&plan.change, arguments.dry_run) {
            (Change::Nothing, _) => "is as it should be",
            (Change::Write { .. }, false) => "written",
            (Change::Write { .. }, true) => "would be written",
            (Change::Remove, false) => "removed",
            (Change::Remove, true) => "would be removed",
        };
        output.line(format!("{}  {} {what}", paint(style::NAME, plan.agent.name()), plan.path.display()))?;
        if let (Change::Write { after, .. }, true) = (&plan.change, arguments.dry_run) {
            for line in after.lines() {
                output.line(paint(style::FAINT, format!("    {line}")))?;
            }
        }
    }
    if arguments.uninstall || arguments.dry_run {
        return Ok(Exit::Done);
    }
    if arguments.agent.contains(&AgentArg::Codex) {
        output.note(
            "note",
            style::UNSURE,
            "Codex runs a hook only after you have trusted it: /hooks in Codex",
        )?;
    }
    let folder = session::folder(global, None)?;
    output.line(format!("What agents do is recorded in {}, on this machine only.", folder.display()))?;
    output.line("memory hook --why shows what each event was answered with.")?;
    Ok(Exit::Done)
}

fn home() -> Result<PathBuf, Failure> {
    let home =
        std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).filter(|home| !home.is_empty());
    home.map(PathBuf::from)
        .ok_or_else(|| Failure::usage("HOME is not set", "set it to the folder with the agents' settings"))
}

/// Returns what to do to each file of an agent.
fn plan(
    agent: AgentArg,
    home: &Path,
    project: Option<&Path>,
    command: &Command,
    remove: bool,
) -> Result<Vec<Plan>, Failure> {
    let root = |user: &str, own: &str| project.map_or_else(|| home.join(user), |project| project.join(own));
    let merged =
        |path: PathBuf| Plan::merged(agent, path, |text| entries::merge(agent, text, command, remove));
    let own = |path: PathBuf, text: String| Plan::own(agent, path, text, remove);
    let skills = |folder: PathBuf| -> Result<Vec<Plan>, Failure> {
        SKILLS
            .iter()
            .map(|(name, text)| own(folder.join(name).join("SKILL.md"), (*text).to_owned()))
            .collect()
    };
    let mut plans = Vec::new();
    match agent {
        AgentArg::ClaudeCode => {
            let folder = project.map_or_else(|| claude_root(home), |project| project.join(".claude"));
            plans.push(merged(folder.join("settings.json"))?);
            plans.extend(skills(folder.join("skills"))?);
        }
        AgentArg::Codex => {
            let folder = project.map_or_else(|| codex_root(home), |project| project.join(".codex"));
            plans.push(merged(folder.join("hooks.json"))?);
            plans.extend(skills(folder.join("skills"))?);
        }
        AgentArg::Gemini => plans.push(merged(root(".gemini", ".gemini").join("settings.json"))?),
        AgentArg::Cursor => plans.push(merged(root(".cursor", ".cursor").join("hooks.json"))?),
        AgentArg::CopilotCli => {
            let Some(project) = project else {
                let hint = "run it in the repository with --project";
                return Err(Failure::usage("Copilot CLI takes hooks from a repository only", hint));
            };
            let text = entries::copilot(command);
            plans.push(own(project.join(".github/hooks/agent-memory.json"), text)?);
        }
        AgentArg::OpenCode => {
            let folder = root(".config/opencode", ".opencode").join("plugin");
            plans.push(own(folder.join("agent-memory.ts"), entries::opencode(command))?);
        }
    }
    Ok(plans)
}

/// The skills, by their folders.
const SKILLS: [(&str, &str); 5] = [
    ("check-similar-tasks", include_str!("../../skills/check-similar-tasks/SKILL.md")),
    ("capture-task-execution", include_str!("../../skills/capture-task-execution/SKILL.md")),
    ("log-code-quality", include_str!("../../skills/log-code-quality/SKILL.md")),
    ("record-failure-pattern", include_str!("../../skills/record-failure-pattern/SKILL.md")),
    ("record-success-pattern", include_str!("../../skills/record-success-pattern/SKILL.md")),
];
