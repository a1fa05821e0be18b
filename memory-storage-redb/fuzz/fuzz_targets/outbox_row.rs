//! Decodes arbitrary bytes as an outbox row: as they are, and with a header and checksum that fit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memory_storage_redb::codec::{decode_row, reseal_row};

/// Content that must decode behind the header: else nothing behind it is tested.
const SEED: &[u8] = include_bytes!("../corpus/outbox_row/seed-00-body");

fn decode(bytes: &[u8]) -> bool {
    decode_row(bytes).is_ok_and(|pending| pending.row.decode().is_ok())
}

fn decode_resealed(body: &[u8]) -> bool {
    reseal_row(body).is_some_and(|sealed| decode(&sealed))
}

fuzz_target!(
    init: assert!(decode_resealed(SEED), "the seeds are of another schema; make them anew"),
    |data: &[u8]| {
        decode(data);
        decode_resealed(data);
    }
);
