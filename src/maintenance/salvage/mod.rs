//! Owns getting the ledger's rows out of the pages of a damaged file.
//!
//! First each table's tree is walked from its root, page by page: SQLite itself gives up a whole
//! tree at the first damaged page, and merely opening the file with it would recover, and later
//! empty, the log. A part that cannot be reached leaves a range of lost rowids. Then every page
//! that no tree and no free list holds is read as a leaf; a row of it counts only when its
//! rowid is in a lost range and no index proves it deleted. Last, the entries of the key's index
//! whose rows are lost.
//!
//! Pure and safe on any bytes: it reads through [`Pages`] and gives rows to a [`Sink`], so that a
//! fuzzer can drive [`salvage`] and [`read_log`](super::wal_reader::read_log) alone.

mod page;
mod roots;
mod shape;
mod tree;

pub use self::page::{Pages, Value};
pub use self::roots::Roots;
pub use self::shape::Table;

use self::roots::{is_plausible, read_schema};
pub(crate) use self::shape::TABLES;
use self::tree::{
    Account, Ranges, Standing, look_up, loose_entries, loose_rows, set_free_pages_aside,
    walk_index, walk_table,
};
use std::collections::HashMap;

/// How a row was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Through its table's tree.
    Tree,
    /// On a page that no tree reached.
    Scan,
}

/// What takes the rows.
pub trait Sink {
    /// Takes a row, unless its rowid or key is taken already; says whether it did.
    fn row(&mut self, table: Table, rowid: i64, values: &[Value], source: Source) -> bool;
    /// Says whether a rowid is taken.
    fn has(&mut self, table: Table, rowid: i64) -> bool;
    /// Takes the key of a row that is lost, with what other indexes know of it.
    fn key(&mut self, table: Table, rowid: i64, key: &str, hints: &Hints);
    /// Hears how many pages are done of how many.
    fn progress(&mut self, _done: u32, _total: u32) {}
}

/// What indexes know of a row beside its key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Hints {
    /// Its chat.
    pub chat_id: Option<String>,
    /// Its service, or its status.
    pub kind: Option<String>,
}

/// What was found out about the file.
#[derive(Debug, Default)]
pub struct Findings {
    /// Whether the file's own schema, or at least its layout, was found.
    pub has_roots: bool,
    /// Whether the schema could be read.
    pub has_schema: bool,
    /// Whether the schema has a table of the ledger.
    pub is_ledger: bool,
    /// Pages that could not be read as what they should be.
    pub damaged_pages: u32,
    /// Tables that are no part of the ledger.
    pub other_tables: Vec<String>,
    /// The largest id that `upload_errors` has given away.
    pub last_error_id: i64,
}

/// Gives every row that can be found to `sink`.
///
/// `layouts` are roots to try when the file's schema is lost. It never panics, and its memory is
/// bounded by the size of the file, whatever the bytes are.
pub fn salvage(pages: &impl Pages, layouts: &[Roots], sink: &mut impl Sink) -> Findings {
    let mut findings = Findings::default();
    let mut account = Account::new(pages);
    let schema = read_schema(pages);
    findings.has_schema = schema.is_some();
    let roots = match schema {
        Some(schema) => {
            findings.other_tables = schema.other_tables;
            findings.is_ledger = schema.roots.contains_key(Table::Hashes.name());
            Some(schema.roots)
        }
        None => {
            account.damaged.insert(1);
            layouts
                .iter()
                .find(|layout| is_plausible(pages, layout))
                .cloned()
        }
    };
    findings.has_roots = roots.is_some();
    account.take(1);
    let roots = roots.unwrap_or_default();
    let total = pages.count();
    let mut lost = HashMap::new();
    let mut known: HashMap<Table, Samples> = HashMap::new();
    for (done, table) in (1..).zip(TABLES) {
        let samples = known.entry(table).or_default();
        let ranges = match roots.get(table.name()) {
            Some(root) => walk_table(
                pages,
                *root,
                &mut account,
                |values| table.holds(values),
                |rowid, values| {
                    sink.row(table, rowid, &values, Source::Tree);
                    samples.offer((rowid, values));
                },
            ),
            None => Ranges::everything(),
        };
        lost.insert(table, ranges);
        sink.progress(total / 12 * done, total);
    }
    walk_other_trees(pages, &roots, &mut account, &mut findings);
    if lost.values().any(|ranges| !ranges.is_empty()) {
        let indexes = Indexes {
            pages,
            roots: &roots,
            known: &known,
        };
        scan(&indexes, &lost, &mut account, sink);
        for table in TABLES {
            if let Some(ranges) = lost.get(&table).filter(|ranges| !ranges.is_empty()) {
                keep_keys(&indexes, table, ranges, &account, sink);
            }
        }
    }
    findings.damaged_pages = u32::try_from(account.damaged.len()).unwrap_or(u32::MAX);
    sink.progress(total, total);
    findings
}

