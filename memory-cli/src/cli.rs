//! The command line: commands, flags and what `--help` says.

mod episode;
#[cfg(feature = "eval")]
mod eval;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use episode::{
    ArtifactArgs, CompleteArgs, EpisodeCommand, FeedbackArgs, MeasureArgs, StartArgs, StepArgs,
};
#[cfg(feature = "eval")]
pub(crate) use eval::{
    EvalCommand, EvalControlsArgs, EvalLiftArgs, EvalSuiteArgs, EvalTasksArgs, EvalTrajectoriesArgs,
};

const AFTER_HELP: &str = "\
Settings are taken from the first that has them: flags; the environment (MEMORY_DB_PATH, MEMORY_NAMESPACE, \
TURSO_DATABASE_URL, TURSO_AUTH_TOKEN, MEMORY_EMBEDDING_MODEL, MEMORY_EMBEDDING_KEY); the file of --config; defaults. Token and key are never flags:
other users see arguments.

Exit codes:
  0  done (recall that finds nothing relevant is done, too)
  1  failed: files, data, or a memory, an episode or an item that does not exist
  2  wrong arguments or settings
  3  import: some lines were bad and were skipped, or stopped it with --strict; eval: a line was bad
  4  the durable tier is away or refuses the credentials; what waits to be sent stays here

NO_COLOR is honoured; RUST_LOG (for example RUST_LOG=info) writes a log to standard error.";

