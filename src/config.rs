//! From settings to the configuration of the core.

use std::collections::BTreeMap;
use std::time::Duration;

use memory_core::{Deadlines, EngineConfig, Error, ErrorKind, Kind, LimitViolation, Result};

use crate::memory::{LearningConfig, MemoryConfig};
use crate::redact::Redactor;
use crate::settings::{LearningSettings, Settings};

/// The most connections to a server, and the most rows of one batch.
const MAX_POOL_SIZE: usize = 1_024;
const MAX_BATCH_ROWS: usize = 4_096;

pub(crate) fn deadlines(settings: &Settings) -> Deadlines {
    let default = Deadlines::default();
    let ms = |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_millis);
    Deadlines {
        read: ms(settings.read_deadline_ms, default.read),
        write: ms(settings.write_deadline_ms, default.write),
    }
}

pub(crate) fn memory_config(settings: &Settings) -> Result<MemoryConfig> {
    let mut engine = EngineConfig::default();
    let ms = |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_millis);
    engine.ack = settings.ack.unwrap_or(engine.ack);
    engine.hot_bytes = settings.hot_bytes.unwrap_or(engine.hot_bytes);
    engine.ttl = ms(settings.ttl_ms, engine.ttl);
    engine.poll_interval = settings.poll_interval_ms.map(Duration::from_millis);
    engine.deadlines = deadlines(settings);
    engine.first_pull = ms(settings.first_pull_ms, engine.first_pull);
    engine.first_answer = ms(settings.first_answer_ms, engine.first_answer);
    engine.batch_rows = settings.batch_rows.unwrap_or(engine.batch_rows);
    for (name, value, unit) in [
        ("poll_interval_ms", settings.poll_interval_ms, "ms"),
        ("ttl_ms", settings.ttl_ms, "ms"),
        ("read_deadline_ms", settings.read_deadline_ms, "ms"),
        ("write_deadline_ms", settings.write_deadline_ms, "ms"),
        ("outbox_rows", settings.outbox_rows, "rows"),
        ("outbox_bytes", settings.outbox_bytes, "bytes"),
    ] {
        if value == Some(0) {
            return Err(Error::invalid("open", name, format!("0 {unit}, at least 1 is needed")));
        }
    }
    for (field, value, limit, unit) in [
        ("batch_rows", settings.batch_rows, MAX_BATCH_ROWS, "rows"),
        ("pool_size", settings.pool_size, MAX_POOL_SIZE, "connections"),
    ] {
        match value {
            Some(0) => return Err(Error::invalid("open", field, "0, at least 1 is needed")),
            Some(found) if found > limit => {
                let violation =
                    LimitViolation { field: field.into(), limit: limit as u64, found: found as u64, unit };
                return Err(Error::limit(ErrorKind::InvalidInput, "open", violation));
            }
            _ => {}
        }
    }
    engine.retention = retention(settings.retention_days.as_ref())?;
    Ok(MemoryConfig {
        engine,
        limits: settings.limits.clone().unwrap_or_default(),
        quotas: settings.quotas.clone().unwrap_or_default(),
        rate_limit: settings.rate_limit,
        redactor: match &settings.redaction {
            Some(config) => Redactor::new(config)?,
            None => Redactor::default(),
        },
        learning: learning(settings.learning.clone().unwrap_or_default())?,
        embedder: None,
    })
}

fn learning(settings: LearningSettings) -> Result<LearningConfig> {
    for (field, value) in [
        ("learning.half_life_days", settings.half_life_days.map(u64::from)),
        ("learning.consolidate_interval_s", settings.consolidate_interval_s),
        ("learning.consolidate_budget_ms", settings.consolidate_budget_ms),
    ] {
        if value == Some(0) {
            return Err(Error::invalid("open", field, "0, at least 1 is needed"));
        }
    }
    let mut config = LearningConfig::default();
    let seconds = |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_secs);
    config.background = settings.background.unwrap_or(config.background);
    config.hold_out = settings.hold_out.unwrap_or(config.hold_out);
    config.hold_out_seed = settings.hold_out_seed.unwrap_or(config.hold_out_seed);
    let half_life = settings.half_life_days.map(|days| u64::from(days) * 86_400);
    config.confidence.half_life = seconds(half_life, config.confidence.half_life);
    let consolidation = &mut config.consolidation;
    consolidation.idle_after = seconds(settings.consolidate_idle_s, consolidation.idle_after);
    consolidation.interval = seconds(settings.consolidate_interval_s, consolidation.interval);
    consolidation.budget = settings.consolidate_budget_ms.map_or(consolidation.budget, Duration::from_millis);
    Ok(config)
}

fn retention(days: Option<&BTreeMap<String, u32>>) -> Result<BTreeMap<Kind, Option<Duration>>> {
    let Some(days) = days else { return Ok(BTreeMap::new()) };
    days.iter()
        .map(|(name, days)| {
            let kind = name.parse::<Kind>().map_err(|_| {
                let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
                let problem = format!("no kind is named {name:?}; kinds are {}", known.join(", "));
                Error::invalid("open", "retention_days", problem)
            })?;
            let kept = (*days > 0).then(|| Duration::from_secs(u64::from(*days) * 86_400));
            Ok((kind, kept))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        let check = |settings: Settings, expected: Option<&str>| {
            let refused = memory_config(&settings).err();
            let refused = refused.map(|error| {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                error.message().to_owned()
            });
            assert_eq!(refused.as_deref(), expected);
        };
        let pool = |size| Settings { pool_size: Some(size), ..Settings::default() };
        let batch = |rows| Settings { batch_rows: Some(rows), ..Settings::default() };
        let none = Settings { outbox_rows: Some(0), ..Settings::default() };
        check(none, Some("outbox_rows: 0 rows, at least 1 is needed"));
        let none = Settings { read_deadline_ms: Some(0), ..Settings::default() };
        check(none, Some("read_deadline_ms: 0 ms, at least 1 is needed"));
        check(pool(0), Some("pool_size: 0, at least 1 is needed"));
        check(pool(1_024), None);
        check(pool(1_025), Some("pool_size: 1025 connections, the limit is 1024 connections"));
        let learning = |half_life_days, consolidate_budget_ms| Settings {
            learning: Some(LearningSettings {
                half_life_days,
                consolidate_budget_ms,
                ..LearningSettings::default()
            }),
            ..Settings::default()
        };
        check(learning(Some(0), None), Some("learning.half_life_days: 0, at least 1 is needed"));
        check(learning(None, Some(0)), Some("learning.consolidate_budget_ms: 0, at least 1 is needed"));
        check(learning(Some(1), Some(1)), None);
        check(batch(4_096), None);
        check(batch(4_097), Some("batch_rows: 4097 rows, the limit is 4096 rows"));
    }
}
