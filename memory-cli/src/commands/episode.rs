//! `memory episode`: recording from scripts and agents, one verb a process.

use agent_memory::{Action, EpisodeId, Feedback, NewArtifact, Quality, Recorded, Recording, Task};
use serde_json::json;

use crate::cli::{
    ArtifactArgs, CompleteArgs, EpisodeCommand, FeedbackArgs, Global, MeasureArgs, StartArgs, StepArgs,
};
use crate::document::{
    ArtifactDocument, EpisodeDocument, OutcomeDocument, QualityDocument, StepDocument, TaskDocument,
    from_stdin,
};
use crate::failure::{Exit, Failure};
use crate::output::{Output, style};
use crate::session::Session;
use crate::text;

pub(crate) async fn run(
    global: &Global,
    command: &EpisodeCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    // What is wrong with the input fails before anything is opened.
    match command {
        EpisodeCommand::Start(arguments) => start(global, task(arguments)?, output).await,
        EpisodeCommand::Step(arguments) => log(global, arguments.id, step(arguments)?, output).await,
        EpisodeCommand::Artifact(arguments) => keep(global, arguments.id, artifact(arguments)?, output).await,
        EpisodeCommand::Complete(arguments) => complete(global, arguments, output).await,
        EpisodeCommand::Feedback(arguments) => {
            let feedback = feedback(arguments)?;
            revise(global, arguments.id, feedback, !arguments.no_learn, output).await
        }
        EpisodeCommand::Record { no_learn } => {
            let recording = from_stdin::<EpisodeDocument>("an episode")?.recording()?;
            record(global, recording, !no_learn, output).await
        }
    }
}

/// Opens the memory for one verb: what is due is learned by those verbs that say so.
async fn open(global: &Global, create: bool, output: &mut Output) -> Result<Session, Failure> {
    Session::open_with(global, output, |builder| builder.create(create).background_learning(false)).await
}

async fn start(global: &Global, task: Task, output: &mut Output) -> Result<Exit, Failure> {
    let session = open(global, true, output).await?;
    let id = session.memory.start(task).await?.id();
    if output.is_json() {
        let left = session.drain(output).await?;
        output.object(&json!({"episode": id, "waiting": left.rows}))?;
    } else {
        output.line(id.to_string())?;
        session.drain(output).await?;
    }
    Ok(Exit::Done)
}

async fn log(global: &Global, id: EpisodeId, action: Action, output: &mut Output) -> Result<Exit, Failure> {
    let session = open(global, false, output).await?;
    let number = session.memory.resume(id).await?.step(action).await?;
    if output.is_json() {
        let left = session.drain(output).await?;
        output.object(&json!({"episode": id, "step": number, "waiting": left.rows}))?;
    } else {
        output.line(number.to_string())?;
        session.drain(output).await?;
    }
    Ok(Exit::Done)
}

async fn keep(
    global: &Global,
    id: EpisodeId,
    product: NewArtifact,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = open(global, false, output).await?;
    let artifact = session.memory.resume(id).await?.artifact(product).await?;
    if output.is_json() {
        let left = session.drain(output).await?;
        output.object(&json!({"episode": id, "artifact": artifact, "waiting": left.rows}))?;
    } else {
        output.line(artifact.to_string())?;
        session.drain(output).await?;
    }
    Ok(Exit::Done)
}

async fn complete(global: &Global, arguments: &CompleteArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (outcome, confidence) = outcome(arguments)?.outcome()?;
    let session = open(global, false, output).await?;
    let episode = session.memory.resume(arguments.id).await?.complete_inferred(outcome, confidence).await?;
    let learned = learn(&session, !arguments.no_learn, output).await?;
    if output.is_json() {
        let left = session.drain(output).await?;
        let object = json!({
            "episode": episode.id,
            "steps": episode.steps,
            "reward": episode.reward,
            "redactions": episode.redactions,
            "learned": learned,
            "waiting": left.rows,
        });
        output.object(&object)?;
    } else {
        let reward = episode.reward.unwrap_or_default();
        output.line(format!("{}, reward {reward:.2}", text::count(episode.steps.into(), "step")))?;
        session.drain(output).await?;
    }
    Ok(Exit::Done)
}

async fn record(
    global: &Global,
    recording: Recording,
    learns: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = open(global, true, output).await?;
    let recorded = session.memory.record(recording).await?;
    let (id, what) = match recorded {
        Recorded::New(id) => (id, "new"),
        Recorded::Known(id) => (id, "known"),
        Recorded::Forgotten(id) => (id, "forgotten"),
    };
    let learned = learn(&session, learns && what == "new", output).await?;
    if output.is_json() {
        let left = session.drain(output).await?;
        output.object(&json!({"episode": id, "recorded": what, "learned": learned, "waiting": left.rows}))?;
    } else {
        output.line(id.to_string())?;
        if what != "new" {
            let remark = match what {
                "known" => "it was recorded before; nothing was changed",
                _ => "it was recorded before and then forgotten; nothing was changed",
            };
            output.note("note", style::UNSURE, remark)?;
        }
        session.drain(output).await?;
    }
    Ok(Exit::Done)
}

