//! Migrations from Rust: order, failure, rollback, dry run, and lists that do not fit a file.

use whatsapp_uploader_database::{
    Connection, DatabaseConfig, Error, Migration, Migrator, SCHEMA_VERSION, Step,
};

fn open() -> Connection {
    Connection::open(&DatabaseConfig::new(":memory:")).unwrap()
}

fn migration(version: i64, up: &'static str, down: Option<&'static str>) -> Migration {
    Migration {
        version,
        description: format!("step {version}").into(),
        up: Step::sql(up),
        down: down.map(Step::sql),
    }
}

fn list() -> Migrator {
    Migrator::new(vec![
        migration(1, "CREATE TABLE a(x)", Some("DROP TABLE a")),
        migration(3, "CREATE TABLE b(x)", Some("DROP TABLE b")),
        Migration {
            version: 4,
            description: "code".into(),
            up: Step::code(|connection| Ok(connection.execute_batch("INSERT INTO b VALUES (1)")?)),
            down: Some(Step::code(|connection| {
                Ok(connection.execute_batch("DELETE FROM b")?)
            })),
        },
    ])
    .unwrap()
}

fn versions(connection: &Connection) -> Vec<i64> {
    let history = Migrator::history(connection.handle()).unwrap();
    history.iter().map(|row| row.version).collect()
}

