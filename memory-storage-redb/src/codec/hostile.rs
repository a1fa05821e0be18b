//! Bytes that no program writes: no panic, no abort, no more memory than the limit.

use memory_core::conformance::{entities, record};
use memory_core::{Kind, Namespace, Record, Revision, StoredDocument, Timestamp, WriterId};
use proptest::prelude::*;

use super::frame::{self, Sort};
use super::*;

const KEY: &[u8] = b"default\0episode\0x";

fn records() -> Vec<Record> {
    let space = Namespace::default();
    let mut records: Vec<_> = entities(7)
        .into_iter()
        .enumerate()
        .map(|(i, it)| record(&space, &format!("k{i}"), 5, Some(it)))
        .collect();
    records.push(record(&space, "grave", 6, None));
    records
}

pub(super) fn document() -> StoredDocument {
    let revision = Revision { clock: 9, writer: WriterId::new(3) };
    StoredDocument { revision, bytes: b"content of the search index".to_vec() }
}

/// Checks that every flip of one bit and every truncation of valid bytes is refused, and one byte more too.
fn check_damage(valid: &[u8], readable: impl Fn(&[u8]) -> bool) {
    assert!(readable(valid));
    let mut bytes = valid.to_vec();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!readable(&bytes), "bit {bit} flipped");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for length in 0..valid.len() {
        assert!(!readable(&valid[..length]), "cut to {length}");
    }
    bytes.push(0);
    assert!(!readable(&bytes), "one byte more");
}

#[test]
fn every_bit_flip_and_truncation_is_noticed() {
    for record in records() {
        let entry = encode_entry(KEY, &record, Timestamp(3)).unwrap();
        check_damage(&entry, |bytes| decode_entry(KEY, bytes).is_ok());
        check_damage(&entry, |bytes| entry_revision(KEY, bytes).is_ok());
        let row = encode_row(&record, Timestamp(3)).unwrap();
        check_damage(&row, |bytes| decode_row(bytes).is_ok());
    }
    let bytes = encode_document(KEY, &document()).unwrap();
    check_damage(&bytes, |bytes| decode_document(KEY, bytes).is_ok());
    let part = encode_part(KEY, 3, b"content").unwrap();
    check_damage(&part, |bytes| decode_part(KEY, bytes).is_ok());
    check_damage(&encode_mark(KEY).unwrap(), |bytes| check_mark(KEY, bytes).is_ok());
    check_damage(&encode_dead_letter(b"row", "why", Timestamp(1)).unwrap(), |it| {
        decode_dead_letter(it).is_ok()
    });
    check_damage(&encode_meta("name", &(7_u64, "x")).unwrap(), |it| {
        decode_meta::<(u64, String)>("name", it).is_ok()
    });
}

#[test]
fn an_entry_under_another_key_is_unreadable() {
    let record = &records()[0];
    let entry = encode_entry(KEY, record, Timestamp(3)).unwrap();
    assert_eq!(decode_entry(b"other\0episode\0x", &entry), Err(Unreadable::Checksum));
    let bytes = encode_document(KEY, &document()).unwrap();
    assert_eq!(decode_document(b"other\0episode\0x", &bytes), Err(Unreadable::Checksum));
    let part = encode_part(b"default\0\0\0\0\0", 2, b"content").unwrap();
    assert_eq!(decode_part(b"default\0\0\0\0\x01", &part), Err(Unreadable::Checksum));
    let mark = encode_mark(KEY).unwrap();
    assert_eq!(check_mark(b"other\0episode\0x", &mark), Err(Unreadable::Checksum));
}

#[test]
fn another_version_is_told_apart_from_damage() {
    let record = &records()[0];
    let valid = encode_entry(KEY, record, Timestamp(3)).unwrap();
    for (at, expected) in [(0, Unreadable::Magic), (4, Unreadable::Version), (6, Unreadable::Version)] {
        let mut bytes = valid.clone();
        bytes[at] = bytes[at].wrapping_add(1);
        assert_eq!(decode_entry(KEY, &bytes), Err(expected));
    }
    assert_eq!(decode_row(&valid), Err(Unreadable::Magic));
}

/// Frames with a valid checksum around a body made up by an attacker.
fn sealed(sort: Sort, context: &[u8], body: &[u8]) -> Vec<u8> {
    frame::reseal(sort, context, body).unwrap()
}

#[test]
fn a_resealed_body_decodes() {
    let body = |frame: Vec<u8>| frame[HEADER_BYTES..].to_vec();
    for record in records() {
        let entry = body(encode_entry(KEY, &record, Timestamp(3)).unwrap());
        assert!(decode_entry(KEY, &sealed(entry::SORT, KEY, &entry)).is_ok());
        let row = body(encode_row(&record, Timestamp(3)).unwrap());
        assert!(decode_row(&sealed(row::SORT, &[], &row)).is_ok());
    }
    let document = body(encode_document(KEY, &document()).unwrap());
    assert!(decode_document(KEY, &sealed(document::SORT, KEY, &document)).is_ok());
    let letter = body(encode_dead_letter(b"row", "why", Timestamp(1)).unwrap());
    assert!(decode_dead_letter(&sealed(dead_letter::SORT, &[], &letter)).is_ok());
    let part = body(encode_part(KEY, 3, b"content").unwrap());
    assert!(decode_part(KEY, &sealed(snapshot::PART, KEY, &part)).is_ok());
    assert!(check_mark(KEY, &sealed(snapshot::MARK, KEY, &[])).is_ok());
}