/// Says whether a key is a SHA-256 in hexadecimal digits.
fn is_hash(key: &str) -> bool {
    key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How many rows an index is recognized by at most.
const SAMPLES: usize = 24;

/// A row with its rowid.
type Row = (i64, Vec<Value>);

/// Rows by which an index is recognized, from all over the table: neighbours may all stand in one
/// page of the index, which may be the lost one.
#[derive(Default)]
struct Samples {
    rows: Vec<Row>,
    seen: usize,
    /// Of so many rows one is kept, as a power of two.
    thinning: u32,
}

impl Samples {
    /// Looks at the next row of the table, and keeps some.
    fn offer(&mut self, row: Row) {
        if self.seen.is_multiple_of(1 << self.thinning) {
            if self.rows.len() == SAMPLES {
                let mut index = 0;
                self.rows.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.thinning += 1;
            }
            self.rows.push(row);
        }
        self.seen += 1;
    }
}

/// The indexes, none of which is believed before it knows the rows that its table surely has:
/// another tree may stand where it began.
struct Indexes<'file, P> {
    pages: &'file P,
    roots: &'file Roots,
    known: &'file HashMap<Table, Samples>,
}

impl<P: Pages> Indexes<'_, P> {
    /// The root of an index that knows its table's rows.
    fn trusted(&self, table: Table, index: Option<(&str, usize)>) -> Option<u32> {
        let (name, column) = index?;
        let root = *self.roots.get(name)?;
        let mut present = 0;
        for (rowid, values) in &self.known.get(&table)?.rows {
            let Some(key) = values.get(column).and_then(Value::text) else {
                continue;
            };
            match look_up(self.pages, Some(root), key, *rowid) {
                Standing::Present => present += 1,
                Standing::Absent => return None,
                Standing::Unknown => {}
            }
        }
        (present > 0).then_some(root)
    }

    /// The roots of all trusted indexes of a table, with the columns that they order.
    fn witnesses(&self, table: Table) -> Vec<(u32, usize)> {
        let [chats, kinds] = table.hint_indexes();
        [table.key_index(), chats, kinds]
            .into_iter()
            .filter_map(|index| Some((self.trusted(table, index)?, index?.1)))
            .collect()
    }

    /// The root of the key's index of a table of which no row is known: by the form of its keys.
    fn of_hashes(&self) -> Option<u32> {
        let (name, _) = Table::Hashes.key_index()?;
        let root = *self.roots.get(name)?;
        let (mut entries, mut hashes) = (0_u64, 0_u64);
        walk_index(self.pages, root, &mut Account::new(self.pages), |key, _| {
            entries += 1;
            hashes += u64::from(is_hash(key));
        });
        (entries > 0 && entries == hashes).then_some(root)
    }

    /// Reads all entries of an index.
    fn each_entry(&self, root: Option<u32>, mut emit: impl FnMut(&str, i64)) {
        if let Some(root) = root {
            // Its pages are accounted for already; here they are read again.
            walk_index(self.pages, root, &mut Account::new(self.pages), &mut emit);
        }
    }
}

/// Accounts for the pages of everything that is no table of ours.
fn walk_other_trees(
    pages: &impl Pages,
    roots: &Roots,
    account: &mut Account,
    findings: &mut Findings,
) {
    for (name, root) in roots {
        if TABLES.iter().any(|table| table.name() == name) {
            continue;
        }
        if name.starts_with("idx_") || name.starts_with("sqlite_autoindex_") {
            walk_index(pages, *root, account, |_, _| {});
        } else {
            walk_table(
                pages,
                *root,
                account,
                |_| true,
                |_, values| {
                    if name == "sqlite_sequence"
                        && let [table, last] = values.as_slice()
                        && table.text() == Some(Table::Errors.name())
                    {
                        findings.last_error_id = last.integer().unwrap_or(0);
                    }
                },
            );
        }
    }
}

