//! Decodes arbitrary bytes as a search document: as they are, and with a header and checksum that fit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memory_storage_redb::codec::{decode_document, reseal};

const KEY: &[u8] = b"key";

fuzz_target!(|data: &[u8]| {
    let _ = decode_document(KEY, data);
    if let Some(sealed) = reseal(*b"AMsd", 2, KEY, data) {
        let _ = decode_document(KEY, &sealed);
    }
});
