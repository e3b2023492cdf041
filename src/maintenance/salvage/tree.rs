//! Owns walking b-trees: which rows a table's tree reaches, which ranges of rowids it has lost,
//! and whether an index proves that a row is there or not.

use super::page::{Kind, Page, Pages, Value, long};
use super::shape::Table;
use std::cmp::Ordering;
use std::collections::HashSet;

/// SQLite's own trees are never this deep.
const MAX_DEPTH: usize = 20;

/// Ranges of rowids, both ends included.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    pub(super) fn everything() -> Self {
        Self(vec![(i64::MIN, i64::MAX)])
    }

    fn add(&mut self, low: i64, high: i64) {
        if low <= high {
            self.0.push((low, high));
        }
    }

    /// Makes [`contains`](Self::contains) possible.
    fn settle(&mut self) {
        self.0.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::new();
        for &(low, high) in &self.0 {
            match merged.last_mut() {
                Some(last) if low <= last.1 => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        self.0 = merged;
    }

    pub(super) fn contains(&self, rowid: i64) -> bool {
        let after = self.0.partition_point(|(low, _)| *low <= rowid);
        after > 0
            && self
                .0
                .get(after - 1)
                .is_some_and(|(_, high)| rowid <= *high)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Which pages have been accounted for, and which were found damaged.
pub(super) struct Account {
    seen: Vec<bool>,
    pub(super) damaged: HashSet<u32>,
}

impl Account {
    pub(super) fn new(pages: &impl Pages) -> Self {
        Self {
            seen: vec![false; pages.count() as usize + 1],
            damaged: HashSet::new(),
        }
    }

    /// Says whether this is a page of the file that is met for the first time, and remembers it.
    pub(super) fn take(&mut self, page: u32) -> bool {
        match self.seen.get_mut(page as usize) {
            Some(seen) if page > 0 && !*seen => {
                *seen = true;
                true
            }
            _ => false,
        }
    }

    pub(super) fn is_free(&self, page: u32) -> bool {
        self.seen.get(page as usize) == Some(&false)
    }
}

/// Walks a table's tree from its root: `emit` gets each row of a page that fits its place.
///
/// Returns the ranges of rowids that could not be reached. A page that is no page, or whose rowids
/// do not belong where it stands, is left for the scan: its rows may be another place's.
pub(super) fn walk_table(
    pages: &impl Pages,
    root: u32,
    account: &mut Account,
    holds: impl Fn(&[Value]) -> bool,
    mut emit: impl FnMut(i64, Vec<Value>),
) -> Ranges {
    let mut lost = Ranges::default();
    let mut stack = vec![(root, i64::MIN, i64::MAX, 0)];
    while let Some((number, low, high, depth)) = stack.pop() {
        if depth > MAX_DEPTH || !account.is_free(number) {
            lost.add(low, high);
            continue;
        }
        let Some(page) = Page::read(pages, number) else {
            account.damaged.insert(number);
            lost.add(low, high);
            continue;
        };
        match page.kind {
            Kind::TableInterior => {
                let Some(children) = children_within(&page, low, high) else {
                    account.damaged.insert(number);
                    lost.add(low, high);
                    continue;
                };
                account.take(number);
                stack.extend(
                    children
                        .into_iter()
                        .map(|(child, low, high)| (child, low, high, depth + 1)),
                );
            }
            Kind::TableLeaf => {
                let Some((rows, is_whole)) = leaf_rows(&page, pages, low, high, &holds) else {
                    account.damaged.insert(number);
                    lost.add(low, high);
                    continue;
                };
                account.take(number);
                if !is_whole {
                    account.damaged.insert(number);
                    lost.add(low, high);
                }
                for (rowid, values) in rows {
                    emit(rowid, values);
                }
            }
            _ => {
                account.damaged.insert(number);
                lost.add(low, high);
            }
        }
    }
    lost.settle();
    lost
}

/// The children of an interior page with the rowids below each, unless they do not fit together.
fn children_within(page: &Page, low: i64, high: i64) -> Option<Vec<(u32, i64, i64)>> {
    let mut children = Vec::new();
    let mut from = low;
    for (child, largest) in page.children()? {
        if largest < from || largest > high {
            return None;
        }
        children.push((child, from, largest));
        from = largest.checked_add(1)?;
    }
    children.push((page.right(), from, high));
    Some(children)
}

/// The rows of a leaf that is where it belongs, and whether all could be read.
///
/// Nothing when no cell is a row, or rowids are out of order or place.
#[allow(clippy::type_complexity)]
fn leaf_rows(
    page: &Page,
    pages: &impl Pages,
    low: i64,
    high: i64,
    holds: impl Fn(&[Value]) -> bool,
) -> Option<(Vec<(i64, Vec<Value>)>, bool)> {
    let mut rows: Vec<(i64, Vec<Value>)> = Vec::new();
    let mut is_whole = true;
    for index in 0..page.len() {
        match page.cell(index, pages) {
            Some(cell) if holds(&cell.values) => {
                let is_ordered = rows.last().is_none_or(|(last, _)| *last < cell.rowid);
                if !is_ordered || !(low..=high).contains(&cell.rowid) {
                    return None;
                }
                rows.push((cell.rowid, cell.values));
            }
            _ => is_whole = false,
        }
    }
    (is_whole || !rows.is_empty()).then_some((rows, is_whole))
}

/// Gives what a leaf holds, whatever its place: for pages that no tree reaches.
pub(super) fn loose_rows(
    pages: &impl Pages,
    number: u32,
) -> impl Iterator<Item = (Table, i64, Vec<Value>)> {
    let page = Page::read(pages, number).filter(|page| page.kind == Kind::TableLeaf);
    let mut rows = Vec::new();
    if let Some(page) = page {
        for index in 0..page.len() {
            if let Some(cell) = page.cell(index, pages)
                && let Some(table) = Table::of(cell.rowid, &cell.values)
            {
                rows.push((table, cell.rowid, cell.values));
            }
        }
    }
    rows.into_iter()
}

/// Marks what the free list holds as accounted for: those pages keep the rows that were deleted.
///
/// Found by their form instead of through the header alone, which may be lost: a trunk begins with
/// the next one's number and a count, and then has the numbers of free pages
/// (<https://www.sqlite.org/fileformat2.html#the_freelist>). Call it after the trees' pages are
/// taken: those win.
pub(super) fn set_free_pages_aside(pages: &impl Pages, account: &mut Account) {
    let mut bytes = vec![0; pages.page_bytes()];
    for number in 2..=pages.count() {
        if !account.is_free(number) || !pages.read(number, &mut bytes) {
            continue;
        }
        let (Some(next), Some(count)) = (long(&bytes, 0), long(&bytes, 4)) else {
            continue;
        };
        let places = (bytes.len() - pages.reserved_bytes().min(bytes.len())) / 4;
        if next > pages.count() || count == 0 || count as usize > places.saturating_sub(2) {
            continue;
        }
        let free: Option<Vec<u32>> = (0..count as usize)
            .map(|index| long(&bytes, 8 + 4 * index))
            .map(|page| page.filter(|page| (2..=pages.count()).contains(page)))
            .collect();
        if let Some(free) = free {
            account.take(number);
            for page in free {
                account.take(page);
            }
        }
    }
}

/// What an index says about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has the row's entry.
    Present,
    /// It has none, where it would have to stand.
    Absent,
    /// The page where it would stand is damaged, or there is no index.
    Unknown,
}

type Key = (String, i64);

fn order(left: &Key, right: &Key) -> Ordering {
    left.0
        .as_bytes()
        .cmp(right.0.as_bytes())
        .then(left.1.cmp(&right.1))
}

/// The entries of an index's page with the children before each, when they are in order and
/// within bounds.
fn entries(
    page: &Page,
    pages: &impl Pages,
    low: Option<&Key>,
    high: Option<&Key>,
) -> Option<Vec<(u32, Key)>> {
    let mut entries: Vec<(u32, Key)> = Vec::with_capacity(page.len());
    for index in 0..page.len() {
        let cell = page.cell(index, pages)?;
        let [key, rowid] = cell.values.as_slice() else {
            return None;
        };
        // A key that is NULL sorts before every text.
        let key = match key {
            Value::Null => String::new(),
            other => other.text()?.to_owned(),
        };
        let entry = (key, rowid.integer()?);
        let before = entries.last().map(|(_, key)| key).or(low);
        if before.is_some_and(|before| order(before, &entry).is_ge()) {
            return None;
        }
        entries.push((cell.child, entry));
    }
    if let (Some((_, last)), Some(high)) = (entries.last(), high)
        && order(last, high).is_ge()
    {
        return None;
    }
    Some(entries)
}

/// Looks a row up in an index of one text column.
pub(super) fn look_up(pages: &impl Pages, root: Option<u32>, key: &str, rowid: i64) -> Standing {
    let wanted = (key.to_owned(), rowid);
    let (mut low, mut high): (Option<Key>, Option<Key>) = (None, None);
    let Some(mut number) = root else {
        return Standing::Unknown;
    };
    for _ in 0..MAX_DEPTH {
        let Some(page) = Page::read(pages, number) else {
            return Standing::Unknown;
        };
        let is_leaf = page.kind == Kind::IndexLeaf;
        if !is_leaf && page.kind != Kind::IndexInterior {
            return Standing::Unknown;
        }
        let Some(entries) = entries(&page, pages, low.as_ref(), high.as_ref()) else {
            return Standing::Unknown;
        };
        match entries.binary_search_by(|(_, entry)| order(entry, &wanted)) {
            Ok(_) => return Standing::Present,
            Err(_) if is_leaf => return Standing::Absent,
            Err(at) => {
                number = entries.get(at).map_or(page.right(), |(child, _)| *child);
                if let Some(before) = at.checked_sub(1).and_then(|at| entries.get(at)) {
                    low = Some(before.1.clone());
                }
                if let Some(after) = entries.get(at) {
                    high = Some(after.1.clone());
                }
            }
        }
    }
    Standing::Unknown
}

/// Walks an index of one text column; `emit` gets each entry of the pages that can be read.
pub(super) fn walk_index(
    pages: &impl Pages,
    root: u32,
    account: &mut Account,
    mut emit: impl FnMut(&str, i64),
) {
    let mut stack = vec![(root, None::<Key>, None::<Key>, 0)];
    let mut visited = HashSet::new();
    while let Some((number, low, high, depth)) = stack.pop() {
        if depth > MAX_DEPTH || !visited.insert(number) {
            continue;
        }
        let page = Page::read(pages, number)
            .filter(|page| matches!(page.kind, Kind::IndexLeaf | Kind::IndexInterior));
        let Some((page, entries)) = page.and_then(|page| {
            let entries = entries(&page, pages, low.as_ref(), high.as_ref())?;
            Some((page, entries))
        }) else {
            account.damaged.insert(number);
            continue;
        };
        account.take(number);
        let is_interior = page.kind == Kind::IndexInterior;
        let mut before = low;
        for (child, entry) in entries {
            emit(&entry.0, entry.1);
            if is_interior {
                stack.push((child, before, Some(entry.clone()), depth + 1));
                before = Some(entry);
            }
        }
        if is_interior {
            stack.push((page.right(), before, high, depth + 1));
        }
    }
}

/// Gives the entries of an index's page that no tree reaches, whatever its place.
pub(super) fn loose_entries(pages: &impl Pages, number: u32) -> Vec<(String, i64)> {
    Page::read(pages, number)
        .filter(|page| matches!(page.kind, Kind::IndexLeaf | Kind::IndexInterior))
        .and_then(|page| entries(&page, pages, None, None))
        .unwrap_or_default()
        .into_iter()
        .map(|(_, entry)| entry)
        .collect()
}
