//! Times of sources, as milliseconds since 1970.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads a time in RFC 3339, or without an offset, as Python writes it, which is taken as UTC.
pub(crate) fn read(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = if text.get(10..11) == Some(" ") { text.replacen(' ', "T", 1) } else { text.to_owned() };
    let parsed = OffsetDateTime::parse(&text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339))
        .ok()?;
    i64::try_from(parsed.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// Returns the start of a day (`2026-11-01`) in UTC, in milliseconds since 1970; `None` if the text is no day.
pub fn day_ms(day: &str) -> Option<i64> {
    read(&format!("{day}T00:00:00Z"))
}

/// Reads the time in a field.
pub(crate) fn of(value: &Value, field: &str) -> Option<i64> {
    value.get(field).and_then(Value::as_str).and_then(read)
}

/// Writes a time in RFC 3339 with milliseconds; `None` outside the years 0 to 9999.
pub(crate) fn write(ms: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()?;
    if !(0..=9999).contains(&time.year()) {
        return None;
    }
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second, ms) = (time.hour(), time.minute(), time.second(), time.millisecond());
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"))
}

/// Reads nanoseconds since 1970: a number, or one in a string, as OTLP JSON writes it.
pub(crate) fn nanos(value: &Value) -> Option<u64> {
    let nanos = match value {
        Value::String(text) => text.parse().ok()?,
        value => value.as_u64()?,
    };
    Some(nanos).filter(|nanos| *nanos > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(read(text), expected, "{text}");
        check("2026-01-02T03:04:05Z", Some(1_767_323_045_000));
        check("2026-01-02T04:04:05.678901+01:00", Some(1_767_323_045_678));
        check("2026-01-02T03:04:05.678", Some(1_767_323_045_678));
        check("2026-01-02 03:04:05", Some(1_767_323_045_000));
        check("yesterday", None);
        check("", None);
        for ms in [0, -1, 1_767_323_045_678] {
            assert_eq!(read(&write(ms).unwrap()), Some(ms));
        }
        assert_eq!(write(1_767_323_045_678).unwrap(), "2026-01-02T03:04:05.678Z");
        assert_eq!(write(i64::MAX), None);
    }
}
