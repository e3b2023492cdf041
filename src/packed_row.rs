//! Owns the packed form in which rows cross to JavaScript: all texts of a chunk of rows as one
//! string, and Int32 codes that say where each cell's text ends or what it holds instead.
//!
//! A packed chunk is plain data: any thread may make one; `node/row_codec.rs` turns it into JavaScript
//! values on the event loop's thread. `lib/rows.js` is the only decoder, and both name the same numbers:
//!
//! - the first code is the number of rows;
//! - a code from 0 up is a text's end in the string, in UTF-16 units; it begins where the last
//!   text ended;
//! - [`NULL`] is NULL; [`SAME`] is the text of the same column in the row above, which chats,
//!   types and times often are; at [`SMALL`] and below is the integer `SMALL - code`;
//! - any other code is followed by two more: [`INTEGER`] by the integer and 0, [`REAL`] and
//!   [`BIGINT`] by the low and the high half of a double or a 64-bit integer, [`BLOB`] by where
//!   the bytes begin among the chunk's blobs and how many they are.

use crate::record::MAX_SAFE_INTEGER;
use std::ops::Range;

const NULL: i32 = -1;
const INTEGER: i32 = -2;
const REAL: i32 = -3;
const BIGINT: i32 = -4;
const BLOB: i32 = -5;
const SAME: i32 = -6;
const SMALL: i32 = -8;

/// How much text, or blob, a chunk holds before it is full. A slice of 13 characters or more
/// keeps its whole chunk in memory, so a larger one would let a few kept values hold much.
const CHUNK_BYTES: usize = 16 * 1024;

/// How many codes a chunk holds before it is full.
const CHUNK_CODES: usize = 8 * 1024;

/// The longest string that V8 can hold (on 64-bit machines).
const MAX_UNITS: usize = 0x1fff_ffe8;

/// Why a cell cannot cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellProblem {
    /// An integer beyond 2^53-1, which a JavaScript number cannot hold exactly.
    Integer,
    /// A text that is not valid UTF-8.
    Text,
    /// More text, or bytes, than one JavaScript value holds.
    Length,
}

/// Packs rows, cell by cell.
#[derive(Debug)]
pub struct RowPacker {
    text: Vec<u8>,
    units: usize,
    is_ascii: bool,
    codes: Vec<i32>,
    blobs: Vec<u8>,
    big_integers: bool,
    /// Where each column's text of the row above lies, if it has one.
    above: Vec<Range<usize>>,
    column: usize,
}

impl Default for RowPacker {
    fn default() -> Self {
        Self::new()
    }
}

impl RowPacker {
    /// Makes a packer that holds nothing.
    pub fn new() -> Self {
        Self {
            text: Vec::new(),
            units: 0,
            is_ascii: true,
            codes: vec![0],
            blobs: Vec::new(),
            big_integers: false,
            above: Vec::new(),
            column: 0,
        }
    }

    /// Says whether every integer is to become a bigint.
    pub fn set_big_integers(&mut self, big_integers: bool) {
        self.big_integers = big_integers;
    }

