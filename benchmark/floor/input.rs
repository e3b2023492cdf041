//! Owns the floor's inputs: those of `dataset.js`, made by the same generator. It knows no SQL.

use jiff::fmt::temporal::DateTimePrinter;

/// Where the indexes of files begin that are not in the file, and of those that never will be.
pub const NEW_FILES: u32 = 1_000_000;
pub const MISSING_FILES: u32 = 2_000_000;
pub const LARGE_CHATS: u32 = 20;
pub const SESSIONS: u32 = 1_000;
const CHATS: u32 = 1_000;

/// A file that is not in the database yet, as `fileRecord` of `dataset.js` makes it.
pub struct File {
    pub hash: String,
    pub path: String,
    pub name: String,
    pub size: u32,
    pub service: &'static str,
    pub upload_id: Option<String>,
    pub chat_id: String,
    pub uploaded_at: String,
}

impl File {
    pub fn new(seed: u32, index: u32) -> Self {
        let hash = hash_text(seed, index);
        let name = file_name(index);
        Self {
            path: file_path(&name),
            name,
            size: 20_000 + index.wrapping_mul(7_919) % 4_000_000,
            service: if index.is_multiple_of(4) {
                "drive"
            } else {
                "photos"
            },
            upload_id: (!index.is_multiple_of(10)).then(|| format!("upload-{}", &hash[..24])),
            chat_id: chat_id(index % CHATS),
            uploaded_at: format!(
                "2026-{:02}-{:02}T{:02}:{:02}:{:02}.000Z",
                1 + index / 86_400 / 28 % 12,
                1 + index / 86_400 % 28,
                index / 3_600 % 24,
                index / 60 % 60,
                index % 60
            ),
            hash,
        }
    }
}

pub fn chat_id(index: u32) -> String {
    format!("49151{index:08}@c.us")
}

pub fn session_id(index: u32) -> String {
    format!("00000000-0000-7000-8000-{index:012}")
}

pub fn file_name(index: u32) -> String {
    format!(
        "IMG-2026{:02}{:02}-WA{:04}.jpg",
        1 + index / 28 % 12,
        1 + index % 28,
        index % 10_000
    )
}

pub fn file_path(name: &str) -> String {
    format!("WhatsApp/Media/WhatsApp Images/{name}")
}

pub fn now() -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    PRINTER.timestamp_to_string(&jiff::Timestamp::now())
}

/// The generator of `random.js`, mulberry32: the same numbers from the same seed.
pub struct Random(pub u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x6D2B_79F5);
        let mut mixed = (self.0 ^ (self.0 >> 15)).wrapping_mul(self.0 | 1);
        mixed ^= mixed.wrapping_add((mixed ^ (mixed >> 7)).wrapping_mul(mixed | 61));
        mixed ^ (mixed >> 14)
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }
}

/// A file's hash: 64 hexadecimal digits from its index.
pub fn hash_text(seed: u32, index: u32) -> String {
    let mut random = Random(seed ^ index.wrapping_add(1).wrapping_mul(0x9E37_79B1));
    (0..8).map(|_| format!("{:08x}", random.next())).collect()
}
