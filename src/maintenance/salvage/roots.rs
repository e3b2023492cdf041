//! Owns finding where each table's and index's tree begins: by the file's own schema or, when its
//! first page is lost, by how a ledger's file is laid out.

use super::page::{Kind, Page, Pages, Value};
use super::shape::TABLES;
use super::tree::{Account, walk_table};
use std::collections::HashMap;

/// The root page of each table and index, by name.
pub type Roots = HashMap<String, u32>;

/// What a file's schema says.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) roots: Roots,
    /// Tables that are no part of schema version 1.
    pub(super) other_tables: Vec<String>,
}

/// Reads the schema from the first page on.
pub(super) fn read_schema(pages: &impl Pages) -> Option<Schema> {
    let mut schema = Schema::default();
    let mut account = Account::new(pages);
    let holds = |values: &[Value]| values.len() == 5 && values[0].text().is_some();
    let lost = walk_table(pages, 1, &mut account, holds, |_, values| {
        let [kind, name, _, root, _] = values.as_slice() else {
            return;
        };
        let (Some(kind), Some(name), Some(root)) = (kind.text(), name.text(), root.integer())
        else {
            return;
        };
        let Ok(root) = u32::try_from(root) else {
            return;
        };
        let is_ours = TABLES.iter().any(|table| table.name() == name);
        if kind == "table" && !is_ours && !name.starts_with("sqlite_") {
            schema.other_tables.push(name.to_owned());
        }
        schema.roots.insert(name.to_owned(), root);
    });
    (lost.is_empty() && !schema.roots.is_empty()).then_some(schema)
}

/// Says whether a layout can be this file's: each table's root is a page of a table's tree, whose
/// first row, if it is a leaf, has the table's shape.
pub(super) fn is_plausible(pages: &impl Pages, layout: &Roots) -> bool {
    TABLES.iter().all(|table| {
        let root = layout.get(table.name()).copied().unwrap_or(0);
        Page::read(pages, root).is_some_and(|page| match page.kind {
            Kind::TableInterior => true,
            Kind::TableLeaf => {
                page.len() == 0
                    || page
                        .cell(0, pages)
                        .is_some_and(|cell| table.holds(&cell.values))
            }
            _ => false,
        })
    })
}
