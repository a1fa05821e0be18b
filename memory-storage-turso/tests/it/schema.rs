//! What people see with an SQL tool.

use memory_core::conformance::entities;
use memory_core::{Kind, Store};

use crate::fixtures::{open, rows, space};

#[tokio::test]
async fn every_kind_has_a_view_with_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = open(&path);
    let records: Vec<_> = entities(1)
        .into_iter()
        .enumerate()
        .map(|(i, entity)| memory_core::conformance::record(&space(), &format!("x{i}"), 1, Some(entity)))
        .collect();
    store.commit(&records).await.unwrap();
    for record in &records {
        let spec = record.key.kind.spec();
        let found = rows(&path, &format!("SELECT id, namespace, seq, updated_at FROM {}", spec.view));
        assert_eq!(found, [[record.key.id.as_ref(), "default", "1", "1"]]);
        let value = record.entity.as_ref().unwrap().to_value().unwrap();
        for column in spec.columns {
            let pointer = column.path.replacen('$', "", 1).replace('.', "/");
            let expected = match value.pointer(&pointer) {
                None | Some(serde_json::Value::Null) => "NULL".to_owned(),
                Some(serde_json::Value::Bool(flag)) => u8::from(*flag).to_string(),
                // A file's client cuts text at NUL, for people too.
                Some(serde_json::Value::String(text)) => {
                    text.split('\0').next().unwrap_or_default().to_owned()
                }
                Some(list @ serde_json::Value::Array(_)) => list.to_string(),
                Some(number) => number.as_i64().map_or_else(
                    || number.as_f64().unwrap_or_default().to_string(),
                    |number| number.to_string(),
                ),
            };
            let found = rows(&path, &format!("SELECT \"{}\" FROM {}", column.name, spec.view));
            assert_eq!(found, [[expected]], "{} of {}", column.name, spec.view);
        }
    }
}

#[tokio::test]
async fn views_show_live_records_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    let store = open(&path);
    let tombstone = memory_core::conformance::record(&space(), "gone", 2, None);
    store.commit(&[crate::fixtures::live("there"), tombstone]).await.unwrap();
    assert_eq!(rows(&path, "SELECT id FROM episodes"), [["there"]]);
}

/// An operator's question on a view uses the index behind the column.
#[test]
fn views_use_the_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    drop(open(&path));
    for kind in Kind::ALL {
        let spec = kind.spec();
        for column in spec.columns.iter().filter(|column| column.indexed) {
            let query = format!(
                "EXPLAIN QUERY PLAN SELECT id FROM {} WHERE namespace = 'a' AND \"{}\" = 'x'",
                spec.view, column.name
            );
            let plan = rows(&path, &query).concat().join(" ");
            assert!(plan.contains(&format!("INDEX records_{kind}_{}", column.name)), "{query}: {plan}");
        }
    }
}