/// Remembers what AI agents did, and finds what helps with the next task.
#[derive(Debug, Parser)]
#[command(name = "memory", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Show every section: the answers in full, an episode step by step, the prompt, the status
    #[arg(long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The folder of the memory [default: agent-memory in the user's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// The Turso or sqld database to share (libsql://, https:// or http://) [default: a file in the folder]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The namespace [default: default]
    #[arg(long, global = true, value_name = "NS")]
    pub(crate) namespace: Option<String>,
    /// The namespace of the repository in the current folder, where the hooks of coding agents record
    #[arg(long, global = true, conflicts_with = "namespace")]
    pub(crate) here: bool,
    /// A TOML file with settings
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of an embedding model, to recall by meaning, too; needs a build with the feature `embed` [default: none]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) embedding_model: Option<PathBuf>,
    /// An OpenAI-compatible endpoint to recall by meaning with (`https://api.openai.com/v1`), in place of a model in a
    /// folder; MEMORY_EMBEDDING_KEY has its key, if it wants one; needs the same build [default: none]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) embedding_url: Option<String>,
    /// The name of the endpoint's model
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) embedding_name: Option<String>,
    /// The length of its vectors
    #[arg(long, global = true, value_name = "N")]
    pub(crate) embedding_dimensions: Option<usize>,
    /// Write one JSON object instead of text; errors too, to standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the memory at work on a shipped sample, in a folder of its own: no server, no account, no key
    ///
    /// Recalls for a task before anything is known, records and learns from the sample and one live episode, recalls for
    /// the same task and others, in the middle of one, too, closes, reopens, and shows the status.
    /// The folder is --path, or `demo` in the usual folder; --url and --config are not taken. Running it again
    /// records the sample only once.
    Demo(DemoArgs),
    /// Record episodes from transcripts of other tools; importing again changes nothing
    Import(ImportArgs),
    /// Serve the memory to a client of the Model Context Protocol, over standard input and output
    #[cfg(feature = "mcp")]
    Mcp,
    /// Set up the hooks and skills of a coding agent; installing again changes nothing
    Install(InstallArgs),
    /// Answer an event of a coding agent, read from standard input as JSON; `memory install` sets it up
    ///
    /// Records the turns of a conversation as episodes, and says what is known: for a prompt, before a tool that mostly failed,
    /// and what fixed an error before. The namespace is MEMORY_NAMESPACE, or the repository that the agent works in. It
    /// always exits with 0 and never says anything but an answer; --why shows what it did.
    Hook(HookArgs),
    /// Record an episode step by step, or a finished one as a whole
    #[command(subcommand)]
    Episode(EpisodeCommand),
    /// List, show and forget episodes
    #[command(subcommand)]
    Episodes(EpisodesCommand),
    /// Find what is known that helps with a task
    Recall(RecallArgs),
    /// Show how the memory is: records, caches, outbox, sync
    Status,
    /// Send what waits and fetch what others recorded
    #[command(args_conflicts_with_subcommands = true)]
    Sync(SyncArgs),
    /// List, explain and correct the rules that were learned
    #[command(subcommand)]
    Heuristics(LearnedCommand),
    /// List and show what recurs in episodes: orders of tools, recoveries from errors, what failing episodes do
    #[command(subcommand)]
    Patterns(LearnedCommand),
    /// List and show the procedures that worked
    #[command(subcommand)]
    Playbooks(LearnedCommand),
    /// List and show the errors that were met, with their causes and what fixed them
    #[command(subcommand)]
    Failures(FailuresCommand),
    /// List what was pinned and rejected, also of what is not there any more
    Rulings,
    /// Show what was learned, how much of it is junk, and how learning goes
    ///
    /// An item is a duplicate if another of the same domain says the same: the same content, or the same advice resting
    /// on exactly the same episodes. It was never useful if no episode that succeeded used it and no second episode
    /// confirmed it.
    Stats,
    /// Show what memory is worth: success of episodes that were shown a recall against those whose recall was withheld
    Lift,
    /// Learn what is due and tidy up now: merge, decay, generalise, prune, expire
    Consolidate(ConsolidateArgs),
    /// Find secrets in what is stored already, with the redaction rules of today; --apply replaces them
    ///
    /// An episode with secrets is redacted as a whole, and what it taught is learned anew. Running it again changes nothing
    /// more. SECURITY.md says where copies remain.
    Redact(RedactArgs),
    /// Measure recall and learning in a temporary memory
    #[cfg(feature = "eval")]
    #[command(subcommand)]
    Eval(EvalCommand),
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Transcripts and trajectories; `-` is standard input. Without a file: the histories of --agent claude-code or codex
    ///
    /// The format is recognised by the content. Of JSON Lines a line is either a conversation, {"task_id", "trial", "reward", "messages": [OpenAI chat format]}, or a task
    /// with its actions, {"id", "user_id", "instruction", "actions": [{"name", "kwargs"}], "outputs"}. Both may name
    /// "kind", "domain", "agent" and "tags". A line is identified by its content: importing it again, from
    /// whichever file, changes nothing.
    #[arg(required_unless_present = "agent", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The format of the files
    #[arg(long, default_value = "auto")]
    pub(crate) format: Format,
    /// Only what was done since then: a day (2026-11-01), or so many days ago (7d)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Since>,
    /// Say what would be recorded, by project and outcome; record nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on: record what is added to the files, until interrupted
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) watch: bool,
    /// Stop at the first bad line
    #[arg(long)]
    pub(crate) strict: bool,
    /// The domain of lines that name none
    #[arg(long, value_name = "D")]
    pub(crate) domain: Option<String>,
    /// The agent of lines that name none; without a file, the agent whose histories are read
    #[arg(long, value_name = "A")]
    pub(crate) agent: Option<String>,
    /// Do not learn from what was imported: that is left to the next process that has the memory open
    #[arg(long)]
    pub(crate) no_learn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Recognise it by the content
    Auto,
    /// JSON Lines of conversations
    Chat,
    /// JSON Lines of tasks with their actions
    Tasks,
    /// Session files of Claude Code
    ClaudeCode,
    /// Rollout files of Codex CLI
    Codex,
    /// Agent Trajectory Interchange Format
    Atif,
    /// OpenTelemetry GenAI spans as OTLP JSON
    Otlp,
    /// Trajectories of SWE-agent
    SweAgent,
    /// Logs of Inspect AI
    Inspect,
    /// Output and events of OpenHands
    #[value(name = "openhands")]
    OpenHands,
}

impl Format {
    /// Returns the format; `None` if it is to be recognised.
    pub(crate) fn named(self) -> Option<memory_import::Format> {
        Some(match self {
            Self::Auto => return None,
            Self::Chat => memory_import::Format::Chat,
            Self::Tasks => memory_import::Format::Tasks,
            Self::ClaudeCode => memory_import::Format::ClaudeCode,
            Self::Codex => memory_import::Format::Codex,
            Self::Atif => memory_import::Format::Atif,
            Self::Otlp => memory_import::Format::Otlp,
            Self::SweAgent => memory_import::Format::SweAgent,
            Self::Inspect => memory_import::Format::Inspect,
            Self::OpenHands => memory_import::Format::OpenHands,
        })
    }
}