async fn revise(
    global: &Global,
    id: EpisodeId,
    feedback: Feedback,
    learns: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = open(global, false, output).await?;
    let episode = session.memory.feedback(id, feedback).await?;
    let learned = learn(&session, learns, output).await?;
    if output.is_json() {
        let left = session.drain(output).await?;
        let object = json!({
            "episode": episode.id,
            "outcome": episode.outcome,
            "confidence": episode.confidence,
            "reward": episode.reward,
            "learned": learned,
            "waiting": left.rows,
        });
        output.object(&object)?;
    } else {
        let verdict = episode.outcome.as_ref().map_or("open", |outcome| outcome.verdict().as_str());
        output.line(format!("{verdict}, reward {:.2}", episode.reward.unwrap_or_default()))?;
        session.drain(output).await?;
    }
    Ok(Exit::Done)
}

/// Learns what is due. What is recorded is recorded, whatever becomes of that; what is due stays due.
async fn learn(session: &Session, learns: bool, output: &mut Output) -> Result<bool, Failure> {
    if !learns {
        return Ok(false);
    }
    match session.memory.learn().await {
        Ok(_) => Ok(true),
        Err(error) => {
            if !output.is_json() {
                let remark = format!("nothing was learned yet, later commands catch up: {error}");
                output.note("note", style::UNSURE, text::one_line(&remark))?;
            }
            Ok(false)
        }
    }
}

fn task(arguments: &StartArgs) -> Result<Task, Failure> {
    if arguments.text == ["-"] {
        return Ok(from_stdin::<TaskDocument>("a task")?.into());
    }
    Ok(TaskDocument {
        description: arguments.text.join(" "),
        kind: arguments.kind.clone(),
        domain: arguments.domain.clone(),
        language: arguments.language.clone(),
        framework: arguments.framework.clone(),
        tags: arguments.tag.clone(),
        complexity: arguments.complexity.into(),
        agent: arguments.agent.clone(),
        correlation_id: arguments.correlation_id.clone(),
        parent: arguments.parent,
        attributes: arguments.attributes.clone().unwrap_or_default(),
    }
    .into())
}

fn step(arguments: &StepArgs) -> Result<Action, Failure> {
    if arguments.stdin {
        return Ok(from_stdin::<StepDocument>("a step")?.into());
    }
    let mut action = Action::tool(arguments.tool.clone().unwrap_or_default());
    action.description = arguments.description.clone().unwrap_or_default();
    action.observation = arguments.observation.clone().unwrap_or_default();
    action.role = arguments.role.map(Into::into);
    action.duration_ms = arguments.duration_ms;
    action.tokens = arguments.tokens;
    action = action.arguments(arguments.arguments.clone().unwrap_or_default());
    if let Some(error) = &arguments.error {
        action = action.error(error);
    }
    if arguments.timeout {
        action = action.timeout();
    }
    if action.tool.is_empty() && action.description.is_empty() && action.observation.is_empty() {
        let hint = "give --tool, --description or --observation, or a document with --stdin";
        return Err(Failure::usage("the step says nothing", hint));
    }
    Ok(action)
}

fn artifact(arguments: &ArtifactArgs) -> Result<NewArtifact, Failure> {
    if arguments.stdin {
        return Ok(from_stdin::<ArtifactDocument>("an artifact")?.into());
    }
    let content = match &arguments.file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|source| Failure::file(&file.display().to_string(), &source))?,
        None => String::new(),
    };
    Ok(ArtifactDocument {
        name: arguments.name.clone().unwrap_or_default(),
        content,
        media_type: arguments.media_type.clone(),
        language: arguments.language.clone(),
        lines_added: arguments.lines_added,
        lines_removed: arguments.lines_removed,
        quality: quality(&arguments.measures),
        attributes: serde_json::Value::Null,
    }
    .into())
}

fn quality(arguments: &MeasureArgs) -> QualityDocument {
    QualityDocument {
        tests_passed: arguments.tests_passed,
        tests_failed: arguments.tests_failed,
        lint_findings: arguments.lint_findings,
        review_score: arguments.review_score,
        accepted: arguments.accepted,
        measures: arguments.measure.iter().cloned().collect(),
    }
}

fn feedback(arguments: &FeedbackArgs) -> Result<Feedback, Failure> {
    let mut feedback = Feedback::new(&arguments.key)
        .quality(quality(&arguments.measures).into())
        .comment(arguments.comment.clone().unwrap_or_default());
    if let Some(verdict) = arguments.outcome {
        let document = OutcomeDocument {
            verdict,
            summary: arguments.summary.clone().unwrap_or_default(),
            fraction: arguments.fraction,
            last_error: None,
            last_message: None,
            confidence: arguments.confidence,
        };
        let (outcome, confidence) = document.outcome()?;
        feedback = feedback.outcome(outcome).confidence(confidence);
    }
    if feedback.outcome.is_none() && feedback.comment.is_empty() && feedback.quality == Quality::default() {
        let hint = "give --outcome, --accepted, --review-score, --tests-passed, --measure or --comment";
        return Err(Failure::usage("the feedback says nothing", hint));
    }
    Ok(feedback)
}

fn outcome(arguments: &CompleteArgs) -> Result<OutcomeDocument, Failure> {
    let Some(verdict) = arguments.outcome else { return from_stdin("an outcome") };
    Ok(OutcomeDocument {
        verdict,
        summary: arguments.summary.clone().unwrap_or_default(),
        fraction: arguments.fraction,
        last_error: arguments.last_error.clone(),
        last_message: None,
        confidence: arguments.confidence,
    })
}
