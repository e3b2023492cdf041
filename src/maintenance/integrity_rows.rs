//! Owns checking the ledger's rows: what schema version 1 can prove about them, and what it
//! cannot but is worth a remark. No message holds a value of a row.

use super::integrity::{Findings, Severity};
use crate::error::Result;
use crate::ledger;
use crate::timestamp;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// A condition that rows of a table should not meet.
struct Rule {
    kind: &'static str,
    severity: Severity,
    table: &'static str,
    count: &'static str,
    problem: &'static str,
}

const RULES: [Rule; 7] = [
    Rule {
        kind: "counter",
        severity: Severity::Fault,
        table: "upload_sessions",
        count: "SELECT count(*) FROM upload_sessions
                WHERE typeof(total_files) <> 'integer' OR total_files < 0
                OR typeof(processed_files) NOT IN ('integer', 'null') OR processed_files < 0
                OR typeof(success_count) NOT IN ('integer', 'null') OR success_count < 0
                OR typeof(error_count) NOT IN ('integer', 'null') OR error_count < 0
                OR typeof(duplicate_count) NOT IN ('integer', 'null') OR duplicate_count < 0",
        problem: "have a counter that is below zero or no whole number",
    },
    Rule {
        kind: "counter",
        severity: Severity::Fault,
        table: "file_hashes",
        count: "SELECT count(*) FROM file_hashes WHERE typeof(file_size) <> 'integer'
                OR file_size < 0",
        problem: "have a size that is below zero or no whole number",
    },
    Rule {
        kind: "counter",
        severity: Severity::Fault,
        table: "upload_errors",
        count: "SELECT count(*) FROM upload_errors
                WHERE typeof(retry_count) NOT IN ('integer', 'null') OR retry_count < 0",
        problem: "have a count of retries that is below zero or no whole number",
    },
    // The caller counts, and may do so in another way.
    Rule {
        kind: "counter",
        severity: Severity::Remark,
        table: "upload_sessions",
        count: "SELECT count(*) FROM upload_sessions WHERE processed_files > total_files
                OR success_count + error_count + duplicate_count > processed_files",
        problem: "count more files than they have, or than they say to have processed",
    },
    Rule {
        kind: "counter",
        severity: Severity::Remark,
        table: "upload_sessions",
        count:
            "SELECT count(*) FROM upload_sessions AS s WHERE error_count >= 0 AND error_count < (
                SELECT count(DISTINCT file_path) FROM upload_errors WHERE session_id = s.id)",
        problem: "count fewer errors than files of theirs have one",
    },
    Rule {
        kind: "hash",
        severity: Severity::Remark,
        table: "file_hashes",
        count: "SELECT count(*) FROM file_hashes
                WHERE length(hash) <> 64 OR hash GLOB '*[^0-9a-fA-F]*'",
        problem: "have a hash that is no SHA-256 in hexadecimal digits",
    },
    Rule {
        kind: "setting",
        severity: Severity::Fault,
        table: "config",
        count: "SELECT count(*) FROM config WHERE NOT json_valid(value)",
        problem: "have a value that is no JSON",
    },
];

/// The times of each table, those that are not yet in the one form of this package; NULL stands
/// for a time that nobody gave.
const TIMES: [(&str, &str); 5] = [
    (
        "upload_sessions",
        "SELECT start_time FROM upload_sessions UNION ALL SELECT last_update FROM upload_sessions
         UNION ALL SELECT created_at FROM upload_sessions WHERE created_at IS NOT NULL",
    ),
    (
        "file_hashes",
        "SELECT uploaded_at FROM file_hashes WHERE uploaded_at IS NOT NULL",
    ),
    (
        "upload_errors",
        "SELECT timestamp FROM upload_errors WHERE timestamp IS NOT NULL",
    ),
    (
        "config",
        "SELECT updated_at FROM config WHERE updated_at IS NOT NULL",
    ),
    (
        "schema_migrations",
        "SELECT applied_at FROM schema_migrations WHERE applied_at IS NOT NULL",
    ),
];

/// Checks the rows of a connection's ledger.
///
/// # Errors
///
/// SQLite's own.
pub(super) fn check(connection: &Connection, findings: &mut Findings) -> Result<()> {
    let mut missing = Vec::new();
    for (table, _) in TIMES {
        let is_there = connection
            .prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?
            .exists([table])?;
        if !is_there {
            missing.push(table);
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "the ledger's tables are not all there ({} missing), so its rows were not checked",
            missing.join(", ")
        );
        // A file whose schema was never made has none of them; one that has some, lost the rest.
        let severity = if missing.len() == TIMES.len() {
            Severity::Remark
        } else {
            Severity::Fault
        };
        let count = Some(missing.len() as u64);
        findings.add(severity, "schema", None, count, message);
        return Ok(());
    }
    for rule in RULES {
        let rows: i64 = connection.query_row(rule.count, [], |row| row.get(0))?;
        report(findings, &rule, u64::try_from(rows).unwrap_or(0));
    }
    for (table, times) in TIMES {
        let rule = Rule {
            kind: "timestamp",
            severity: Severity::Fault,
            table,
            count: times,
            problem: "have a time that is none",
        };
        report(findings, &rule, count_malformed(connection, times)?);
    }
    check_last_vacuum(connection, findings)
}

fn report(findings: &mut Findings, rule: &Rule, rows: u64) {
    if rows > 0 {
        findings.add(
            rule.severity,
            rule.kind,
            Some(rule.table),
            Some(rows),
            format!("{rows} row(s) of {} {}", rule.table, rule.problem),
        );
    }
}

fn count_malformed(connection: &Connection, times: &str) -> Result<u64> {
    let mut statement = connection.prepare_cached(times)?;
    let mut rows = statement.query([])?;
    let mut malformed = 0;
    while let Some(row) = rows.next()? {
        let is_time = match row.get_ref(0)? {
            ValueRef::Text(text) => std::str::from_utf8(text)
                .is_ok_and(|text| timestamp::normalize("time", text).is_ok()),
            _ => false,
        };
        malformed += u64::from(!is_time);
    }
    Ok(malformed)
}

fn check_last_vacuum(connection: &Connection, findings: &mut Findings) -> Result<()> {
    // What is no JSON text has been reported as a setting, or reads as none.
    let last = ledger::read_last_vacuum(connection)?;
    if last.is_some_and(|time| timestamp::normalize("time", &time).is_err()) {
        findings.add(
            Severity::Remark,
            "last_vacuum",
            Some("config"),
            Some(1),
            "the time of the last vacuum is none",
        );
    }
    Ok(())
}