#[test]
fn forged_lengths_do_not_allocate() {
    // bincode's marker for a 64-bit length, and a length near 2^64.
    let forged = [&[253_u8][..], &[0xff; 8]].concat();
    assert_eq!(
        decode_row(&sealed(row::SORT, &[], &[&[0; 8][..], &forged].concat())),
        Err(Unreadable::Content)
    );
    assert_eq!(decode_document(KEY, &sealed(document::SORT, KEY, &[0; 15])), Err(Unreadable::Content));
    for variant in 0..Kind::ALL.len() as u8 {
        let body = [&[0; 41][..], &[variant], &[16], &[0; 16], &forged].concat();
        assert!(decode_entry(KEY, &sealed(entry::SORT, KEY, &body)) == Err(Unreadable::Content));
    }
    let reason = [&[0; 8][..], &[0xff; 4], b"x"].concat();
    assert!(decode_dead_letter(&sealed(dead_letter::SORT, &[], &reason)).is_err());
}

/// Lengths that no payload may claim: near 2^64, and one above the limit; in the place of each byte of valid
/// content.
#[test]
fn forged_lengths_are_survived_wherever_they_stand() {
    let huge = [&[253_u8][..], &[0xff; 8]].concat();
    let above = [&[252_u8][..], &(PAYLOAD_LIMIT as u32 + 1).to_le_bytes()].concat();
    let body = |frame: Vec<u8>| frame[HEADER_BYTES..].to_vec();
    let check = |valid: &[u8], fixed: usize, decode: &dyn Fn(&[u8]) -> bool| {
        assert!(decode(valid), "the seal is that of today");
        let mut accepted = 0;
        for forged in [&huge, &above] {
            for at in fixed..valid.len() {
                // In the place of one of the last numbers it is that number.
                accepted += usize::from(decode(&[&valid[..at], forged].concat()));
            }
        }
        assert!(accepted * 10 < valid.len() * 2, "{accepted} of {} are content", valid.len() * 2);
    };
    for record in records().iter().filter(|record| !record.is_tombstone()) {
        let entry = body(encode_entry(KEY, record, Timestamp(3)).unwrap());
        check(&entry, 41, &|bytes| decode_entry(KEY, &sealed(entry::SORT, KEY, bytes)).is_ok());
        let row = body(encode_row(record, Timestamp(3)).unwrap());
        check(&row, 8, &|bytes| decode_row(&sealed(row::SORT, &[], bytes)).is_ok());
    }
}

#[test]
fn reasons_are_cut_at_a_character() {
    let long = "ä".repeat(5_000);
    let bytes = encode_dead_letter(b"row", &long, Timestamp(1)).unwrap();
    let entry = decode_dead_letter(&bytes).unwrap();
    assert_eq!((entry.reason.len(), entry.row), (1024, &b"row"[..]));
}

proptest! {
    #[test]
    fn records_round_trip(seed: u64, clock: u64, writer: u64, at: u64, expiry: Option<u64>, filled: u64) {
        for entity in entities(seed % (1 << 40)).into_iter().map(Some).chain([None]) {
            let mut record = record(&Namespace::default(), "id", 1, entity);
            record.revision = Revision { clock, writer: WriterId::new(writer) };
            record.updated_at = Timestamp(at);
            record.expires_at = expiry.map(Timestamp);
            let bytes = encode_entry(KEY, &record, Timestamp(filled)).unwrap();
            prop_assert_eq!(entry_revision(KEY, &bytes).unwrap(), record.revision);
            let entry = decode_entry(KEY, &bytes).unwrap();
            prop_assert_eq!(entry.filled_at, Timestamp(filled));
            prop_assert_eq!(&entry.into_record(record.key.clone()), &record);
            let pending = decode_row(&encode_row(&record, Timestamp(filled)).unwrap()).unwrap();
            prop_assert_eq!(pending.appended_at, Timestamp(filled));
            prop_assert_eq!(pending.row.decode().unwrap(), record);
        }
    }

    #[test]
    fn documents_round_trip(clock: u64, writer: u64, bytes: Vec<u8>) {
        let revision = Revision { clock, writer: WriterId::new(writer) };
        let document = StoredDocument { revision, bytes };
        let encoded = encode_document(KEY, &document).unwrap();
        prop_assert_eq!(document_revision(KEY, &encoded), Ok(revision));
        prop_assert_eq!(decode_document(KEY, &encoded), Ok(document));
    }

    #[test]
    fn any_content_with_a_valid_checksum_is_survived(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_entry(KEY, &sealed(entry::SORT, KEY, &body));
        let _ = decode_row(&sealed(row::SORT, &[], &body));
        let _ = decode_document(KEY, &sealed(document::SORT, KEY, &body));
        let _ = decode_dead_letter(&sealed(dead_letter::SORT, &[], &body));
        let _ = decode_part(KEY, &sealed(snapshot::PART, KEY, &body));
        let _ = check_mark(KEY, &sealed(snapshot::MARK, KEY, &body));
    }
}
