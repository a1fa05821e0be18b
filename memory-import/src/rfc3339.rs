//! Times in RFC 3339.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns the milliseconds since 1970; `None` if the text is no time.
pub(crate) fn millis(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(millis(text), expected, "{text}");
        check("1970-01-01T00:00:01.250Z", Some(1_250));
        check("2026-11-02T10:00:00+02:00", Some(1_793_606_400_000));
        check("2026-11-02", None);
        check("", None);
    }
}
