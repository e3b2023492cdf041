//! Owns what a fuzzer drives of what crosses to and from JavaScript: any codes that might come in, and any
//! cells that might go out. Each is compared with a model, which reads as the other side does.
//!
//! As `target.rs` does, it uses the crate alone.

use whatsapp_uploader_database::parsers::{CellProblem, PackedValue, PackedValues, RowPacker};
use whatsapp_uploader_database::{Error, MAX_SAFE_INTEGER};

const OTHER_KINDS: [&str; 5] = [
    "a boolean",
    "a symbol",
    "a function",
    "an object",
    "a bigint",
];

/// What a packer is said to have packed.
pub struct Packing {
    pub codes: Vec<i32>,
    pub blobs: Vec<u8>,
    /// JavaScript's string.
    pub units: Vec<u16>,
}

/// Takes a packing out of an input: how many codes there are, the codes, how many bytes the blobs have, the
/// blobs, and UTF-16.
pub fn packing_of(input: &[u8]) -> Packing {
    let (count, rest) = input.split_first().unwrap_or((&0, &[]));
    let (codes, rest) = rest.split_at(rest.len().min(4 * usize::from(*count)));
    let (length, rest) = rest.split_first().unwrap_or((&0, &[]));
    let (blobs, text) = rest.split_at(rest.len().min(usize::from(*length)));
    let code = |code: &[u8]| i32::from_be_bytes([code[0], code[1], code[2], code[3]]);
    let unit = |unit: &[u8]| u16::from_be_bytes([unit[0], unit[1]]);
    Packing {
        codes: codes.chunks_exact(4).map(code).collect(),
        blobs: blobs.to_vec(),
        units: text.chunks_exact(2).map(unit).collect(),
    }
}

/// Reads packed values.
pub fn values(input: &[u8]) {
    let packing = packing_of(input);
    let Packing {
        codes,
        blobs,
        units,
    } = &packing;
    // V8's UTF-8 has U+FFFD in place of a lone surrogate, too.
    let text = String::from_utf16_lossy(units);
    let read = PackedValues::from_packed(text, codes.clone(), blobs.clone(), || {
        Ok::<_, Error>(units.clone())
    })
    .and_then(|packed| {
        let mut values = packed.iter();
        let mut taken = Vec::new();
        while !values.is_empty() {
            taken.push(format!("{:?}", values.take()?));
        }
        Ok(taken)
    });
    assert_eq!(read.ok(), expect_values(&packing), "other values");
}

/// What a packing holds; nothing when no packer makes it.
fn expect_values(packing: &Packing) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut codes = packing.codes.iter().copied();
    let mut start = 0;
    while let Some(code) = codes.next() {
        let text;
        let value = match code {
            0.. => {
                let end = code as usize;
                let units = packing.units.get(start..end)?;
                start = end;
                match String::from_utf16(units) {
                    Ok(whole) => {
                        text = whole;
                        PackedValue::Text(&text)
                    }
                    Err(_) => PackedValue::Torn,
                }
            }
            ..=-8 => PackedValue::Number((-8 - i64::from(code)) as f64),
            -1 => PackedValue::Null,
            -2 => PackedValue::Torn,
            -7 => PackedValue::Undefined,
            _ => {
                let (low, high) = (codes.next()? as u32, codes.next()? as u32);
                let bits = u64::from(high) << 32 | u64::from(low);
                let (start, length) = (low as usize, high as usize);
                match code {
                    -3 => PackedValue::Number(f64::from_bits(bits)),
                    -4 => PackedValue::Integer(bits as i64),
                    -5 => PackedValue::Blob(packing.blobs.get(start..start + length)?),
                    _ => PackedValue::Other(OTHER_KINDS.get(start)?),
                }
            }
        };
        values.push(format!("{value:?}"));
    }
    Some(values)
}

