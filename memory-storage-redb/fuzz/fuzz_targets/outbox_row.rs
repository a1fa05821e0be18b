//! Decodes arbitrary bytes as an outbox row: as they are, and with a header and checksum that fit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memory_storage_redb::codec::{decode_row, reseal};

fuzz_target!(|data: &[u8]| {
    for bytes in [Some(data.to_vec()), reseal(*b"AMor", 1, &[], data)].into_iter().flatten() {
        if let Ok(pending) = decode_row(&bytes) {
            let _ = pending.row.decode();
        }
    }
});
