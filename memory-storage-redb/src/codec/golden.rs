//! Golden bytes: records stored by earlier programs must still decode, to the same content, and encode to the
//! same bytes. A change that breaks these needs another `schema` or `format` number (cache entries and
//! documents, which may be lost), or a decoder for both (outbox rows, which may not).

use memory_core::{Entity, Key, Kind, Record, Revision, Row, StoredDocument, Timestamp, WriterId};

use super::*;

/// Key, hex of the entry, JSON body (`-` for a tombstone), separated by tabs.
const ENTRIES: &str = include_str!("golden/entries.txt");
/// Hex of the row, JSON body (`-` for a tombstone).
const ROWS: &str = include_str!("golden/rows.txt");

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split('\t').collect())
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn cache_entries_of_every_kind() {
    let mut kinds = Vec::new();
    for line in lines(ENTRIES) {
        let [key, hex, json] = line[..] else { panic!("three columns: {line:?}") };
        let (kind, id) = key.split_once('/').unwrap();
        let key = Key::new(&Default::default(), kind.parse::<Kind>().unwrap(), id);
        let key_bytes = crate::keys::key_bytes(&key).unwrap();
        let entry = decode_entry(&key_bytes, &from_hex(hex)).unwrap();
        let expected = (json != "-").then(|| Entity::from_json(key.kind, json).unwrap());
        assert_eq!(entry.entity.as_deref(), expected.as_ref());
        kinds.push(key.kind);
        let filled_at = entry.filled_at;
        let again = encode_entry(&key_bytes, &entry.into_record(key), filled_at).unwrap();
        assert_eq!(to_hex(&again), hex, "{kind}");
    }
    kinds.dedup();
    assert_eq!(kinds, Kind::ALL);
}

#[test]
fn outbox_rows_of_every_kind() {
    let mut kinds = Vec::new();
    for line in lines(ROWS) {
        let [hex, json] = line[..] else { panic!("two columns: {line:?}") };
        let PendingRow { row, appended_at } = decode_row(&from_hex(hex)).unwrap();
        assert_eq!(row.body.as_deref().unwrap_or("-"), json);
        assert_eq!(appended_at, Timestamp(1_800_000_000_007));
        assert_eq!(to_hex(&row::seal_row(&row, appended_at).unwrap()), hex);
        kinds.push(Row::clone(&row).decode().unwrap().key.kind);
    }
    kinds.dedup();
    assert_eq!(kinds, Kind::ALL);
}

#[test]
fn parts_of_snapshots() {
    let hex = "414d6970010001000800000086cefcec0300000061626364";
    let part = encode_part(b"default\0\0\0\0\x01", 3, b"abcd").unwrap();
    assert_eq!(to_hex(&part), hex);
    assert_eq!(decode_part(b"default\0\0\0\0\x01", &from_hex(hex)), Ok((3, &b"abcd"[..])));
    assert_eq!(to_hex(&encode_mark(b"default\0episode\0x").unwrap()), "414d6963010001000000000007faa954");
}

#[test]
fn search_documents() {
    let hex = "414d736401000800140000002d5ae52d0900000000000000030000000000000061626364";
    let revision = Revision { clock: 9, writer: WriterId::new(3) };
    let document = StoredDocument { revision, bytes: b"abcd".to_vec() };
    assert_eq!(to_hex(&encode_document(b"default\0episode\0x", &document).unwrap()), hex);
    assert_eq!(decode_document(b"default\0episode\0x", &from_hex(hex)), Ok(document));
}

/// Makes the entries from the entities of today, after the schema's number was raised:
/// `UPDATE_GOLDEN=1 cargo test -p memory-storage-redb golden`.
#[test]
fn entries_are_written_anew_on_demand() {
    if std::env::var_os("UPDATE_GOLDEN").is_none() {
        return;
    }
    let entities = memory_core::conformance::entities(7);
    let mut written = String::new();
    for line in lines(ENTRIES) {
        let [name, hex, json] = line[..] else { panic!("three columns: {line:?}") };
        let (kind, id) = name.split_once('/').unwrap();
        let key = Key::new(&Default::default(), kind.parse::<Kind>().unwrap(), id);
        let entity = entities.iter().find(|entity| json != "-" && entity.kind() == key.kind).cloned();
        let old = from_hex(hex);
        let field = |index: usize| frame::u64_at(&old[frame::HEADER_BYTES..], index * 8).unwrap();
        let revision = Revision { clock: field(0), writer: WriterId::new(field(1)) };
        let expires_at = (field(3) > 0).then(|| Timestamp(field(3)));
        let json = entity.as_ref().map_or("-".to_owned(), |entity| entity.to_json().unwrap());
        let record = Record {
            key: key.clone(),
            revision,
            updated_at: Timestamp(field(2)),
            expires_at,
            entity: entity.map(std::sync::Arc::new),
        };
        let key_bytes = crate::keys::key_bytes(&key).unwrap();
        let entry = encode_entry(&key_bytes, &record, Timestamp(field(4))).unwrap();
        written.push_str(&format!("{name}\t{}\t{json}\n", to_hex(&entry)));
    }
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/codec/golden/entries.txt");
    std::fs::write(file, written).unwrap();
}