/// Reads every page that nothing has accounted for as a leaf.
fn scan<P: Pages>(
    indexes: &Indexes<'_, P>,
    lost: &HashMap<Table, Ranges>,
    account: &mut Account,
    sink: &mut impl Sink,
) {
    let pages = indexes.pages;
    set_free_pages_aside(pages, account);
    let witnesses: HashMap<Table, Vec<(u32, usize)>> = TABLES
        .into_iter()
        .map(|table| (table, indexes.witnesses(table)))
        .collect();
    let total = pages.count();
    for number in 2..=total {
        if number % 64 == 0 {
            sink.progress(total / 2 + number / 2, total);
        }
        if !account.is_free(number) {
            continue;
        }
        for (table, rowid, values) in loose_rows(pages, number) {
            let is_wanted = lost
                .get(&table)
                .is_some_and(|ranges| ranges.contains(rowid))
                && !sink.has(table, rowid);
            let witnesses = witnesses.get(&table).map_or(&[][..], Vec::as_slice);
            if is_wanted && is_live(pages, witnesses, rowid, &values) {
                sink.row(table, rowid, &values, Source::Scan);
            }
        }
    }
}

/// Says whether a row that no tree reaches was there, and not deleted: by the first index that
/// knows. One that is known by none counts when there is none to ask, not when all those pages
/// happen to be damaged.
fn is_live(pages: &impl Pages, witnesses: &[(u32, usize)], rowid: i64, values: &[Value]) -> bool {
    let verdict = witnesses.iter().find_map(|(root, column)| {
        let key = values.get(*column).and_then(Value::text)?;
        match look_up(pages, Some(*root), key, rowid) {
            Standing::Present => Some(true),
            Standing::Absent => Some(false),
            Standing::Unknown => None,
        }
    });
    verdict.unwrap_or(witnesses.is_empty())
}

/// Gives the entries of the key's index whose rows are lost.
fn keep_keys<P: Pages>(
    indexes: &Indexes<'_, P>,
    table: Table,
    lost: &Ranges,
    account: &Account,
    sink: &mut impl Sink,
) {
    let pages = indexes.pages;
    let has_rows = indexes
        .known
        .get(&table)
        .is_some_and(|samples| !samples.rows.is_empty());
    let root = if table == Table::Hashes && !has_rows {
        indexes.of_hashes()
    } else {
        indexes.trusted(table, table.key_index())
    };
    let mut keys = Vec::new();
    indexes.each_entry(root, |key, rowid| {
        if lost.contains(rowid) && !sink.has(table, rowid) {
            keys.push((rowid, key.to_owned()));
        }
    });
    if table == Table::Hashes {
        // Pages of the index that it does not reach any more: known by the form of their keys.
        for number in (2..=pages.count()).filter(|number| account.is_free(*number)) {
            for (key, rowid) in loose_entries(pages, number) {
                let is_wanted = is_hash(&key) && lost.contains(rowid) && !sink.has(table, rowid);
                if is_wanted && look_up(pages, root, &key, rowid) != Standing::Absent {
                    keys.push((rowid, key));
                }
            }
        }
    }
    keys.sort_unstable();
    keys.dedup_by_key(|(rowid, _)| *rowid);
    let mut hints: HashMap<i64, Hints> = keys
        .iter()
        .map(|(rowid, _)| (*rowid, Hints::default()))
        .collect();
    let [chats, kinds] = table.hint_indexes();
    indexes.each_entry(indexes.trusted(table, chats), |key, rowid| {
        if let Some(hints) = hints.get_mut(&rowid) {
            hints.chat_id = Some(key.to_owned());
        }
    });
    indexes.each_entry(indexes.trusted(table, kinds), |key, rowid| {
        if let Some(hints) = hints.get_mut(&rowid) {
            hints.kind = Some(key.to_owned());
        }
    });
    for (rowid, key) in keys {
        sink.key(
            table,
            rowid,
            &key,
            &hints.remove(&rowid).unwrap_or_default(),
        );
    }
}
