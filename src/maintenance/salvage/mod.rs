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
    Account, Ranges, Standing, look_up, loose_rows, set_free_pages_aside, walk_index, walk_table,
};
use std::collections::{HashMap, HashSet};

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
/// bounded by the number of pages and one record, whatever the bytes are.
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
    for (done, table) in (1..).zip(TABLES) {
        let ranges = match roots.get(table.name()) {
            Some(root) => walk_table(
                pages,
                *root,
                &mut account,
                |values| table.holds(values),
                |rowid, values| {
                    sink.row(table, rowid, &values, Source::Tree);
                },
            ),
            None => Ranges::everything(),
        };
        lost.insert(table, ranges);
        sink.progress(total / 12 * done, total);
    }
    walk_other_trees(pages, &roots, &mut account, &mut findings);
    if lost.values().any(|ranges| !ranges.is_empty()) {
        scan(pages, &roots, &lost, &mut account, sink);
        for table in TABLES {
            if let Some(ranges) = lost.get(&table).filter(|ranges| !ranges.is_empty()) {
                keep_keys(pages, &roots, table, ranges, sink);
            }
        }
    }
    findings.damaged_pages = u32::try_from(account.damaged.len()).unwrap_or(u32::MAX);
    sink.progress(total, total);
    findings
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
fn scan(
    pages: &impl Pages,
    roots: &Roots,
    lost: &HashMap<Table, Ranges>,
    account: &mut Account,
    sink: &mut impl Sink,
) {
    set_free_pages_aside(pages, account);
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
            if is_wanted && standing(pages, roots, table, rowid, &values) != Standing::Absent {
                sink.row(table, rowid, &values, Source::Scan);
            }
        }
    }
}

/// Asks the index of a row's key whether the row is there.
fn standing(
    pages: &impl Pages,
    roots: &Roots,
    table: Table,
    rowid: i64,
    values: &[Value],
) -> Standing {
    let root = table
        .key_index()
        .and_then(|index| roots.get(index))
        .copied();
    match values.get(table.key_column()).and_then(Value::text) {
        Some(key) => look_up(pages, root, key, rowid),
        None => Standing::Unknown,
    }
}

/// Gives the entries of the key's index whose rows are lost.
fn keep_keys(pages: &impl Pages, roots: &Roots, table: Table, lost: &Ranges, sink: &mut impl Sink) {
    let entries =
        |index: Option<&str>, wanted: Option<&HashSet<i64>>, sink: &mut dyn FnMut(&str, i64)| {
            let Some(root) = index.and_then(|index| roots.get(index)) else {
                return;
            };
            // Pages are accounted for already; here they are read again.
            walk_index(pages, *root, &mut Account::new(pages), |key, rowid| {
                if wanted.is_none_or(|wanted| wanted.contains(&rowid)) {
                    sink(key, rowid);
                }
            });
        };
    let mut keys = Vec::new();
    entries(table.key_index(), None, &mut |key, rowid| {
        if lost.contains(rowid) && !sink.has(table, rowid) {
            keys.push((rowid, key.to_owned()));
        }
    });
    keys.sort_unstable();
    keys.dedup_by_key(|(rowid, _)| *rowid);
    let wanted: HashSet<i64> = keys.iter().map(|(rowid, _)| *rowid).collect();
    let (chats, kinds) = match table {
        Table::Hashes => (
            Some("idx_file_hashes_chat_id"),
            Some("idx_file_hashes_service"),
        ),
        Table::Sessions => (
            Some("idx_upload_sessions_chat_id"),
            Some("idx_upload_sessions_status"),
        ),
        _ => (None, None),
    };
    let mut hints: HashMap<i64, Hints> = HashMap::new();
    entries(chats, Some(&wanted), &mut |key, rowid| {
        hints.entry(rowid).or_default().chat_id = Some(key.to_owned());
    });
    entries(kinds, Some(&wanted), &mut |key, rowid| {
        hints.entry(rowid).or_default().kind = Some(key.to_owned());
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
