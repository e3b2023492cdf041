//! Owns the switches that make a hostile or damaged file harmless to whoever opens it.
//!
//! It may not open anything, nor know the ledger's tables.

use super::Role;
use crate::error::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ffi};

/// Sets the switches that make a file from elsewhere harmless
/// (<https://www.sqlite.org/security.html>).
pub(super) fn apply(connection: &Connection, role: Role) -> Result<()> {
    for (switch, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        // "text" is an identifier, never quietly a string.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(switch, on)?;
    }
    disable_extension_loading(connection)?;
    // A cell that reaches beyond its page is found when the page is read, not when it is used
    // (<https://www.sqlite.org/pragma.html#pragma_cell_size_check>).
    connection.pragma_update(None, "cell_size_check", true)?;
    // Settings may be secrets: what is deleted or written over must not stay in free space.
    // FAST would leave it on pages that became free.
    connection.pragma_update(None, "secure_delete", true)?;
    if role != Role::Blocking {
        // The ledger's own statements attach nothing; a caller's SQL on a handle of its own may.
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    }
    Ok(())
}

/// Turns off both the C interface and the SQL function that load extensions.
#[allow(unsafe_code)]
fn disable_extension_loading(connection: &Connection) -> Result<()> {
    let mut state = 0;
    // SAFETY: the handle is open and used by this thread alone, and this verb of
    // sqlite3_db_config takes an int and a pointer to an int that outlives the call.
    let code = unsafe {
        ffi::sqlite3_db_config(
            connection.handle(),
            ffi::SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION,
            0,
            &raw mut state,
        )
    };
    if code == ffi::SQLITE_OK && state == 0 {
        Ok(())
    } else {
        Err(Error::Internal(
            "extension loading could not be turned off".into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;
    use crate::config::{DatabaseConfig, MEMORY_PATH};
    use crate::test_folder::TestFolder;

    #[test]
    fn safety_switches_are_on() {
        let connection = open(&DatabaseConfig::new(MEMORY_PATH), Role::Blocking).unwrap();
        for (switch, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        ] {
            assert_eq!(connection.db_config(switch).unwrap(), on, "{switch:?}");
        }
        assert!(connection.prepare("SELECT \"no such column\"").is_err());
        assert!(
            connection
                .query_row("SELECT load_extension('x')", [], |_| Ok(()))
                .is_err()
        );
    }

    #[test]
    fn every_handle_looks_at_cells_and_wipes_what_it_deletes() {
        let folder = TestFolder::new();
        for role in [Role::Blocking, Role::EventLoop, Role::EventLoopReader] {
            let connection = open(&folder.config(), role).unwrap();
            for name in ["cell_size_check", "secure_delete"] {
                let on: i64 = connection
                    .pragma_query_value(None, name, |row| row.get(0))
                    .unwrap();
                assert_eq!(on, 1, "{name} of {role:?}");
            }
        }
    }

    #[test]
    fn the_ledgers_handles_attach_nothing() {
        let folder = TestFolder::new();
        let attach = "ATTACH ':memory:' AS other";
        for role in [Role::EventLoop, Role::EventLoopReader] {
            let connection = open(&folder.config(), role).unwrap();
            assert!(connection.execute_batch(attach).is_err(), "{role:?}");
        }
        let own = open(&folder.config(), Role::Blocking).unwrap();
        own.execute_batch(attach).unwrap();
    }
}
