//! Resources: the status, episodes, playbooks and failures.

use agent_memory::{EpisodeId, EpisodeQuery, Memory};
use rmcp::ErrorData;
use rmcp::model::{
    CacheScope, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate,
};
use serde_json::{Value, json};

use crate::{failed, line, not_found, skills};

const JSON: &str = "application/json";
const STATUS: &str = "memory://status";
const EPISODE: &str = "memory://episode/";
const PLAYBOOK: &str = "memory://playbook/";
const FAILURE: &str = "memory://failure/";
/// Episodes, playbooks and failures that are listed, of each; templates reach the others.
const LISTED: usize = 20;
/// How long an answer may be taken for current, in milliseconds: what is completed does not change, but what is learned
/// from it does.
const TTL_MS: u64 = 10_000;

pub(crate) async fn list(memory: &Memory) -> Result<ListResourcesResult, ErrorData> {
    let knowledge = memory.knowledge();
    let mut resources = vec![
        Resource::new(STATUS, "status")
            .with_description("Records, caches, queues and sync")
            .with_mime_type(JSON),
    ];
    let mut playbooks = knowledge.playbooks().await.map_err(failed)?.items;
    playbooks.sort_by_key(|playbook| std::cmp::Reverse(playbook.tally.successes));
    for playbook in playbooks.iter().take(LISTED) {
        let uri = format!("{PLAYBOOK}{}", playbook.id);
        resources.push(Resource::new(uri, line(&playbook.title)).with_mime_type(JSON));
    }
    for failure in knowledge.failures().await.map_err(failed)?.iter().take(LISTED) {
        let uri = format!("{FAILURE}{}", failure.id);
        resources.push(Resource::new(uri, line(&failure.error)).with_mime_type(JSON));
    }
    let page = memory.list(&EpisodeQuery::default().limit(LISTED)).await.map_err(failed)?;
    for episode in page.episodes {
        let uri = format!("{EPISODE}{}", episode.id);
        resources.push(Resource::new(uri, line(&episode.task.description)).with_mime_type(JSON));
    }
    resources.extend(skills::resources(memory).await?);
    let mut listed = ListResourcesResult::with_all_items(resources);
    (listed.ttl_ms, listed.cache_scope) = (Some(TTL_MS), Some(CacheScope::Private));
    Ok(listed)
}

pub(crate) fn templates() -> ListResourceTemplatesResult {
    let template = |start: &str, name: &str, what: &str| {
        ResourceTemplate::new(format!("{start}{{id}}"), name).with_description(what).with_mime_type(JSON)
    };
    ListResourceTemplatesResult::with_all_items(vec![
        template(EPISODE, "episode", "An episode with its steps and artifacts"),
        template(PLAYBOOK, "playbook", "A procedure that worked, with its evidence"),
        template(FAILURE, "failure", "An error that was met, with what fixed it"),
    ])
}

pub(crate) async fn read(memory: &Memory, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    if let Some(text) = skills::file(memory, uri).await? {
        return Ok(contents(uri, text, "text/markdown"));
    }
    let found = if uri == STATUS {
        Some(json!(memory.status().await))
    } else if let Some(id) = uri.strip_prefix(EPISODE) {
        episode(memory, id).await?
    } else if let Some(id) = uri.strip_prefix(PLAYBOOK) {
        let playbooks = memory.knowledge().playbooks().await.map_err(failed)?;
        playbooks.iter().find(|playbook| playbook.id.to_string() == id).map(|playbook| json!(playbook))
    } else if let Some(id) = uri.strip_prefix(FAILURE) {
        let failures = memory.knowledge().failures().await.map_err(failed)?;
        failures.iter().find(|failure| failure.id.to_string() == id).map(|failure| json!(failure))
    } else {
        None
    };
    let found = found.ok_or_else(|| not_found(uri))?;
    Ok(contents(uri, found.to_string(), JSON))
}

async fn episode(memory: &Memory, id: &str) -> Result<Option<Value>, ErrorData> {
    let Ok(id) = id.parse::<EpisodeId>() else { return Ok(None) };
    let Some(found) = memory.get(id).await.map_err(failed)? else { return Ok(None) };
    let steps = memory.steps(id).await.map_err(failed)?;
    let artifacts = memory.artifacts(id).await.map_err(failed)?;
    Ok(Some(json!({"episode": found.episode, "steps": steps.items, "artifacts": artifacts.items})))
}

fn contents(uri: &str, text: String, media_type: &str) -> ReadResourceResult {
    ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(media_type)])
        .with_ttl_ms(TTL_MS)
        .with_cache_scope(CacheScope::Private)
}
