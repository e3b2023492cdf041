//! Owns the numbers over all tables.

use super::setting;
use crate::error::{Error, Result};
use crate::record::{DatabaseStats, MAX_SAFE_INTEGER};
use rusqlite::Connection;

/// Counts what the ledger's tables hold; the log is not theirs.
///
/// `total_files` counts rows of `file_hashes`: a sum over sessions would count a file once for
/// every scan.
pub(crate) fn read(connection: &Connection) -> Result<DatabaseStats> {
    let last_vacuum = setting::read_last_vacuum(connection)?;
    let mut statement = connection.prepare_cached(
        "SELECT count(*), coalesce(sum(status = 'running'), 0), total(success_count), \
         total(error_count), total(duplicate_count), (SELECT count(*) FROM file_hashes), \
         (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size) \
         FROM upload_sessions",
    )?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        return Err(Error::Internal("counting gave no row".into()));
    };
    let sum = |index, what: &str| whole_sum(row.get(index)?, what);
    Ok(DatabaseStats {
        total_sessions: row.get(0)?,
        active_sessions: row.get(1)?,
        successful_uploads: sum(2, "successfulUploads")?,
        failed_uploads: sum(3, "failedUploads")?,
        duplicates_found: sum(4, "duplicatesFound")?,
        total_files: row.get(5)?,
        database_size: row.get(6)?,
        last_vacuum,
        wal_size: 0,
    })
}

/// `total()` cannot overflow, and is exact for as long as its result can be a counter.
fn whole_sum(sum: f64, what: &str) -> Result<i64> {
    if sum.fract() == 0.0 && sum.abs() <= MAX_SAFE_INTEGER as f64 {
        return Ok(sum as i64);
    }
    Err(Error::IntegerRange {
        what: format!("the sum {what}"),
    })
}