    /// Forgets what was packed and keeps the memory, up to a bound.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(4 * CHUNK_BYTES);
        self.blobs.clear();
        self.blobs.shrink_to(4 * CHUNK_BYTES);
        self.codes.clear();
        self.codes.shrink_to(4 * CHUNK_CODES);
        self.codes.push(0);
        self.units = 0;
        self.is_ascii = true;
        self.above.clear();
        self.column = 0;
    }

    /// Packs NULL.
    pub fn push_null(&mut self) {
        self.skip_text();
        self.codes.push(NULL);
    }

    /// Notes that this column of this row is no text, which the row below could repeat.
    fn skip_text(&mut self) {
        match self.above.get_mut(self.column) {
            Some(above) => *above = 0..0,
            None => self.above.push(0..0),
        }
        self.column += 1;
    }

    /// Packs an integer.
    ///
    /// # Errors
    ///
    /// No JavaScript number holds it, and no bigints were asked for.
    pub fn push_integer(&mut self, integer: i64) -> Result<(), CellProblem> {
        self.skip_text();
        if self.big_integers {
            self.push_wide(BIGINT, integer as u64);
        } else if (0..=i64::from(i32::MAX + SMALL)).contains(&integer) {
            self.codes.push(SMALL - integer as i32);
        } else if let Ok(integer) = i32::try_from(integer) {
            self.codes.extend_from_slice(&[INTEGER, integer, 0]);
        } else if integer.unsigned_abs() <= MAX_SAFE_INTEGER as u64 {
            self.push_wide(REAL, (integer as f64).to_bits());
        } else {
            return Err(CellProblem::Integer);
        }
        Ok(())
    }

    /// Packs a double.
    pub fn push_real(&mut self, real: f64) {
        self.skip_text();
        self.push_wide(REAL, real.to_bits());
    }

    fn push_wide(&mut self, marker: i32, bits: u64) {
        self.codes
            .extend_from_slice(&[marker, bits as u32 as i32, (bits >> 32) as u32 as i32]);
    }

    /// Packs a text.
    ///
    /// # Errors
    ///
    /// It is not UTF-8, or the chunk's string would become too long.
    pub fn push_text(&mut self, text: &[u8]) -> Result<(), CellProblem> {
        if self.column < self.above.len() {
            // A text that is the same is as valid as the one above.
            let above = &mut self.above[self.column];
            if !text.is_empty() && is_same(&self.text[above.clone()], text) {
                self.codes.push(SAME);
                self.column += 1;
                return Ok(());
            }
            *above = self.text.len()..self.text.len() + text.len();
        } else {
            self.above
                .push(self.text.len()..self.text.len() + text.len());
        }
        self.column += 1;
        let units = if text.is_ascii() {
            text.len()
        } else {
            self.is_ascii = false;
            let text = std::str::from_utf8(text).map_err(|_| CellProblem::Text)?;
            text.chars().map(char::len_utf16).sum()
        };
        if units > MAX_UNITS - self.units {
            return Err(CellProblem::Length);
        }
        self.text.extend_from_slice(text);
        self.units += units;
        // In range: the longest string has fewer units than an i32 counts.
        self.codes.push(self.units as i32);
        Ok(())
    }

    /// Packs bytes.
    ///
    /// # Errors
    ///
    /// The chunk's bytes would be too many.
    pub fn push_blob(&mut self, bytes: &[u8]) -> Result<(), CellProblem> {
        let (Ok(start), Ok(length)) = (i32::try_from(self.blobs.len()), i32::try_from(bytes.len()))
        else {
            return Err(CellProblem::Length);
        };
        self.skip_text();
        self.blobs.extend_from_slice(bytes);
        self.codes.extend_from_slice(&[BLOB, start, length]);
        Ok(())
    }

    /// Ends a row.
    pub fn end_row(&mut self) {
        self.codes[0] += 1;
        self.column = 0;
    }

    /// Says whether the chunk should be finished and another begun.
    pub fn is_full(&self) -> bool {
        self.text.len() >= CHUNK_BYTES
            || self.codes.len() >= CHUNK_CODES
            || self.blobs.len() >= CHUNK_BYTES
    }

    /// Gives what was packed as a chunk of its own; the packer can go on with the next.
    pub fn finish(&mut self) -> PackedRows {
        let chunk = std::mem::replace(
            self,
            Self {
                big_integers: self.big_integers,
                ..Self::new()
            },
        );
        PackedRows(chunk)
    }

    /// The texts of all cells, behind each other.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Says whether all texts are ASCII.
    pub(crate) fn is_ascii(&self) -> bool {
        self.is_ascii
    }

    /// The number of rows, then each cell's code.
    pub fn codes(&self) -> &[i32] {
        &self.codes
    }

    /// The bytes of all blobs, behind each other.
    pub fn blobs(&self) -> &[u8] {
        &self.blobs
    }
}

/// Compares texts, their ends first: those of a column often begin alike.
fn is_same(above: &[u8], text: &[u8]) -> bool {
    above.len() == text.len() && above.last_chunk::<8>() == text.last_chunk::<8>() && above == text
}

/// A chunk of packed rows. It becomes `[text, codes, blobs]`; without blobs the last is missing.
#[derive(Debug)]
pub struct PackedRows(RowPacker);

