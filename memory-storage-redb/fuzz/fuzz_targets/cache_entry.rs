//! Decodes arbitrary bytes as a cache entry: as they are, and with a header and checksum that fit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memory_storage_redb::codec::{decode_entry, reseal};

const KEY: &[u8] = b"default\0episode\0golden-id";

fuzz_target!(|data: &[u8]| {
    let _ = decode_entry(KEY, data);
    if let Some(sealed) = reseal(*b"AMce", 1, KEY, data) {
        let _ = decode_entry(KEY, &sealed);
    }
});
