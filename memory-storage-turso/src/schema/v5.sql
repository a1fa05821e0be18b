
CREATE TABLE IF NOT EXISTS records (
  namespace TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  writer INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  expires_at INTEGER,
  deleted INTEGER NOT NULL,
  body TEXT,
  PRIMARY KEY (namespace, kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_seq ON records (seq);
CREATE INDEX IF NOT EXISTS records_expires_at ON records (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS agent_memory_schema (version INTEGER PRIMARY KEY, migrated_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS agent_memory_feed (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  database_id TEXT NOT NULL,
  purged_seq INTEGER NOT NULL,
  tombstone_floor INTEGER NOT NULL
);
INSERT OR IGNORE INTO agent_memory_feed (id, database_id, purged_seq, tombstone_floor)
  VALUES (1, lower(hex(randomblob(16))), 0, 0);
CREATE TRIGGER IF NOT EXISTS records_purged AFTER DELETE ON records BEGIN
  UPDATE agent_memory_feed SET
    purged_seq = max(purged_seq, old.seq),
    tombstone_floor = CASE WHEN old.deleted OR old.expires_at IS NULL
      THEN max(tombstone_floor, old.seq) ELSE tombstone_floor END;
END;
INSERT OR IGNORE INTO agent_memory_schema (version, migrated_at) VALUES (1, 1000 * strftime('%s', 'now'));

DROP INDEX IF EXISTS records_pattern_use_pattern;
DROP INDEX IF EXISTS records_pattern_use_episode;
INSERT OR IGNORE INTO agent_memory_schema (version, migrated_at) VALUES (2, 1000 * strftime('%s', 'now'));
INSERT OR IGNORE INTO agent_memory_schema (version, migrated_at) VALUES (3, 1000 * strftime('%s', 'now'));

CREATE TABLE IF NOT EXISTS agent_memory_commits (seq INTEGER PRIMARY KEY, token INTEGER NOT NULL);
INSERT OR IGNORE INTO agent_memory_commits (seq, token)
  SELECT max(coalesce((SELECT max(seq) FROM records), 0), purged_seq), abs(random() >> 11) FROM agent_memory_feed;
CREATE TRIGGER IF NOT EXISTS records_committed AFTER INSERT ON records BEGIN
  INSERT INTO agent_memory_commits (seq, token) SELECT new.seq, abs(random() >> 11)
    WHERE NOT EXISTS (SELECT 1 FROM agent_memory_commits WHERE seq = new.seq);
END;
CREATE TRIGGER IF NOT EXISTS records_recommitted AFTER UPDATE OF seq ON records BEGIN
  INSERT INTO agent_memory_commits (seq, token) SELECT new.seq, abs(random() >> 11)
    WHERE NOT EXISTS (SELECT 1 FROM agent_memory_commits WHERE seq = new.seq);
END;
CREATE TRIGGER IF NOT EXISTS records_of_forgotten BEFORE INSERT ON records
WHEN new.deleted = 0 AND new.kind IN ('step', 'artifact', 'reward', 'reflection', 'evidence') AND EXISTS (
  SELECT 1 FROM records WHERE namespace = new.namespace AND kind = 'episode' AND revision >= 4611686018427387904
    AND id = CASE WHEN new.kind <> 'evidence' THEN substr(new.id, 1, 36)
      WHEN json_valid(new.body) THEN json_extract(new.body, '$.episode') END)
BEGIN
  SELECT RAISE(IGNORE);
END;
CREATE TABLE IF NOT EXISTS agent_memory_time (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  believed INTEGER NOT NULL,
  jumped_to INTEGER
);
INSERT OR IGNORE INTO agent_memory_time (id, believed) SELECT 1, min(now, coalesce((SELECT max(updated_at) FROM records), now))
  FROM (SELECT 1000 * strftime('%s', 'now') AS now);
INSERT OR IGNORE INTO agent_memory_schema (version, migrated_at) VALUES (4, 1000 * strftime('%s', 'now'));
INSERT OR IGNORE INTO agent_memory_schema (version, migrated_at) VALUES (5, 1000 * strftime('%s', 'now'));
DROP VIEW IF EXISTS episodes;
CREATE VIEW episodes AS SELECT id, namespace,
  json_extract(body, '$.status') AS "status",
  json_extract(body, '$.outcome.verdict') AS "outcome",
  json_extract(body, '$.outcome.fraction') AS "fraction",
  json_extract(body, '$.outcome.text') AS "outcome_text",
  json_extract(body, '$.task.description') AS "description",
  json_extract(body, '$.task.kind') AS "task_kind",
  json_extract(body, '$.task.domain') AS "domain",
  json_extract(body, '$.task.language') AS "language",
  json_extract(body, '$.task.framework') AS "framework",
  json_extract(body, '$.task.complexity') AS "complexity",
  json_extract(body, '$.task.agent') AS "agent",
  json_extract(body, '$.task.correlation_id') AS "correlation_id",
  json_extract(body, '$.started_at') AS "started_at",
  json_extract(body, '$.completed_at') AS "completed_at",
  json_extract(body, '$.steps') AS "steps",
  json_extract(body, '$.step_duration_ms') AS "step_duration_ms",
  json_extract(body, '$.tokens') AS "tokens",
  json_extract(body, '$.redactions') AS "redactions",
  json_extract(body, '$.fingerprint') AS "fingerprint",
  json_extract(body, '$.reward') AS "reward",
  json_extract(body, '$.recall.recall') AS "recall",
  json_extract(body, '$.recall.withheld') AS "withheld",
  updated_at, seq, body
FROM records WHERE kind = 'episode' AND deleted = 0;
DROP INDEX IF EXISTS records_episode_status;
CREATE INDEX records_episode_status ON records (namespace, json_extract(body, '$.status')) WHERE kind = 'episode' AND deleted = 0;
DROP INDEX IF EXISTS records_episode_domain;
CREATE INDEX records_episode_domain ON records (namespace, json_extract(body, '$.task.domain')) WHERE kind = 'episode' AND deleted = 0;
DROP INDEX IF EXISTS records_episode_correlation_id;
CREATE INDEX records_episode_correlation_id ON records (namespace, json_extract(body, '$.task.correlation_id')) WHERE kind = 'episode' AND deleted = 0;
DROP INDEX IF EXISTS records_episode_fingerprint;
CREATE INDEX records_episode_fingerprint ON records (namespace, json_extract(body, '$.fingerprint')) WHERE kind = 'episode' AND deleted = 0;
DROP VIEW IF EXISTS steps;
CREATE VIEW steps AS SELECT id, namespace,
  json_extract(body, '$.episode') AS "episode",
  json_extract(body, '$.number') AS "number",
  json_extract(body, '$.at') AS "at",
  json_extract(body, '$.action.tool') AS "tool",
  json_extract(body, '$.action.description') AS "description",
  json_extract(body, '$.action.observation') AS "observation",
  json_extract(body, '$.action.result') AS "result",
  json_extract(body, '$.action.duration_ms') AS "duration_ms",
  json_extract(body, '$.action.tokens') AS "tokens",
  updated_at, seq, body
FROM records WHERE kind = 'step' AND deleted = 0;
DROP VIEW IF EXISTS artifacts;
CREATE VIEW artifacts AS SELECT id, namespace,
  json_extract(body, '$.episode') AS "episode",
  json_extract(body, '$.at') AS "at",
  json_extract(body, '$.product.name') AS "name",
  json_extract(body, '$.product.media_type') AS "media_type",
  json_extract(body, '$.product.quality.tests_passed') AS "tests_passed",
  json_extract(body, '$.product.quality.tests_failed') AS "tests_failed",
  json_extract(body, '$.product.quality.lint_findings') AS "lint_findings",
  json_extract(body, '$.product.quality.review_score') AS "review_score",
  json_extract(body, '$.product.quality.accepted') AS "accepted",
  updated_at, seq, body
FROM records WHERE kind = 'artifact' AND deleted = 0;
DROP VIEW IF EXISTS rewards;
CREATE VIEW rewards AS SELECT id, namespace,
  json_extract(body, '$.episode') AS "episode",
  json_extract(body, '$.at') AS "at",
  json_extract(body, '$.total') AS "total",
  json_extract(body, '$.outcome') AS "outcome",
  json_extract(body, '$.efficiency') AS "efficiency",
  json_extract(body, '$.complexity') AS "complexity",
  json_extract(body, '$.quality') AS "quality",
  json_extract(body, '$.learning_bonus') AS "learning_bonus",
  json_extract(body, '$.learned') AS "learned",
  updated_at, seq, body
FROM records WHERE kind = 'reward' AND deleted = 0;
DROP INDEX IF EXISTS records_reward_episode;
CREATE INDEX records_reward_episode ON records (namespace, json_extract(body, '$.episode')) WHERE kind = 'reward' AND deleted = 0;
DROP INDEX IF EXISTS records_reward_learned;
CREATE INDEX records_reward_learned ON records (namespace, json_extract(body, '$.learned')) WHERE kind = 'reward' AND deleted = 0;
DROP VIEW IF EXISTS reflections;
CREATE VIEW reflections AS SELECT id, namespace,
  json_extract(body, '$.episode') AS "episode",
  json_extract(body, '$.at') AS "at",
  updated_at, seq, body
FROM records WHERE kind = 'reflection' AND deleted = 0;
DROP INDEX IF EXISTS records_reflection_episode;
CREATE INDEX records_reflection_episode ON records (namespace, json_extract(body, '$.episode')) WHERE kind = 'reflection' AND deleted = 0;
DROP VIEW IF EXISTS patterns;
CREATE VIEW patterns AS SELECT id, namespace,
  json_extract(body, '$.strategy') AS "strategy",
  json_extract(body, '$.domain') AS "domain",
  json_extract(body, '$.task_kind') AS "task_kind",
  json_extract(body, '$.confidence') AS "confidence",
  json_extract(body, '$.standing') AS "standing",
  json_extract(body, '$.tally.successes') AS "successes",
  json_extract(body, '$.tally.failures') AS "failures",
  json_extract(body, '$.created_at') AS "created_at",
  updated_at, seq, body
FROM records WHERE kind = 'pattern' AND deleted = 0;
DROP INDEX IF EXISTS records_pattern_strategy;
CREATE INDEX records_pattern_strategy ON records (namespace, json_extract(body, '$.strategy')) WHERE kind = 'pattern' AND deleted = 0;
DROP VIEW IF EXISTS pattern_usage;
CREATE VIEW pattern_usage AS SELECT id, namespace,
  json_extract(body, '$.item') AS "item",
  json_extract(body, '$.episode') AS "episode",
  json_extract(body, '$.role') AS "role",
  json_extract(body, '$.at') AS "at",
  json_extract(body, '$.success') AS "success",
  json_extract(body, '$.reward') AS "reward",
  json_extract(body, '$.duration_ms') AS "duration_ms",
  json_extract(body, '$.context') AS "context",
  updated_at, seq, body
FROM records WHERE kind = 'evidence' AND deleted = 0;
DROP INDEX IF EXISTS records_evidence_episode;
CREATE INDEX records_evidence_episode ON records (namespace, json_extract(body, '$.episode')) WHERE kind = 'evidence' AND deleted = 0;
DROP VIEW IF EXISTS heuristics;
CREATE VIEW heuristics AS SELECT id, namespace,
  json_extract(body, '$.condition.terms') AS "condition",
  json_extract(body, '$.condition.task_kind') AS "task_kind",
  json_extract(body, '$.condition.after_tool') AS "after_tool",
  json_extract(body, '$.advice') AS "advice",
  json_extract(body, '$.tool') AS "tool",
  json_extract(body, '$.action') AS "action",
  json_extract(body, '$.domain') AS "domain",
  json_extract(body, '$.confidence') AS "confidence",
  json_extract(body, '$.standing') AS "standing",
  json_extract(body, '$.tally.successes') AS "successes",
  json_extract(body, '$.tally.failures') AS "failures",
  json_extract(body, '$.created_at') AS "created_at",
  updated_at, seq, body
FROM records WHERE kind = 'heuristic' AND deleted = 0;
DROP VIEW IF EXISTS playbooks;
CREATE VIEW playbooks AS SELECT id, namespace,
  json_extract(body, '$.title') AS "title",
  json_extract(body, '$.domain') AS "domain",
  json_extract(body, '$.task_kind') AS "task_kind",
  json_extract(body, '$.confidence') AS "confidence",
  json_extract(body, '$.standing') AS "standing",
  json_extract(body, '$.tally.successes') AS "successes",
  json_extract(body, '$.tally.failures') AS "failures",
  json_extract(body, '$.created_at') AS "created_at",
  updated_at, seq, body
FROM records WHERE kind = 'playbook' AND deleted = 0;
DROP VIEW IF EXISTS failures;
CREATE VIEW failures AS SELECT id, namespace,
  json_extract(body, '$.category') AS "category",
  json_extract(body, '$.error') AS "error",
  json_extract(body, '$.tool') AS "tool",
  json_extract(body, '$.root_cause') AS "root_cause",
  json_extract(body, '$.domain') AS "domain",
  json_extract(body, '$.task_kind') AS "task_kind",
  json_extract(body, '$.occurrences') AS "occurrences",
  json_extract(body, '$.resolved') AS "resolved",
  json_extract(body, '$.first_at') AS "first_at",
  json_extract(body, '$.last_at') AS "last_at",
  updated_at, seq, body
FROM records WHERE kind = 'failure' AND deleted = 0;
DROP VIEW IF EXISTS learning_metrics;
CREATE VIEW learning_metrics AS SELECT id, namespace,
  json_extract(body, '$.name') AS "name",
  json_extract(body, '$.value') AS "value",
  json_extract(body, '$.samples') AS "samples",
  json_extract(body, '$.agent') AS "agent",
  json_extract(body, '$.task_kind') AS "task_kind",
  json_extract(body, '$.domain') AS "domain",
  json_extract(body, '$.day') AS "day",
  updated_at, seq, body
FROM records WHERE kind = 'metric' AND deleted = 0;
DROP INDEX IF EXISTS records_metric_name;
CREATE INDEX records_metric_name ON records (namespace, json_extract(body, '$.name')) WHERE kind = 'metric' AND deleted = 0;
DROP VIEW IF EXISTS consolidation_cycles;
CREATE VIEW consolidation_cycles AS SELECT id, namespace,
  json_extract(body, '$.trigger') AS "trigger",
  json_extract(body, '$.started_at') AS "started_at",
  json_extract(body, '$.duration_ms') AS "duration_ms",
  json_extract(body, '$.merged') AS "merged",
  json_extract(body, '$.decayed') AS "decayed",
  json_extract(body, '$.pruned') AS "pruned",
  json_extract(body, '$.generalised') AS "generalised",
  json_extract(body, '$.expired') AS "expired",
  json_extract(body, '$.interrupted') AS "interrupted",
  updated_at, seq, body
FROM records WHERE kind = 'cycle' AND deleted = 0;
DROP VIEW IF EXISTS embeddings;
CREATE VIEW embeddings AS SELECT id, namespace,
  json_extract(body, '$.model') AS "model",
  json_extract(body, '$.content') AS "content",
  updated_at, seq, body
FROM records WHERE kind = 'embedding' AND deleted = 0;
DROP VIEW IF EXISTS rulings;
CREATE VIEW rulings AS SELECT id, namespace,
  json_extract(body, '$.item') AS "item",
  json_extract(body, '$.remedy') AS "remedy",
  json_extract(body, '$.decision') AS "decision",
  json_extract(body, '$.at') AS "at",
  updated_at, seq, body
FROM records WHERE kind = 'ruling' AND deleted = 0;
