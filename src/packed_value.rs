//! Owns reading many values that JavaScript packed for one crossing: all texts as one string, and
//! Int32 codes that say where each text ends or what else a value is.
//!
//! `lib/packer.js` is the only packer, and both name the same numbers, those of `packed_row.rs` and
//! two more:
//!
//! - a code from 0 up is a text's end in the string, in UTF-16 units; it begins where the last
//!   text ended;
//! - [`NULL`] is null, [`UNDEFINED`] undefined; at [`SMALL`] and below is the integer
//!   `SMALL - code`;
//! - any other code is followed by two more: [`REAL`] and [`BIGINT`] by the low and the high half
//!   of a double or a 64-bit integer, [`BLOB`] by where the bytes begin among the blobs and how
//!   many they are, [`OTHER`] by the kind of a value that nothing can store, and 0.
//!
//! It knows no values of JavaScript's; `node/packed_field.rs` takes the string and the arrays out of them.

use crate::error::{Error, Result};

const NULL: i32 = -1;
/// A text with a lone surrogate; found out here, never packed.
const TORN: i32 = -2;
const REAL: i32 = -3;
const BIGINT: i32 = -4;
const BLOB: i32 = -5;
const OTHER: i32 = -6;
const UNDEFINED: i32 = -7;
const SMALL: i32 = -8;

/// What a value is that nothing can store, in the order of `lib/packer.js`.
const OTHER_KINDS: [&str; 5] = [
    "a boolean",
    "a symbol",
    "a function",
    "an object",
    "a bigint",
];

/// A packed value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PackedValue<'a> {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// A number.
    Number(f64),
    /// A bigint of 64 bits.
    Integer(i64),
    /// A string.
    Text(&'a str),
    /// A Uint8Array.
    Blob(&'a [u8]),
    /// A text with a lone surrogate, which has no UTF-8 form.
    Torn,
    /// Anything else, called by its kind.
    Other(&'static str),
}

impl PackedValue<'_> {
    /// Names its kind for people.
    pub(crate) fn kind_name(self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Null => "null",
            Self::Number(_) => "a number",
            Self::Integer(_) => "a bigint",
            Self::Text(_) | Self::Torn => "a string",
            Self::Blob(_) => "an object",
            Self::Other(kind) => kind,
        }
    }
}

/// Many packed values.
#[derive(Debug, Default)]
pub struct PackedValues {
    text: String,
    /// As packed, but for texts' ends, which count bytes here.
    codes: Vec<i32>,
    blobs: Vec<u8>,
}

impl PackedValues {
    /// Takes what a packer packed; a text that may not be what was packed (V8 gives a lone surrogate as
    /// U+FFFD) is asked for again, as JavaScript has it.
    ///
    /// # Errors
    ///
    /// Codes that no packer makes, and whatever `read_units` fails with.
    pub fn from_packed<E: From<Error>>(
        text: String,
        codes: Vec<i32>,
        blobs: Vec<u8>,
        read_units: impl FnOnce() -> std::result::Result<Vec<u16>, E>,
    ) -> std::result::Result<Self, E> {
        let mut values = Self { text, codes, blobs };
        if values.count_bytes()? {
            return Ok(values);
        }
        let units = read_units()?;
        Ok(Self::from_utf16(&units, values.codes, values.blobs)?)
    }

    /// Makes texts' ends count bytes of the text that V8 gave.
    ///
    /// The answer is false, and nothing changed, when that may not be what was packed: V8 writes
    /// U+FFFD for a lone surrogate, and two of them, next to each other in different texts,
    /// become a pair.
    fn count_bytes(&mut self) -> Result<bool> {
        if self.text.is_ascii() {
            return Ok(true);
        }
        let ends = byte_ends(&self.text, &self.codes)?;
        let is_whole = ends.is_some();
        if let Some(ends) = ends {
            self.codes = ends;
        }
        Ok(is_whole)
    }

