//! Owns schema version 1: the specification's SQL, to the letter.
//!
//! Objects that are there already are compared, not replaced: a file that another tool made
//! from the same SQL is adopted, one that differs is refused.

use crate::error::{Error, Result};
use rusqlite::{Connection, OptionalExtension};

/// What the history says of this version.
pub(super) const DESCRIPTION: &str = "Initial schema";

/// Five tables and seven indexes, as the specification prints them.
const SQL: &str = include_str!("v1.sql");

/// Iterates over the statements with the name of the object that each creates.
fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    SQL.split(';')
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
        .map(|statement| {
            let name = statement.split_whitespace().nth(2).unwrap_or_default();
            (name, statement)
        })
}

/// Creates what is missing of the schema.
///
/// # Errors
///
/// [`Error::SchemaMismatch`] when an object of that name exists in another form.
pub(super) fn apply(connection: &Connection) -> Result<()> {
    statements().try_for_each(|(name, statement)| create(connection, name, statement))
}

/// Creates one object of the schema, when it is not there.
pub(super) fn create_object(connection: &Connection, object: &str) -> Result<()> {
    statements()
        .filter(|(name, _)| *name == object)
        .try_for_each(|(name, statement)| create(connection, name, statement))
}

/// Drops the ledger's tables and their rows; the history's own table stays.
pub(super) fn remove(connection: &Connection) -> Result<()> {
    Ok(connection.execute_batch(
        "DROP TABLE upload_errors; DROP TABLE upload_sessions; DROP TABLE file_hashes; DROP TABLE config;",
    )?)
}

fn create(connection: &Connection, name: &str, statement: &str) -> Result<()> {
    let present = connection
        .prepare_cached("SELECT sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE")?
        .query_row([name], |row| row.get::<_, Option<String>>(0))
        .optional()?;
    match present {
        None => Ok(connection.execute_batch(statement)?),
        Some(sql) if fold(sql.as_deref().unwrap_or_default()) == fold(statement) => Ok(()),
        Some(_) => Err(Error::SchemaMismatch {
            object: name.to_owned(),
        }),
    }
}

/// Reduces SQL to what it means: without comments, space, quotes of names and letter case.
///
/// Texts in quotes keep theirs: they are values of a CHECK.
fn fold(sql: &str) -> String {
    let mut folded = String::with_capacity(sql.len());
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                folded.push('\'');
                for quoted in characters.by_ref() {
                    folded.push(quoted);
                    if quoted == '\'' {
                        break;
                    }
                }
            }
            '-' if characters.peek() == Some(&'-') => {
                characters.by_ref().find(|c| *c == '\n');
                push_space(&mut folded);
            }
            '/' if characters.peek() == Some(&'*') => {
                let mut last = ' ';
                characters.next();
                for commented in characters.by_ref() {
                    if last == '*' && commented == '/' {
                        break;
                    }
                    last = commented;
                }
                push_space(&mut folded);
            }
            '"' | '`' | '[' | ']' => {}
            space if space.is_whitespace() => push_space(&mut folded),
            '(' | ')' | ',' | '=' => {
                if folded.ends_with(' ') {
                    folded.pop();
                }
                folded.push(character);
                folded.push(' ');
            }
            other => folded.extend(other.to_lowercase()),
        }
    }
    folded.trim().to_owned()
}

fn push_space(folded: &mut String) {
    if !folded.ends_with(' ') {
        folded.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_five_tables_and_seven_indexes() {
        let count = |kind: &str| {
            statements()
                .filter(|(_, statement)| statement.starts_with(kind))
                .count()
        };
        assert_eq!((count("CREATE TABLE"), count("CREATE INDEX")), (5, 7));
        assert_eq!(statements().count(), 12);
    }

    #[test]
    fn folding_ignores_form_and_keeps_meaning() {
        let plain = fold("CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT CHECK (b IN ('X', 'y')))");
        for same in [
            "create  table\n t(a text primary key,\n\tb text check(b in('X','y')) )",
            "CREATE TABLE \"t\" (a TEXT PRIMARY KEY, -- a comment, with ( and '\n b TEXT CHECK (b IN ('X', 'y')))",
            "CREATE TABLE [t] (`a` TEXT /* ) */ PRIMARY KEY, b TEXT CHECK (b IN ('X', 'y')))",
        ] {
            assert_eq!(fold(same), plain, "{same}");
        }
        for other in [
            "CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT CHECK (b IN ('x', 'y')))",
            "CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT)",
            "CREATE TABLE t (a TEXT PRIMARYKEY, b TEXT CHECK (b IN ('X', 'y')))",
        ] {
            assert_ne!(fold(other), plain, "{other}");
        }
        fold("an 'unfinished text");
        fold("an /* unfinished comment");
    }
}
