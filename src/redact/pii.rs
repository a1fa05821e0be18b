//! Personal data: off by default.

/// Returns true for a number whose check digit is right.
///
/// Luhn, ISO/IEC 7812-1, annex B.
pub(super) fn luhn(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ if *digit > 4 => 2 * digit - 9,
            _ => 2 * digit,
        })
        .sum();
    (13..=19).contains(&digits.len())
        && digits.iter().any(|digit| *digit != digits[0])
        && sum.is_multiple_of(10)
}

/// Returns true for an account number whose check digits are right.
///
/// ISO 13616 with ISO/IEC 7064, MOD 97-10.
pub(super) fn iban(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    if !(15..=34).contains(&plain.len()) || !plain.is_ascii() {
        return false;
    }
    let rest = plain[4..].chars().chain(plain[..4].chars()).try_fold(0_u32, |rest, c| {
        let value = c.to_digit(36)?;
        Some(if value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 })
    });
    rest == Some(1)
}

/// Returns true for a number with as many figures as telephone numbers have.
pub(super) fn phone(text: &str) -> bool {
    (9..=15).contains(&text.bytes().filter(u8::is_ascii_digit).count())
}