    /// Takes a text as JavaScript has it, and finds the texts that have no UTF-8 form.
    fn from_utf16(units: &[u16], mut codes: Vec<i32>, blobs: Vec<u8>) -> Result<Self> {
        let mut text = String::with_capacity(units.len());
        let mut start = 0;
        for index in text_codes(&codes) {
            let end = codes[index] as usize;
            let units = units.get(start..end).ok_or_else(malformed)?;
            start = end;
            codes[index] = match String::from_utf16(units) {
                Ok(part) => {
                    text.push_str(&part);
                    i32::try_from(text.len()).map_err(|_| malformed())?
                }
                Err(_) => TORN,
            };
        }
        Ok(Self { text, codes, blobs })
    }

    /// Goes through the values, in their order.
    pub fn iter(&self) -> Values<'_> {
        Values {
            packed: self,
            next: 0,
            start: 0,
        }
    }
}

/// Makes texts' ends count bytes; the answer is nothing when a text may not be well formed.
fn byte_ends(text: &str, codes: &[i32]) -> Result<Option<Vec<i32>>> {
    if text.contains('\u{fffd}') {
        return Ok(None);
    }
    let mut ends = codes.to_vec();
    let mut characters = text.chars();
    let (mut unit, mut byte) = (0, 0);
    for index in text_codes(codes) {
        let end = codes[index] as usize;
        while unit < end {
            let character = characters.next().ok_or_else(malformed)?;
            unit += character.len_utf16();
            byte += character.len_utf8();
        }
        if unit > end {
            return Ok(None);
        }
        ends[index] = i32::try_from(byte).map_err(|_| malformed())?;
    }
    Ok(Some(ends))
}

/// Finds the codes that are ends of texts.
fn text_codes(codes: &[i32]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut index = 0;
    while let Some(code) = codes.get(index) {
        if *code >= 0 {
            found.push(index);
        }
        index += if is_wide(*code) { 3 } else { 1 };
    }
    found
}

fn is_wide(code: i32) -> bool {
    matches!(code, REAL | BIGINT | BLOB | OTHER)
}

pub(crate) fn malformed() -> Error {
    Error::Internal("packed values are malformed".into())
}

/// An iterator over packed values.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    packed: &'a PackedValues,
    /// The index of the next code.
    next: usize,
    /// Where the next text begins.
    start: usize,
}

impl<'a> Values<'a> {
    /// Says whether all values were taken.
    pub fn is_empty(&self) -> bool {
        self.next >= self.packed.codes.len()
    }

