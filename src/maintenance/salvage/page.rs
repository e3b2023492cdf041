//! Owns taking one page of a b-tree apart, and the values out of a record.
//!
//! It believes nothing: every length and place is checked against the page and the file.
//! Source: <https://www.sqlite.org/fileformat2.html#b_tree_pages>.

/// The longest record that is read: no text of the ledger comes near it, and damaged bytes can
/// claim any length.
const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// Where pages come from. Numbers begin at 1.
pub trait Pages {
    /// The bytes of each page.
    fn page_bytes(&self) -> usize;
    /// Bytes at each page's end that SQLite leaves to others.
    fn reserved_bytes(&self) -> usize {
        0
    }
    /// How many pages there are.
    fn count(&self) -> u32;
    /// Fills `buffer`, of [`page_bytes`](Self::page_bytes), and says whether it could.
    fn read(&self, number: u32, buffer: &mut [u8]) -> bool;
}

/// One value of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A text that is valid UTF-8.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(*integer),
            _ => None,
        }
    }
}

/// The kinds of a b-tree's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    IndexInterior,
    TableInterior,
    IndexLeaf,
    TableLeaf,
}

/// A page with its header read.
pub(super) struct Page {
    pub(super) kind: Kind,
    bytes: Vec<u8>,
    /// Where the cells begin, in the order of their keys.
    cells: Vec<usize>,
    usable: usize,
    right: u32,
    /// How many bytes of overflow pages its records may still take. No two share any, so a page
    /// whose records want more than the file holds lies, and would take long to read.
    overflow_left: std::cell::Cell<usize>,
}

/// A cell of a table's leaf or of an index.
pub(super) struct Cell {
    /// The rowid, in a table.
    pub(super) rowid: i64,
    /// The child to its left, in an interior page.
    pub(super) child: u32,
    /// The record, which an interior page of a table has none of.
    pub(super) values: Vec<Value>,
}

impl Page {
    /// Reads a page's header; nothing when it is no page of a b-tree.
    pub(super) fn read(pages: &impl Pages, number: u32) -> Option<Self> {
        if number == 0 || number > pages.count() {
            return None;
        }
        let mut bytes = vec![0; pages.page_bytes()];
        if !pages.read(number, &mut bytes) {
            return None;
        }
        let usable = bytes.len().checked_sub(pages.reserved_bytes())?;
        let page = Self::parse(bytes, usable, if number == 1 { 100 } else { 0 })?;
        page.overflow_left
            .set((pages.count() as usize).saturating_mul(pages.page_bytes()));
        Some(page)
    }

