//! The seeds of the fuzz targets: made from the current golden bytes, checked by each test run, and rewritten
//! by `UPDATE_FUZZ_CORPUS=1 cargo test -p memory-storage-redb fuzz_seeds`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use memory_core::conformance::{entities, record};
use memory_core::{Namespace, StoredDocument, Timestamp};

use super::*;

const ENTRY_KEY: &[u8] = b"default\0episode\0golden-id";
const DOCUMENT_KEY: &[u8] = b"key";

/// A frame as it is stored, and its body alone, which the targets seal themselves.
fn add(seeds: &mut BTreeMap<String, Vec<u8>>, number: usize, frame: Vec<u8>) {
    seeds.insert(format!("seed-{number:02}-body"), frame[HEADER_BYTES..].to_vec());
    seeds.insert(format!("seed-{number:02}"), frame);
}

fn seeds() -> BTreeMap<&'static str, BTreeMap<String, Vec<u8>>> {
    let mut all: BTreeMap<_, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    let space = Namespace::default();
    for (number, entity) in entities(7).into_iter().map(Some).chain([None]).enumerate() {
        let record = record(&space, "golden-id", 5, entity);
        let entry = encode_entry(ENTRY_KEY, &record, Timestamp(3)).unwrap();
        add(all.entry("cache_entry").or_default(), number, entry);
        add(all.entry("outbox_row").or_default(), number, encode_row(&record, Timestamp(3)).unwrap());
    }
    let full = super::hostile::document();
    let bare = StoredDocument { bytes: Vec::new(), ..full.clone() };
    for (number, document) in [full, bare].into_iter().enumerate() {
        let frame = encode_document(DOCUMENT_KEY, &document).unwrap();
        add(all.entry("search_document").or_default(), number, frame);
    }
    all
}

#[test]
fn fuzz_seeds_are_of_this_schema_and_of_every_kind() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let update = std::env::var_os("UPDATE_FUZZ_CORPUS").is_some();
    for (target, seeds) in seeds() {
        let folder = root.join(target);
        if update {
            fs::create_dir_all(&folder).unwrap();
            seeds.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
        }
        for (name, bytes) in &seeds {
            assert!(
                fs::read(folder.join(name)).is_ok_and(|stored| stored == *bytes),
                "{target}/{name} is of another schema"
            );
        }
    }
    let kinds: std::collections::BTreeSet<_> =
        entities(7).iter().map(|entity| entity.kind().name()).collect();
    assert_eq!(kinds.len(), memory_core::Kind::ALL.len(), "every kind has a seed");
}
