//! Decodes arbitrary bytes as a cache entry: as they are, and with a header and checksum that fit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memory_storage_redb::codec::{decode_entry, reseal_entry};

const KEY: &[u8] = b"default\0episode\0golden-id";

/// Content that must decode behind the header: else nothing behind it is tested.
const SEED: &[u8] = include_bytes!("../corpus/cache_entry/seed-00-body");

fn decode(body: &[u8]) -> bool {
    reseal_entry(KEY, body).is_some_and(|sealed| decode_entry(KEY, &sealed).is_ok())
}

fuzz_target!(init: assert!(decode(SEED), "the seeds are of another schema; make them anew"), |data: &[u8]| {
    let _ = decode_entry(KEY, data);
    decode(data);
});