    fn parse(bytes: Vec<u8>, usable: usize, start: usize) -> Option<Self> {
        let kind = match bytes.get(start)? {
            2 => Kind::IndexInterior,
            5 => Kind::TableInterior,
            10 => Kind::IndexLeaf,
            13 => Kind::TableLeaf,
            _ => return None,
        };
        let is_interior = matches!(kind, Kind::IndexInterior | Kind::TableInterior);
        let count = short(&bytes, start + 3)?;
        let array = start + if is_interior { 12 } else { 8 };
        let array_end = array + 2 * count;
        // The largest page's 65,536 is written as 0.
        let content = match short(&bytes, start + 5)? {
            0 => 65_536,
            content => content,
        };
        if array_end > content || content > usable || *bytes.get(start + 7)? > 60 {
            return None;
        }
        let cells = (0..count)
            .map(|index| short(&bytes, array + 2 * index))
            .collect::<Option<Vec<_>>>()?;
        if cells.iter().any(|at| *at < content || *at + 4 > usable) {
            return None;
        }
        let right = if is_interior {
            long(&bytes, start + 8)?
        } else {
            0
        };
        Some(Self {
            kind,
            bytes,
            cells,
            usable,
            right,
            overflow_left: std::cell::Cell::new(0),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The last child of an interior page.
    pub(super) fn right(&self) -> u32 {
        self.right
    }

    /// The separators of a table's interior page: each child with the largest rowid below it.
    pub(super) fn children(&self) -> Option<Vec<(u32, i64)>> {
        self.cells
            .iter()
            .map(|at| Some((long(&self.bytes, *at)?, varint(&self.bytes, at + 4)?.0)))
            .collect()
    }

    /// Reads a cell of a table's leaf, or of any page of an index.
    pub(super) fn cell(&self, index: usize, pages: &impl Pages) -> Option<Cell> {
        let mut at = *self.cells.get(index)?;
        let mut child = 0;
        if self.kind == Kind::IndexInterior {
            child = long(&self.bytes, at)?;
            at += 4;
        }
        let (length, used) = varint(&self.bytes, at)?;
        at += used;
        let mut rowid = 0;
        let is_table = self.kind == Kind::TableLeaf;
        if is_table {
            let (number, used) = varint(&self.bytes, at)?;
            rowid = number;
            at += used;
        }
        let length = usize::try_from(length).ok()?;
        let payload = self.payload(at, length, is_table, pages)?;
        Some(Cell {
            rowid,
            child,
            values: record(&payload)?,
        })
    }

    /// Puts a record together, its overflow pages included
    /// (<https://www.sqlite.org/fileformat2.html#cell_payload_overflow_pages>).
    fn payload(
        &self,
        at: usize,
        length: usize,
        is_table: bool,
        pages: &impl Pages,
    ) -> Option<Vec<u8>> {
        let usable = self.usable;
        if length > MAX_RECORD_BYTES || usable < 480 {
            return None;
        }
        let most = if is_table {
            usable - 35
        } else {
            (usable - 12) * 64 / 255 - 23
        };
        if length <= most {
            return Some(self.bytes.get(at..at + length)?.to_vec())
                .filter(|_| at + length <= usable);
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let wanted = least + (length - least) % (usable - 4);
        let local = if wanted <= most { wanted } else { least };
        if at + local + 4 > usable {
            return None;
        }
        let mut payload = self.bytes.get(at..at + local)?.to_vec();
        let mut next = long(&self.bytes, at + local)?;
        let mut bytes = vec![0; pages.page_bytes()];
        // Each round adds bytes, so a ring of pages ends with the record.
        while payload.len() < length {
            if next == 0 || next > pages.count() || !pages.read(next, &mut bytes) {
                return None;
            }
            let part = (length - payload.len()).min(usable - 4);
            self.overflow_left
                .set(self.overflow_left.get().checked_sub(part)?);
            payload.extend_from_slice(bytes.get(4..4 + part)?);
            next = long(&bytes, 0)?;
        }
        // The last page of a chain names no other.
        (next == 0).then_some(payload)
    }
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let part = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes([part[0], part[1]])))
}

pub(super) fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([part[0], part[1], part[2], part[3]]))
}

/// Reads a variable-length integer and how many bytes it takes.
fn varint(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut value: u64 = 0;
    for index in 0..9 {
        let byte = *bytes.get(at + index)?;
        if index == 8 {
            return Some((((value << 8) | u64::from(byte)).cast_signed(), 9));
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((value.cast_signed(), index + 1));
        }
    }
    None
}

/// Reads a record; nothing unless it fills its bytes exactly and every text is UTF-8.
fn record(payload: &[u8]) -> Option<Vec<Value>> {
    let (header, mut at) = varint(payload, 0)?;
    let header = usize::try_from(header).ok()?;
    if header > payload.len() || header < at {
        return None;
    }
    let mut values = Vec::new();
    let mut body = header;
    while at < header {
        let (kind, used) = varint(payload, at)?;
        at += used;
        if values.len() > 100 {
            return None;
        }
        let take = |length: usize| payload.get(body..body.checked_add(length)?);
        let integer = |length: usize| {
            let part = take(length)?;
            let sign = if part[0] & 0x80 == 0 { 0_i64 } else { -1 };
            Some(
                part.iter()
                    .fold(sign, |value, byte| (value << 8) | i64::from(*byte)),
            )
        };
        let (value, length) = match kind {
            0 => (Value::Null, 0),
            1..=4 => {
                let length = usize::try_from(kind).ok()?;
                (Value::Integer(integer(length)?), length)
            }
            5 => (Value::Integer(integer(6)?), 6),
            6 => (Value::Integer(integer(8)?), 8),
            7 => {
                let part = take(8)?.try_into().ok()?;
                (Value::Real(f64::from_be_bytes(part)), 8)
            }
            8 => (Value::Integer(0), 0),
            9 => (Value::Integer(1), 0),
            _ => {
                let length = usize::try_from(kind.checked_sub(12)? / 2).ok()?;
                let part = take(length)?;
                if kind % 2 == 1 {
                    (
                        Value::Text(std::str::from_utf8(part).ok()?.to_owned()),
                        length,
                    )
                } else {
                    (Value::Blob(part.to_vec()), length)
                }
            }
        };
        values.push(value);
        body += length;
    }
    (at == header && body == payload.len()).then_some(values)
}
