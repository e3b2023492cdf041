//! Owns the pages of long lists: where one begins, and what it holds.
//!
//! Nothing is pinned between pages: rows may come, go and move (`VACUUM` may give new row ids)
//! while a caller looks at one. This module may not run SQL.

/// Where a page begins: behind a record, which a list names by its hash or id.
///
/// A cursor that a page gave remembers the record's place too: it stays good when the record is
/// deleted meanwhile.
///
/// ```
/// use whatsapp_uploader_database::Cursor;
/// let cursor = Cursor::after("9f86d081884c7d65");
/// assert_eq!(cursor.key(), "9f86d081884c7d65");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    key: String,
    place: Option<Place>,
}

/// A record's place in its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) rowid: i64,
    /// What the list goes by before the row id; empty in a list that goes by that alone.
    pub(crate) sort: String,
}

impl Cursor {
    /// A cursor behind the record with this hash or id, which must exist.
    pub fn after(key: impl ToString) -> Self {
        Self {
            key: key.to_string(),
            place: None,
        }
    }

    pub(crate) fn at(key: String, place: Place) -> Self {
        Self {
            key,
            place: Some(place),
        }
    }

    /// The hash or id of the record.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The records, in the list's order.
    pub records: Vec<T>,
    /// Where the next page begins; nothing once the list has ended.
    pub next: Option<Cursor>,
}
