//! Owns the one form in which times are written: ISO 8601 in UTC with milliseconds and `Z`.
//!
//! `2026-01-31T12:00:00.000Z` sorts as text in the order of time; SQLite's own
//! `CURRENT_TIMESTAMP` text (`2026-01-31 12:00:00`) does not sort together with it, so it is
//! never written. This module may not touch the database.

use crate::error::{Error, Result};
use jiff::{Timestamp, civil::DateTime, fmt::temporal::DateTimePrinter, tz::Offset};
use std::borrow::Cow;

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// The length of the canonical form, in bytes.
const CANONICAL_BYTES: usize = 24;

/// Returns the present moment in the canonical form.
pub(crate) fn now() -> String {
    PRINTER.timestamp_to_string(&Timestamp::now())
}

/// Brings a caller's time into the canonical form; `field` names it in the error.
///
/// ISO 8601 with an offset, without one (taken as UTC, as SQLite does), a date alone (midnight)
/// and SQLite's own form are accepted; digits below a millisecond are cut off.
///
/// # Errors
///
/// [`Error::InvalidArgument`] when the text is no such time.
pub(crate) fn normalize(field: &str, text: &str) -> Result<String> {
    parse(text).ok_or_else(|| {
        Error::argument(
            field,
            "is a text that is no time; give ISO 8601, such as 2026-01-31T12:00:00.000Z",
        )
    })
}

/// Says whether a stored time looks as this package writes it.
pub(crate) fn is_canonical(text: &[u8]) -> bool {
    text.len() == CANONICAL_BYTES && text.ends_with(b"Z")
}

/// Reads a stored time back: canonical when it can be understood, else the text as it stands.
pub(crate) fn from_stored(text: &str) -> Cow<'_, str> {
    if is_canonical(text.as_bytes()) {
        return text.into();
    }
    parse(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn parse(text: &str) -> Option<String> {
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => Offset::UTC
            .to_timestamp(text.parse::<DateTime>().ok()?)
            .ok()?,
    };
    let canonical = PRINTER.timestamp_to_string(&moment);
    // Years outside 0000 to 9999 print in a longer form that would not sort as text.
    (canonical.len() == CANONICAL_BYTES).then_some(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_form_becomes_canonical() {
        for (given, canonical) in [
            ("2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00.000Z"),
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
            ("2026-01-31T12:00:00.123456Z", "2026-01-31T12:00:00.123Z"),
            ("2026-01-31T14:00:00+02:00", "2026-01-31T12:00:00.000Z"),
            ("2026-01-31T12:00:00", "2026-01-31T12:00:00.000Z"),
            ("2026-01-31 12:00:00", "2026-01-31T12:00:00.000Z"),
            ("2026-01-31T12:00", "2026-01-31T12:00:00.000Z"),
            ("2026-01-31", "2026-01-31T00:00:00.000Z"),
            ("20260131T120000Z", "2026-01-31T12:00:00.000Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
            ("9998-12-31T23:59:59.999Z", "9998-12-31T23:59:59.999Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(normalize("t", given).unwrap(), canonical, "{given}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_without_repeating_it() {
        for text in [
            "",
            "now",
            "12:00",
            "2026",
            "2026-13-01",
            "2026-02-30T00:00:00Z",
            "2025-02-29",
            "2026-01-31T25:00:00Z",
            "-000001-01-01T00:00:00Z",
            "1769860800000",
            "secret\0",
        ] {
            let error = normalize("start_time", text).unwrap_err();
            assert_eq!(error.code(), "DB_INVALID_ARGUMENT", "{text}");
            assert!(error.to_string().starts_with("start_time is a text"));
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn stored_text_is_read_as_iso_when_it_can_be() {
        assert_eq!(
            from_stored("2026-01-31 12:00:00"),
            "2026-01-31T12:00:00.000Z"
        );
        assert_eq!(from_stored("yesterday"), "yesterday");
        let now = now();
        assert_eq!(from_stored(&now), now);
        assert_eq!(now.len(), CANONICAL_BYTES);
    }
}