/// What a cell is to become in JavaScript.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    /// A number's bits.
    Number(u64),
    Bigint(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// A cell that SQLite might hold.
pub enum Given {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
    /// The text that the same column has in the row above, or one that begins otherwise.
    Above {
        begins_otherwise: bool,
    },
}

/// Takes cells out of an input: of each its kind, then eight bytes, or a length and as many bytes.
pub fn cells_of(mut input: &[u8]) -> Vec<Given> {
    let mut cells = Vec::new();
    while let [kind, size, rest @ ..] = input {
        let size = usize::from(*size);
        let is_number = matches!(kind % 8, 1 | 2);
        let length = if is_number { 8 } else { size % 64 };
        let (part, behind) = rest.split_at(rest.len().min(length));
        input = behind;
        let mut number = [0; 8];
        number[..part.len().min(8)].copy_from_slice(&part[..part.len().min(8)]);
        // Few bits make small numbers as likely as large ones.
        let bits = u64::from_be_bytes(number);
        cells.push(match kind % 8 {
            0 => Given::Null,
            1 => Given::Integer(bits as i64 >> (size % 64)),
            2 => Given::Real(f64::from_bits(bits)),
            3 | 4 => Given::Text(part.to_vec()),
            // Chunks become full.
            5 => Given::Text(part.repeat(64)),
            6 => Given::Blob(part.repeat(1 + size / 64)),
            _ => Given::Above {
                begins_otherwise: size >= 128,
            },
        });
    }
    cells
}

/// Packs rows: one byte for how many columns there are, and whether integers become bigints, then cells.
pub fn rows(input: &[u8]) {
    let Some((kind, cells)) = input.split_first() else {
        return;
    };
    let columns = 1 + usize::from(kind & 7);
    let bigints = kind & 8 != 0;
    let mut packer = RowPacker::new();
    packer.set_big_integers(bigints);
    let mut expected: Vec<Cell> = Vec::new();
    for given in cells_of(cells) {
        let row_begins = expected.len().is_multiple_of(columns);
        if row_begins && packer.is_full() {
            expect_chunk(packer.finish().into_packer(), columns, &expected);
            expected.clear();
        }
        let above = expected
            .len()
            .checked_sub(columns)
            .map_or(Cell::Null, |index| expected[index].clone());
        let Some(cell) = push(&mut packer, given, above, bigints) else {
            // The call has failed.
            packer.clear();
            expected.clear();
            continue;
        };
        expected.push(cell);
        if expected.len().is_multiple_of(columns) {
            packer.end_row();
        }
    }
    if expected.len().is_multiple_of(columns) {
        expect_chunk(packer, columns, &expected);
    }
}

/// Packs a cell; nothing when it is refused, and rightly.
fn push(packer: &mut RowPacker, given: Given, above: Cell, bigints: bool) -> Option<Cell> {
    let (pushed, problem, cell) = match given {
        Given::Null => {
            packer.push_null();
            return Some(Cell::Null);
        }
        Given::Integer(integer) => (
            packer.push_integer(integer),
            CellProblem::Integer,
            if bigints {
                Some(Cell::Bigint(integer))
            } else {
                (integer.unsigned_abs() <= MAX_SAFE_INTEGER as u64)
                    .then(|| Cell::Number((integer as f64).to_bits()))
            },
        ),
        Given::Real(real) => {
            packer.push_real(real);
            return Some(Cell::Number(real.to_bits()));
        }
        Given::Text(text) => (
            packer.push_text(&text),
            CellProblem::Text,
            String::from_utf8(text).ok().map(Cell::Text),
        ),
        Given::Blob(bytes) => (
            packer.push_blob(&bytes),
            CellProblem::Length,
            Some(Cell::Blob(bytes)),
        ),
        Given::Above { begins_otherwise } => {
            let mut text = match above {
                Cell::Text(text) => text,
                _ => String::new(),
            };
            if let (true, Some(first)) = (begins_otherwise, text.chars().next()) {
                text.replace_range(..first.len_utf8(), "x");
            }
            let pushed = packer.push_text(text.as_bytes());
            (pushed, CellProblem::Text, Some(Cell::Text(text)))
        }
    };
    let is_refused = pushed.err();
    assert_eq!(is_refused, cell.is_none().then_some(problem));
    cell
}

/// Decodes a chunk as `lib/rows.js` does.
fn expect_chunk(packer: RowPacker, columns: usize, expected: &[Cell]) {
    let text = std::str::from_utf8(packer.text()).expect("the texts are UTF-8");
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut codes = packer.codes().iter().copied();
    let mut next = || codes.next().expect("a code for each cell");
    assert_eq!(next() as usize, expected.len() / columns, "other rows");
    let mut start = 0;
    let mut row = vec![Cell::Null; columns];
    for (index, expected) in expected.iter().enumerate() {
        let cell = &mut row[index % columns];
        let code = next();
        match code {
            0.. => {
                let end = code as usize;
                let part = String::from_utf16(&units[start..end]);
                *cell = Cell::Text(part.expect("no text ends within a character"));
                start = end;
            }
            ..=-8 => *cell = Cell::Number((-8.0 - f64::from(code)).to_bits()),
            -1 => *cell = Cell::Null,
            -6 => assert!(matches!(cell, Cell::Text(_)), "no text is above"),
            _ => {
                let (low, high) = (next(), next());
                let bits = u64::from(high as u32) << 32 | u64::from(low as u32);
                *cell = match code {
                    -2 => Cell::Number(f64::from(low).to_bits()),
                    -3 => Cell::Number(bits),
                    -4 => Cell::Bigint(bits as i64),
                    -5 => Cell::Blob(packer.blobs()[low as usize..][..high as usize].to_vec()),
                    _ => panic!("no code: {code}"),
                };
            }
        }
        assert_eq!(cell, expected, "another cell");
    }
    assert_eq!(codes.next(), None, "more codes than cells");
    assert_eq!(start, units.len(), "more text than cells");
}