fn count(connection: &Connection, sql: &str) -> i64 {
    connection
        .handle()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn steps_are_applied_in_order_once() {
    let connection = open();
    let migrator = list();
    assert_eq!(migrator.target_version(), 4);
    assert_eq!(Migrator::current_version(connection.handle()).unwrap(), 0);
    assert_eq!(migrator.plan(connection.handle()).unwrap(), [1, 3, 4]);
    assert_eq!(migrator.migrate(connection.handle()).unwrap(), [1, 3, 4]);
    assert!(migrator.migrate(connection.handle()).unwrap().is_empty());
    assert_eq!(versions(&connection), [1, 3, 4]);
    let history = Migrator::history(connection.handle()).unwrap();
    assert_eq!(history[1].description.as_deref(), Some("step 3"));
    assert!(history[1].applied_at.ends_with('Z'));
}

#[test]
fn the_own_schema_goes_back_and_comes_again() {
    let connection = open();
    let migrator = Migrator::ledger();
    assert_eq!(migrator.target_version(), SCHEMA_VERSION);
    migrator.migrate(connection.handle()).unwrap();
    assert_eq!(migrator.rollback(connection.handle(), 0).unwrap(), [1]);
    assert_eq!(
        count(
            &connection,
            "SELECT count(*) FROM sqlite_schema WHERE name = 'config'"
        ),
        0
    );
    assert_eq!(migrator.migrate(connection.handle()).unwrap(), [1]);
    assert_eq!(
        count(
            &connection,
            "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        ),
        7
    );
}

#[test]
fn a_rollback_goes_as_far_as_it_is_told() {
    let connection = open();
    let migrator = list();
    migrator.migrate(connection.handle()).unwrap();
    assert_eq!(migrator.rollback(connection.handle(), 1).unwrap(), [4, 3]);
    assert_eq!(versions(&connection), [1]);
    for version in [-1, 2, i64::MAX] {
        let error = migrator.rollback(connection.handle(), version).unwrap_err();
        assert_eq!(error.code(), "DB_INVALID_ARGUMENT");
    }
}

#[test]
fn a_rollback_without_a_way_back_changes_nothing() {
    let connection = open();
    let migrator = Migrator::new(vec![
        migration(1, "CREATE TABLE a(x)", None),
        migration(2, "CREATE TABLE b(x)", Some("DROP TABLE b")),
    ])
    .unwrap();
    migrator.migrate(connection.handle()).unwrap();
    let error = migrator.rollback(connection.handle(), 0).unwrap_err();
    assert_eq!(error.code(), "DB_MIGRATION_ORDER");
    assert_eq!(versions(&connection), [1, 2]);
}

#[test]
fn a_failing_step_is_undone_and_those_before_it_stay() {
    let connection = open();
    let migrator = Migrator::new(vec![
        migration(1, "CREATE TABLE a(x)", None),
        migration(2, "CREATE TABLE half(x); CREATE TABLE half(x)", None),
    ])
    .unwrap();
    let error = migrator.migrate(connection.handle()).unwrap_err();
    assert_eq!(
        (error.code(), error.errno()),
        ("DB_MIGRATION_FAILED", Some(1))
    );
    assert!(
        error.to_string().contains("migration 2 (step 2)"),
        "{error}"
    );
    assert!(
        matches!(error, Error::Migration { ref source, .. } if source.code() == "SQLITE_ERROR")
    );
    assert_eq!(versions(&connection), [1]);
    assert_eq!(
        count(
            &connection,
            "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"
        ),
        0
    );
    assert_eq!(
        migrator.dry_run(connection.handle()).unwrap_err().code(),
        "DB_MIGRATION_FAILED"
    );
}

#[test]
fn a_step_cannot_end_its_transaction() {
    for sql in [
        "CREATE TABLE leaked(x); COMMIT",
        "CREATE TABLE leaked(x); COMMIT; BEGIN; nonsense",
        "ROLLBACK; CREATE TABLE leaked(x)",
    ] {
        let connection = open();
        let migrator = Migrator::new(vec![migration(1, sql, None)]).unwrap();
        let error = migrator.migrate(connection.handle()).unwrap_err();
        assert_eq!(error.errno(), Some(23), "{error}");
        assert_eq!(count(&connection, "SELECT count(*) FROM sqlite_schema"), 0);
        list().migrate(connection.handle()).unwrap();
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let connection = open();
    assert_eq!(list().dry_run(connection.handle()).unwrap(), [1, 3, 4]);
    assert_eq!(count(&connection, "SELECT count(*) FROM sqlite_schema"), 0);
    assert_eq!(list().migrate(connection.handle()).unwrap(), [1, 3, 4]);
}

#[test]
fn lists_out_of_order_are_refused() {
    for versions in [vec![2, 1], vec![1, 1], vec![0], vec![-1], vec![i64::MIN]] {
        let steps = versions
            .iter()
            .map(|version| migration(*version, "SELECT 1", None));
        let outcome = Migrator::new(steps.collect());
        assert_eq!(
            outcome.err().map(|error| error.code()),
            Some("DB_MIGRATION_ORDER"),
            "{versions:?}"
        );
    }
    assert_eq!(Migrator::new(Vec::new()).unwrap().target_version(), 0);
}

#[test]
fn a_history_that_does_not_fit_the_list_is_refused() {
    let connection = open();
    list().migrate(connection.handle()).unwrap();
    let code = |steps| {
        let migrator = Migrator::new(steps).unwrap();
        migrator.plan(connection.handle()).unwrap_err().code()
    };
    let step = |version| migration(version, "SELECT 1", None);
    assert_eq!(code(vec![step(1), step(3)]), "DB_SCHEMA_TOO_NEW");
    assert_eq!(code(vec![]), "DB_SCHEMA_TOO_NEW");
    assert_eq!(
        code(vec![step(1), step(2), step(3), step(4)]),
        "DB_MIGRATION_ORDER"
    );
    assert_eq!(code(vec![step(1), step(4)]), "DB_MIGRATION_ORDER");
    let squashed = Migrator::new(vec![step(4), step(5)]).unwrap();
    assert_eq!(
        squashed.plan(connection.handle()).unwrap(),
        [5],
        "an older history may be left out"
    );
}

#[test]
fn broken_references_keep_a_step_from_being_kept() {
    let connection = open();
    let migrator = Migrator::new(vec![migration(
        1,
        "CREATE TABLE parent(id INTEGER PRIMARY KEY);
         CREATE TABLE child(parent REFERENCES parent(id));
         INSERT INTO child VALUES (7), (8);",
        None,
    )])
    .unwrap();
    let error = migrator.migrate(connection.handle()).unwrap_err();
    assert!(error.to_string().contains("2 row(s) of child"), "{error}");
    assert_eq!(count(&connection, "PRAGMA foreign_keys"), 1);
}

#[test]
fn a_migration_inside_a_transaction_is_refused() {
    let connection = open();
    let outcome: Result<(), Error> =
        connection.transaction(|handle| list().migrate(handle).map(drop));
    assert_eq!(outcome.unwrap_err().code(), "DB_TRANSACTION_STATE");
}