/// A time in the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since(pub(crate) agent_memory::Timestamp);

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let now = agent_memory::testing::Clock::now(&agent_memory::testing::SystemClock::new());
        if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()) {
            return Ok(Self(agent_memory::Timestamp(now.0.saturating_sub(days.saturating_mul(86_400_000)))));
        }
        let at = memory_import::day_ms(text).and_then(|at| u64::try_from(at).ok());
        let at = at.ok_or("a day (2026-11-01) or a number of days (7d) is needed")?;
        Ok(Self(agent_memory::Timestamp(at)))
    }
}

/// A coding agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum AgentArg {
    ClaudeCode,
    Codex,
    Gemini,
    Cursor,
    CopilotCli,
    #[value(name = "opencode")]
    OpenCode,
}

impl AgentArg {
    /// Returns the name, as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Cursor => "cursor",
            Self::CopilotCli => "copilot-cli",
            Self::OpenCode => "opencode",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The agent to set up; may be given several times
    #[arg(long, value_name = "AGENT", required = true)]
    pub(crate) agent: Vec<AgentArg>,
    /// In the current folder, for everybody who works on this project, in place of the user's settings
    #[arg(long)]
    pub(crate) project: bool,
    /// Show what would be written; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take out what was installed, and nothing else
    #[arg(long)]
    pub(crate) uninstall: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HookArgs {
    /// The agent that runs the hook [default: recognised by the event]
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<AgentArg>,
    /// The event, for agents that do not name it in their input
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Option<String>,
    /// The time after which the process ends, whatever it is at, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) deadline_ms: u64,
    /// The most that is said at once, in tokens
    #[arg(long, value_name = "N", default_value_t = 800, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_tokens: u32,
    /// At the end of a turn or a session: learn what is due, within the deadline
    #[arg(long)]
    pub(crate) learn: bool,
    /// Show the last lines of the log: what each event was answered with, or why with nothing
    #[arg(long)]
    pub(crate) why: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EpisodesCommand {
    /// List episodes, newest first
    List(ListArgs),
    /// Show an episode: steps, artifacts, reward, what it taught, what was recalled for it
    Show {
        /// The id, or its end (at least 6 characters)
        id: String,
    },
    /// Forget an episode with its steps and artifacts, here and in the durable tier
    Forget {
        /// The id, or its end (at least 6 characters)
        id: String,
        /// Say that you mean it: there is no way back
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only episodes that still take steps
    #[arg(long, conflicts_with = "completed")]
    pub(crate) open: bool,
    /// Only completed episodes
    #[arg(long)]
    pub(crate) completed: bool,
    /// Only episodes that ended so
    #[arg(long)]
    pub(crate) outcome: Option<OutcomeArg>,
    /// Only this domain
    #[arg(long, value_name = "D")]
    pub(crate) domain: Option<String>,
    /// Only this kind of task
    #[arg(long, value_name = "K")]
    pub(crate) kind: Option<String>,
    /// Episodes to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Where to continue: the cursor that the page before ends with
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
    /// List all that there are
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutcomeArg {
    Success,
    Partial,
    Failure,
    Abstained,
    Unknown,
}

#[derive(Debug, Args)]
pub(crate) struct RecallArgs {
    /// The task at hand, in words; `-` reads it from standard input
    #[arg(required = true, value_name = "TEXT")]
    pub(crate) text: Vec<String>,
    /// The subject area; episodes of the same domain rank higher
    #[arg(long, value_name = "D")]
    pub(crate) domain: Option<String>,
    /// The kind of work; episodes of the same kind rank higher
    #[arg(long, value_name = "K")]
    pub(crate) kind: Option<String>,
    /// Only what this agent did, and what was learned from that; may be given several times
    #[arg(long, value_name = "A")]
    pub(crate) agent: Vec<String>,
    /// Nothing that this agent did, nor what was learned from it alone; may be given several times
    #[arg(long, value_name = "A")]
    pub(crate) not_agent: Vec<String>,
    /// A label to search for; may be given several times
    #[arg(long, value_name = "T")]
    pub(crate) tag: Vec<String>,
    /// A tool whose call has worked so far; repeat it for several, in order
    #[arg(long, value_name = "TOOL")]
    pub(crate) done: Vec<String>,
    /// The tool whose call failed last
    #[arg(long, value_name = "TOOL", requires = "error")]
    pub(crate) failed: Option<String>,
    /// The error of the call that failed last; the answer shows what fixed errors like it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) error: Option<String>,
    /// The most episodes to show
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) limit: u32,
    /// Write Markdown for a prompt, at most so many tokens, instead
    #[arg(long, value_name = "MAX_TOKENS")]
    pub(crate) prompt: Option<u32>,
    /// Put the prompt between two marks that no recorded text can forge
    #[arg(long, requires = "prompt")]
    pub(crate) fence: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SyncCommand>,
    /// How long to wait for the durable tier, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) timeout: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// List the dead letters: records that the durable tier refused or that cannot be read. They are not on the server
    DeadLetters {
        /// Write them all with the records themselves to a new file, one JSON object a line; `-` is standard output
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
    },
    /// Delete dead letters for good, after writing them to a file
    Drop {
        /// Their numbers, as `memory sync dead-letters --json` shows them; all if none is given
        #[arg(value_name = "SEQ")]
        seqs: Vec<u64>,
        /// The new file for what is deleted, one JSON object a line
        #[arg(
            long,
            value_name = "FILE",
            required_unless_present = "no_export",
            conflicts_with = "no_export"
        )]
        export: Option<PathBuf>,
        /// Keep no copy
        #[arg(long)]
        no_export: bool,
        /// Confirm the deletion
        #[arg(long)]
        yes: bool,
    },
    /// Send dead letters once more
    Retry {
        /// Their numbers, as `memory sync dead-letters --json` shows them; all if none is given
        #[arg(value_name = "SEQ")]
        seqs: Vec<u64>,
        /// How long to wait for the durable tier, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
        timeout: u32,
    },
}

/// What is listed of one kind of what was learned.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LearnedFilter {
    /// Only this domain, however it is spelled
    #[arg(long, value_name = "D")]
    pub(crate) domain: Option<String>,
    /// The most to list [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LearnedCommand {
    /// List them, the surest first
    List {
        /// Also those that are never recalled: rejected, or withheld because their uses went worse
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        filter: LearnedFilter,
    },
    /// Show one with the episodes behind it and what became of its uses
    Show {
        /// The id, or its end (at least 6 characters)
        id: String,
    },
    #[command(flatten)]
    Rule(RuleCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RuleCommand {
    /// Keep one whatever its evidence
    Pin(RuleArgs),
    /// Let the evidence decide about a pinned one again
    Unpin(RuleArgs),
    /// Never recall one again
    Reject(RuleArgs),
    /// Let the evidence decide about a rejected one again
    Restore(RuleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    /// The id, or its end (at least 6 characters)
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct RuleFailureArgs {
    #[command(flatten)]
    pub(crate) item: RuleArgs,
    /// Only this one of its remedies, as `memory failures show` tells it [default: the failure as a whole]
    #[arg(long, value_name = "TEXT")]
    pub(crate) remedy: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FailuresCommand {
    /// List them, the most frequent first; with an error, those like it
    List {
        /// Also those that somebody rejected
        #[arg(long)]
        all: bool,
        /// Only those of errors like this text, the likest with a fix first, at most three
        #[arg(long, value_name = "TEXT")]
        error: Option<String>,
        /// The tool that the error is of
        #[arg(long, value_name = "T", requires = "error")]
        tool: Option<String>,
        #[command(flatten)]
        filter: LearnedFilter,
    },
    /// Show one with the episodes that met it and what became of its uses
    Show {
        /// The id, or its end (at least 6 characters)
        id: String,
    },
    #[command(flatten)]
    Rule(RuleFailureCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RuleFailureCommand {
    /// Keep one whatever its age, or with --remedy put that one first whatever its evidence
    Pin(RuleFailureArgs),
    /// Let the evidence decide about a pinned one again
    Unpin(RuleFailureArgs),
    /// Never recall one again, or with --remedy never advise that one
    Reject(RuleFailureArgs),
    /// Let the evidence decide about a rejected one again
    Restore(RuleFailureArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConsolidateArgs {
    /// How long it may take, in milliseconds; what is due is learned first [default: to the end]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=3_600_000))]
    pub(crate) budget_ms: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct RedactArgs {
    /// Replace the secrets; without it they are counted, and nothing is changed
    #[arg(long)]
    pub(crate) apply: bool,
    /// Where to go on, as a run that failed said [default: the beginning]
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