impl PackedRows {
    /// Gives back the packer with what it holds.
    pub fn into_packer(self) -> RowPacker {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes_of(push: impl Fn(&mut RowPacker) -> Result<(), CellProblem>) -> Vec<i32> {
        let mut packer = RowPacker::new();
        push(&mut packer).unwrap();
        packer.codes[1..].to_vec()
    }

    #[test]
    fn small_integers_take_one_code_and_others_three() {
        let of = |integer| codes_of(|packer| packer.push_integer(integer));
        assert_eq!(of(0), [SMALL]);
        assert_eq!(of(1), [SMALL - 1]);
        assert_eq!(of(i64::from(i32::MAX) - 8), [i32::MIN + 1]);
        assert_eq!(of(i64::from(i32::MAX) - 7), [INTEGER, i32::MAX - 7, 0]);
        assert_eq!(of(-1), [INTEGER, -1, 0]);
        assert_eq!(of(i64::from(i32::MIN)), [INTEGER, i32::MIN, 0]);
        for integer in [i64::from(i32::MAX) + 1, MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER] {
            let codes = of(integer);
            let bits = u64::from(codes[1] as u32) | u64::from(codes[2] as u32) << 32;
            assert_eq!((codes[0], f64::from_bits(bits)), (REAL, integer as f64));
        }
    }

    #[test]
    fn an_integer_that_no_number_holds_is_refused_unless_bigints_are_asked_for() {
        for integer in [MAX_SAFE_INTEGER + 1, -MAX_SAFE_INTEGER - 1, i64::MIN] {
            let mut packer = RowPacker::new();
            assert_eq!(packer.push_integer(integer), Err(CellProblem::Integer));
            packer.set_big_integers(true);
            packer.push_integer(integer).unwrap();
            assert_eq!(packer.codes[1], BIGINT);
            let bits = u64::from(packer.codes[2] as u32) | u64::from(packer.codes[3] as u32) << 32;
            assert_eq!(bits as i64, integer);
        }
    }

    #[test]
    fn ends_of_texts_count_utf16_units() {
        let mut packer = RowPacker::new();
        for text in ["abc", "", "ä€", "🎉", "\0"] {
            packer.push_text(text.as_bytes()).unwrap();
        }
        packer.end_row();
        assert_eq!(packer.codes, [1, 3, 3, 5, 7, 8]);
        assert!(!packer.is_ascii);
        assert_eq!(packer.text, "abcä€🎉\0".as_bytes());
    }

    #[test]
    fn a_text_like_the_one_above_is_not_said_again() {
        let mut packer = RowPacker::new();
        for row in [["ab", "x"], ["ab", "y"], ["ab", "y"], ["a", ""], ["a", ""]] {
            for text in row {
                packer.push_text(text.as_bytes()).unwrap();
            }
            packer.end_row();
        }
        packer.push_null();
        packer.push_text(b"z").unwrap();
        packer.end_row();
        packer.push_text(b"a").unwrap();
        packer.push_integer(1).unwrap();
        packer.end_row();
        packer.push_text(b"a").unwrap();
        packer.push_text(b"z").unwrap();
        packer.end_row();
        assert_eq!(
            packer.codes,
            [
                8,
                2,
                3,
                SAME,
                4,
                SAME,
                SAME,
                5,
                5,
                SAME,
                5,
                NULL,
                6,
                7,
                SMALL - 1,
                SAME,
                8
            ]
        );
        assert_eq!(packer.text, b"abxyazaz");
        let _ = packer.finish();
        packer.push_text(b"a").unwrap();
        assert_eq!(packer.codes, [0, 1], "the next chunk stands alone");
    }

    #[test]
    fn a_text_must_be_valid_utf8() {
        for bytes in [&b"\xff"[..], b"a\xc3", b"\xed\xa0\x80", b"\xc0\x80"] {
            assert_eq!(RowPacker::new().push_text(bytes), Err(CellProblem::Text));
        }
    }

    #[test]
    fn blobs_lie_behind_each_other() {
        let mut packer = RowPacker::new();
        for bytes in [&b"ab"[..], b"", b"c"] {
            packer.push_blob(bytes).unwrap();
        }
        assert_eq!(packer.codes[1..], [BLOB, 0, 2, BLOB, 2, 0, BLOB, 2, 1]);
        assert_eq!(packer.blobs, b"abc");
    }

    #[test]
    fn a_chunk_is_full_by_texts_codes_or_blobs_and_the_next_begins_empty() {
        let mut packer = RowPacker::new();
        packer.set_big_integers(true);
        assert!(packer.codes == [0] && !packer.is_full());
        packer.push_text(&[b'x'; CHUNK_BYTES]).unwrap();
        packer.end_row();
        assert!(packer.is_full());
        let chunk = packer.finish();
        assert_eq!(chunk.0.codes[0], 1);
        assert!(packer.codes == [0] && !packer.is_full());
        packer.push_text("é".as_bytes()).unwrap();
        assert_eq!(packer.codes, [0, 1]);
        packer.push_blob(&[0; CHUNK_BYTES]).unwrap();
        assert!(packer.is_full());
        packer.clear();
        packer.push_integer(1).unwrap();
        assert_eq!(packer.codes[1], BIGINT);
        for _ in 0..CHUNK_CODES {
            packer.push_null();
        }
        assert!(packer.is_full());
    }

    #[test]
    fn a_chunk_may_go_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<PackedRows>();
    }
}
