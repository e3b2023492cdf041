//! Owns which of SQLite's own words may stand in a message: they can repeat a bound value, a
//! literal or a whole expression of a caller's, which may be secrets.

/// Messages that hold nothing of a caller's.
const PLAIN: &[&str] = &[
    "FOREIGN KEY constraint failed",
    "attempt to write a readonly database",
    "cannot VACUUM from within a transaction",
    "cannot change into wal mode from within a transaction",
    "cannot commit - no transaction is active",
    "cannot rollback - no transaction is active",
    "cannot start a transaction within a transaction",
    "database disk image is malformed",
    "database is locked",
    "database or disk is full",
    "database schema has changed",
    "database table is locked",
    "datatype mismatch",
    "disk I/O error",
    "file is not a database",
    "integer overflow",
    "interrupted",
    "not authorized",
    "out of memory",
    "string or blob too big",
    "unable to open database file",
];

/// Messages that end with names of the schema: of tables, columns, constraints, savepoints.
const NAMING: &[&str] = &[
    "CHECK constraint failed: ",
    "NOT NULL constraint failed: ",
    "UNIQUE constraint failed: ",
    "no such savepoint: ",
    "no such table: ",
];

/// The longest name that a message repeats, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// Says whether a message of a running statement is one that holds no value.
pub(crate) fn is_known(message: &str) -> bool {
    PLAIN.contains(&message)
        || NAMING.iter().any(|start| {
            message
                .strip_prefix(start)
                .is_some_and(|names| names.split(", ").all(is_name))
        })
}

/// Says whether a text is a name as people give them, `table.column` included.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte))
}

/// Cuts quoted texts out of a message about SQL, but for a word that SQLite points at.
pub(crate) fn without_texts(message: &str) -> String {
    if let Some((word, rest)) = message
        .strip_prefix("near \"")
        .and_then(|rest| rest.split_once('"'))
        && is_name(word)
        && !rest.contains(['"', '\''])
    {
        return message.to_owned();
    }
    let mut shown = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(['"', '\'', '`', '[']) {
        shown.push_str(&rest[..start]);
        shown.push_str("(not shown)");
        let close = match &rest[start..=start] {
            "[" => ']',
            quote => quote.chars().next().unwrap_or('"'),
        };
        // To the last quote: a text may hold quotes of its own.
        rest = match rest[start + 1..].rfind(close) {
            Some(end) => &rest[start + 1 + end + 1..],
            None => "",
        };
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_messages_pass_and_those_with_values_do_not() {
        for message in [
            "database is locked",
            "UNIQUE constraint failed: t.a, t.b",
            "NOT NULL constraint failed: upload_sessions.chat_id",
            "no such table: main.config",
        ] {
            assert!(is_known(message), "{message}");
        }
        for message in [
            "bad JSON path: 'secret'",
            "unable to open database: secret",
            "CHECK constraint failed: x <> 'secret'",
            "no such column: secret",
            "malformed MATCH expression: [secret]",
            "UNIQUE constraint failed: ",
        ] {
            assert!(!is_known(message), "{message}");
        }
    }

    #[test]
    fn texts_are_cut_out_of_messages_about_sql() {
        for (message, shown) in [
            ("near \"FORM\": syntax error", "near \"FORM\": syntax error"),
            (
                "near \"'secret'\": syntax error",
                "near (not shown): syntax error",
            ),
            (
                "unrecognized token: \"'secret\"",
                "unrecognized token: (not shown)",
            ),
            (
                "no such column: \"secret\" - should this be a string literal in single-quotes?",
                "no such column: (not shown) - should this be a string literal in single-quotes?",
            ),
            (
                "unrecognized token: \"a \"secret\"",
                "unrecognized token: (not shown)",
            ),
            ("an unfinished 'secret", "an unfinished (not shown)"),
            ("near [secret]", "near (not shown)"),
            ("incomplete input", "incomplete input"),
        ] {
            assert_eq!(without_texts(message), shown);
        }
    }
}
