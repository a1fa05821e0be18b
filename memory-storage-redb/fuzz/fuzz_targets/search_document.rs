//! Decodes arbitrary bytes as a search document: as they are, and with a header and checksum that fit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memory_storage_redb::codec::{decode_document, reseal_document};

const KEY: &[u8] = b"key";

/// Content that must decode behind the header: else nothing behind it is tested.
const SEED: &[u8] = include_bytes!("../corpus/search_document/seed-00-body");

fn decode(body: &[u8]) -> bool {
    reseal_document(KEY, body).is_some_and(|sealed| decode_document(KEY, &sealed).is_ok())
}

fuzz_target!(init: assert!(decode(SEED), "the seeds are of another schema; make them anew"), |data: &[u8]| {
    let _ = decode_document(KEY, data);
    decode(data);
});
