//! `memory eval tasks`: advice on the tools of a task.

use memory_eval::{DataSet, Learned, Means, ToolScores, baselines, compare, read_tasks};
use serde_json::json;

use super::{compared, telling};
use crate::cli::EvalTasksArgs;
use crate::commands::stats::Junk;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

pub(super) async fn run(arguments: &EvalTasksArgs, by: &Means, output: &mut Output) -> Result<(), Failure> {
    let train = read_tasks(&arguments.train)?;
    let test = arguments.test.as_ref().map(|file| read_tasks(file)).transpose()?;
    let data = test.map(|test| DataSet { train: train.clone(), test });
    if let (true, Some(data)) = (arguments.curve, &data) {
        return compared::curve(arguments, data, by, output).await;
    }
    let mut beside = None;
    let mut learned = Learned::from_tasks(&train, arguments.seed, by).await?;
    let mut scored = Vec::new();
    if let Some(data) = &data {
        let advised = learned.advise(&data.test).await?;
        if !arguments.no_baselines {
            beside = Some(compare(&advised.f1, &baselines(data)));
        }
        scored.push(("test", advised.scores));
    }
    if arguments.leave_one_out {
        scored.push(("leave-one-out", learned.leave_one_out().await?.scores));
    }
    let junk = Junk::of(learned.arena.memory()).await?;
    let provider = learned.arena.provider();
    learned.arena.close().await?;
    if output.is_json() {
        // The first is the answer; with both, `left_one_out` has the leave-one-out figures.
        let mut object = json!(scored[0].1);
        object["seed"] = arguments.seed.into();
        object["train"] = train.len().into();
        object["junk"] = json!(junk);
        object["provider"] = provider.into();
        object["leave_one_out"] = arguments.leave_one_out.into();
        if let Some(beside) = &beside {
            object["compared"] = json!(beside);
        }
        if let [_, (_, left_one_out)] = &scored[..] {
            object["left_one_out"] = json!(left_one_out);
        }
        return Ok(output.object(&object)?);
    }
    for (what, scores) in &scored {
        tell(what, train.len(), scores, output)?;
    }
    if let Some(beside) = &beside {
        compared::tell(beside, output)?;
    }
    telling::provider(output, &provider)?;
    telling::junk(output, &junk)
}

fn tell(what: &str, train: usize, scores: &ToolScores, output: &mut Output) -> Result<(), Failure> {
    let head = format!(
        "Tools for {} ({what}), learned from {}",
        text::count(scores.tasks as u64, "task"),
        text::count(train as u64, "task")
    );
    telling::title(output, &head)?;
    let ordered =
        format!("Kendall's tau of their order, over {}", text::count(scores.ordered as u64, "task"));
    let left_out = format!("tasks more without any tool that was learned, left out: {}", scores.left_out);
    let micros = |value: Option<u64>| value.map_or("-".into(), |value| format!("{value} µs"));
    telling::figure(output, "tool_f1", &telling::decimal(scores.tool_f1), "mean F1 of the set of tools")?;
    telling::figure(output, "exact", &telling::decimal(scores.exact), "share of tasks whose set is right")?;
    telling::figure(output, "order_kendall", &telling::decimal(scores.order_kendall), &ordered)?;
    telling::figure(output, "abstained", &scores.abstained.to_string(), "tasks without a recommendation")?;
    telling::figure(output, "playbooks", &scores.playbooks.to_string(), "tasks with a suggested playbook")?;
    let exact = telling::decimal(scores.playbook_exact);
    telling::figure(output, "playbook_exact", &exact, "share of those that have the task's tools")?;
    let part = telling::decimal(scores.playbook_part);
    telling::figure(output, "playbook_part", &part, "share that have some of them and no other")?;
    telling::figure(output, "tasks", &scores.tasks.to_string(), &left_out)?;
    telling::figure(output, "recall_p50_us", &micros(scores.recall_p50_us), "half the recalls are faster")?;
    telling::figure(output, "recall_p99_us", &micros(scores.recall_p99_us), "99 of 100 recalls are faster")?;
    Ok(())
}
