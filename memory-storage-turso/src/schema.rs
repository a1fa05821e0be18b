//! The schema: tables, the trigger that maintains the feed's figures, and a view and indexes per kind.

use memory_core::{Error, ErrorKind, Kind, KindSpec};

use crate::classify::Failure;
use crate::operation::truncated;
use crate::session::Session;

/// The version of the schema that this program writes and the newest it reads.
///
/// It rises with every migration, and with every change of a kind's name, view or columns, because only then
/// are views and indexes recreated.
pub const SCHEMA_VERSION: u64 = 5;

const NAME: &str = "open schema";

/// The migrations from one version to the next: entry 0 makes version 1. Only additions, each safe to repeat.
const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [V1, V2, V3, V4, V5];

/// `seq` numbers commits. `purged_seq` is the highest number ever purged, so that no number is reused.
/// `tombstone_floor` is the highest number of a purged row that a reader of the feed must have seen: a
/// tombstone, or a record without an expiry that was deleted by hand. A reader that had seen the latter cannot
/// know of its end.
const V1: &str = "
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
";

/// Learning: the kinds that it adds have their views and indexes from the script; evidence takes the place of
/// uses of patterns, which nothing wrote.
const V2: &str = "
DROP INDEX IF EXISTS records_pattern_use_pattern;
DROP INDEX IF EXISTS records_pattern_use_episode;
";

/// The view of heuristics shows their whole condition.
const V3: &str = "";

/// Rows of a forgotten episode (one whose tombstone is final: bit 62 of the revision) are no longer accepted,
/// however late they arrive; [`Kind::owner_of`] defines the same for ids.
///
/// Each commit has a random token, so that a client can distinguish a restored or forked database from the one
/// that it read. Purging stores the time that it believes, so that a clock that jumps ahead deletes nothing; an
/// older database begins with the time of its newest record.
const V4: &str = "
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
";

/// Rulings are records of their own.
const V5: &str = "";

/// Brings the database to [`SCHEMA_VERSION`]. Several programs may do so at the same time.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the schema is newer, [`ErrorKind::InvalidInput`] if the database belongs to
/// something else; neither changes it.
pub(crate) async fn open(session: &Session) -> Result<(), Failure> {
    let found = version(session).await?;
    if found < SCHEMA_VERSION {
        session.execute_script(NAME, &script(found)).await?;
        // Another program may have been quicker, and newer.
        version(session).await?;
    }
    Ok(())
}

/// Checks, without changing anything, that the database is empty or ours.
///
/// # Errors
/// As [`open`].
pub(crate) async fn check(session: &Session) -> Result<(), Failure> {
    version(session).await.map(drop)
}

/// Returns true if there is nothing to migrate.
///
/// # Errors
/// As [`open`].
pub(crate) async fn is_current(session: &Session) -> Result<bool, Failure> {
    Ok(version(session).await? >= SCHEMA_VERSION)
}

/// Returns the version found, 0 for a database without our tables, and refuses databases that this program must
/// not change.
async fn version(session: &Session) -> Result<u64, Failure> {
    let mut answer = session.query(NAME, LOOK, Vec::new()).await?;
    let mut cells = answer.pop().ok_or_else(|| truncated(NAME))?;
    let (ours, whole) = (cells.integer(NAME)? > 0, cells.integer(NAME)? == OWN_TABLES);
    if !ours {
        return match cells.maybe_text(NAME)? {
            None => Ok(0),
            Some(found) => Err(foreign(&found).into()),
        };
    }
    let newest = "SELECT coalesce(max(version), 0) FROM agent_memory_schema";
    let mut answer = session.query(NAME, newest, Vec::new()).await?;
    let version = answer.pop().ok_or_else(|| truncated(NAME))?.integer(NAME)?;
    check_version(version)?;
    // A table was dropped by hand: every migration may be repeated.
    Ok(if version == SCHEMA_VERSION && !whole { 0 } else { version })
}

/// Refuses a schema that another program has brought further than this one knows, perhaps a moment ago.
///
/// # Errors
/// [`ErrorKind::Unsupported`].
pub(crate) fn check_version(version: u64) -> Result<(), Error> {
    if version > SCHEMA_VERSION { Err(newer(version)) } else { Ok(()) }
}

/// The tables that the migrations make.
const OWN_TABLES: u64 = 5;

/// Asks whether the schema is ours, how many of its tables there are, and which tables there are otherwise.
/// Names that start with an underscore, `sqlite_` or `libsql_` belong to the database itself.
const LOOK: &str = "
SELECT count(*) FILTER (WHERE name = 'agent_memory_schema'),
  count(*) FILTER (WHERE name IN
    ('records', 'agent_memory_schema', 'agent_memory_feed', 'agent_memory_commits', 'agent_memory_time')),
  group_concat(name, ', ') FILTER (WHERE substr(name, 1, 1) <> '_'
    AND substr(name, 1, 7) NOT IN ('sqlite_', 'libsql_'))
FROM sqlite_master WHERE type IN ('table', 'view')";

fn foreign(found: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        NAME,
        format!("the database belongs to something else: it has {found}, and no agent_memory_schema"),
    )
    .with_hint("name a new file or an empty database; nothing was changed in this one")
}

fn newer(version: u64) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        NAME,
        format!("the database has schema version {version}, this program knows up to {SCHEMA_VERSION}"),
    )
    .with_hint("upgrade this program; nothing was changed in the database")
}

/// Writes the statements from a version to the newest, with recreated views and indexes of all kinds.
pub(crate) fn script(from: u64) -> String {
    let mut script = String::new();
    for (migration, version) in MIGRATIONS.iter().zip(1..).filter(|(_, version)| *version > from) {
        script.push_str(migration);
        script.push_str(&format!(
            "INSERT OR IGNORE INTO agent_memory_schema (version, migrated_at) \
             VALUES ({version}, 1000 * strftime('%s', 'now'));\n"
        ));
    }
    for kind in Kind::ALL {
        view(kind.spec(), &mut script);
        indexes(kind.spec(), &mut script);
    }
    script
}

/// Writes the view of a kind: its live records with every declared column.
fn view(spec: &KindSpec, script: &mut String) {
    let KindSpec { name, view, columns, .. } = spec;
    script.push_str(&format!("DROP VIEW IF EXISTS {view};\nCREATE VIEW {view} AS SELECT id, namespace"));
    for column in *columns {
        script.push_str(&format!(",\n  json_extract(body, '{}') AS \"{}\"", column.path, column.name));
    }
    script.push_str(&format!(
        ",\n  updated_at, seq, body\nFROM records WHERE kind = '{name}' AND deleted = 0;\n"
    ));
}

/// Writes the indexes for the columns of a kind that queries filter on. SQLite appends the primary key, so each
/// is also in order of ids.
fn indexes(spec: &KindSpec, script: &mut String) {
    for column in spec.columns.iter().filter(|column| column.indexed) {
        let (kind, name, path) = (spec.name, column.name, column.path);
        script.push_str(&format!(
            "DROP INDEX IF EXISTS records_{kind}_{name};\nCREATE INDEX records_{kind}_{name} ON records \
             (namespace, json_extract(body, '{path}')) WHERE kind = '{kind}' AND deleted = 0;\n"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of the script without a new version would leave old databases with old views.
    #[test]
    fn script_is_that_of_its_version() {
        let golden = include_str!("schema/v5.sql");
        let found = script(0);
        assert!(
            found == golden,
            "the schema changed: raise SCHEMA_VERSION, add a migration, and write the new golden file:\n{found}"
        );
        assert_eq!(MIGRATIONS.len() as u64, SCHEMA_VERSION);
    }
}