    /// Takes the next value, which must be there: values come in groups of a known size.
    ///
    /// # Errors
    ///
    /// There is none, or no packer makes it.
    pub fn take(&mut self) -> Result<PackedValue<'a>> {
        let code = self.code()?;
        Ok(match code {
            0.. => {
                let end = code as usize;
                let text = self.packed.text.get(self.start..end);
                self.start = end;
                PackedValue::Text(text.ok_or_else(malformed)?)
            }
            ..=SMALL => PackedValue::Number(f64::from(SMALL) - f64::from(code)),
            NULL => PackedValue::Null,
            UNDEFINED => PackedValue::Undefined,
            TORN => PackedValue::Torn,
            _ => {
                let (low, high) = (self.code()? as u32, self.code()? as u32);
                self.wide(code, low, high)?
            }
        })
    }

    fn code(&mut self) -> Result<i32> {
        let code = self.packed.codes.get(self.next).ok_or_else(malformed)?;
        self.next += 1;
        Ok(*code)
    }

    fn wide(&self, marker: i32, low: u32, high: u32) -> Result<PackedValue<'a>> {
        let bits = u64::from(low) | (u64::from(high) << 32);
        match marker {
            REAL => Ok(PackedValue::Number(f64::from_bits(bits))),
            BIGINT => Ok(PackedValue::Integer(bits as i64)),
            BLOB => {
                let (start, length) = (low as usize, high as usize);
                let bytes = self.packed.blobs.get(start..).ok_or_else(malformed)?;
                let bytes = bytes.get(..length).ok_or_else(malformed)?;
                Ok(PackedValue::Blob(bytes))
            }
            OTHER => {
                let kind = OTHER_KINDS.get(low as usize).ok_or_else(malformed)?;
                Ok(PackedValue::Other(kind))
            }
            _ => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(packed: &PackedValues) -> Vec<PackedValue<'_>> {
        let mut values = packed.iter();
        let mut all = Vec::new();
        while !values.is_empty() {
            all.push(values.take().unwrap());
        }
        all
    }

    fn from_utf8(text: &str, codes: &[i32]) -> Option<PackedValues> {
        let mut packed = PackedValues {
            text: text.into(),
            codes: codes.to_vec(),
            blobs: b"xyz".to_vec(),
        };
        packed.count_bytes().unwrap().then_some(packed)
    }

    #[test]
    fn every_code_is_read() {
        let bits = (-1.5f64).to_bits();
        let (low, high) = (bits as u32 as i32, (bits >> 32) as u32 as i32);
        let codes = [
            2,
            2,
            NULL,
            UNDEFINED,
            SMALL,
            SMALL - 7,
            i32::MIN,
            REAL,
            low,
            high,
            BIGINT,
            -1,
            -1,
            BLOB,
            1,
            2,
            OTHER,
            3,
            0,
            3,
        ];
        let packed = from_utf8("abc", &codes).unwrap();
        assert_eq!(
            values(&packed),
            [
                PackedValue::Text("ab"),
                PackedValue::Text(""),
                PackedValue::Null,
                PackedValue::Undefined,
                PackedValue::Number(0.0),
                PackedValue::Number(7.0),
                PackedValue::Number(2_147_483_640.0),
                PackedValue::Number(-1.5),
                PackedValue::Integer(-1),
                PackedValue::Blob(b"yz"),
                PackedValue::Other("an object"),
                PackedValue::Text("c"),
            ]
        );
    }

    #[test]
    fn ends_count_units_and_a_double_may_look_like_an_end() {
        let packed = from_utf8("ä€🎉\0z", &[1, REAL, 1, 2, 2, 4, 5, 6]).unwrap();
        let texts: Vec<_> = values(&packed)
            .into_iter()
            .filter_map(|value| match value {
                PackedValue::Text(text) => Some(text),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["ä", "€", "🎉", "\0", "z"]);
    }

    #[test]
    fn a_text_with_a_lone_surrogate_is_found_alone() {
        // V8 would join the halves of two neighbours, and write U+FFFD for the third.
        assert!(from_utf8("a🎉", &[2, 3]).is_none());
        assert!(from_utf8("\u{fffd}", &[1]).is_none());
        let units: Vec<u16> = [&[0x61, 0xd83c][..], &[0xdf89], &[0xfffd], &[0x62]].concat();
        let packed = PackedValues::from_utf16(&units, vec![2, 3, 4, 5], Vec::new()).unwrap();
        assert_eq!(
            values(&packed),
            [
                PackedValue::Torn,
                PackedValue::Torn,
                PackedValue::Text("\u{fffd}"),
                PackedValue::Text("b")
            ]
        );
    }

    #[test]
    fn what_no_packer_makes_is_an_error_and_no_panic() {
        for codes in [
            &[4][..],
            &[2, 1],
            &[REAL],
            &[BLOB, 2, 9],
            &[BLOB, -1, -1],
            &[OTHER, 9, 0],
        ] {
            let packed = from_utf8("abc", codes).unwrap();
            let mut values = packed.iter();
            let mut outcome = Ok(PackedValue::Null);
            while outcome.is_ok() && !values.is_empty() {
                outcome = values.take();
            }
            assert!(outcome.is_err(), "{codes:?}");
        }
        assert!(PackedValues::default().iter().take().is_err());
        assert!(byte_ends("é", &[3]).is_err());
        assert!(PackedValues::from_utf16(&[0x61], vec![2], Vec::new()).is_err());
    }
}
