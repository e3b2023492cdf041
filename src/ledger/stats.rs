//! Owns the numbers over all tables.

use super::setting;
use crate::error::Result;
use crate::record::DatabaseStats;
use rusqlite::Connection;

/// Counts what the ledger holds.
///
/// `total_files` counts rows of `file_hashes`: a sum over sessions would count a file once for
/// every scan.
pub(crate) fn read(connection: &Connection) -> Result<DatabaseStats> {
    let last_vacuum = setting::read_last_vacuum(connection)?;
    let mut statement = connection.prepare_cached(
        "SELECT count(*), coalesce(sum(status = 'running'), 0), coalesce(sum(success_count), 0), \
         coalesce(sum(error_count), 0), coalesce(sum(duplicate_count), 0), \
         (SELECT count(*) FROM file_hashes), \
         (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size) \
         FROM upload_sessions",
    )?;
    Ok(statement.query_row([], |row| {
        Ok(DatabaseStats {
            total_sessions: row.get(0)?,
            active_sessions: row.get(1)?,
            successful_uploads: row.get(2)?,
            failed_uploads: row.get(3)?,
            duplicates_found: row.get(4)?,
            total_files: row.get(5)?,
            database_size: row.get(6)?,
            last_vacuum,
        })
    })?)
}
