//! A Rust program outside this tree, which reads none of its `.cargo/config.toml`: it must find
//! the same safety, since that is made at open and not by compile flags.

use std::path::Path;
use std::process::Command;

const MAIN: &str = r#"
use whatsapp_uploader_database::rusqlite::config::DbConfig;
use whatsapp_uploader_database::{Connection, DatabaseConfig};

fn main() {
    let folder = std::env::current_dir().unwrap();
    std::env::set_current_dir(&folder).unwrap();
    let connection = Connection::open(&DatabaseConfig::new("file:ledger.db?mode=memory")).unwrap();
    let handle = connection.handle();
    let on = |switch| handle.db_config(switch).unwrap();
    println!("defensive {}", on(DbConfig::SQLITE_DBCONFIG_DEFENSIVE));
    println!("trusted schema {}", on(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA));
    println!("double-quoted strings {} {}", on(DbConfig::SQLITE_DBCONFIG_DQS_DML), on(DbConfig::SQLITE_DBCONFIG_DQS_DDL));
    println!("URI taken {}", !folder.join("file:ledger.db?mode=memory").exists());
    println!("extension loaded {}", handle.query_row("SELECT load_extension('x')", [], |_| Ok(())).is_ok());
    println!("refusal: {}", handle.query_row("SELECT load_extension('x')", [], |_| Ok(())).unwrap_err());
}
"#;

#[test]
fn a_program_outside_the_tree_finds_the_same_safety() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder =
        std::env::temp_dir().join(format!("whatsapp-uploader-consumer-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"consumer\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\nwhatsapp-uploader-database = {{ path = {:?}, default-features = false }}\n",
        tree.display().to_string()
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/main.rs"), MAIN).unwrap();
    // The same versions as here, which are downloaded already.
    std::fs::copy(tree.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("LIBSQLITE3_FLAGS")
        // Coverage of this test is not coverage of that program.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(output.status.success(), "{complained}");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(
        lines,
        [
            "defensive true",
            "trusted schema false",
            "double-quoted strings false false",
            "URI taken false",
            "extension loaded false",
            "refusal: not authorized",
        ]
    );
}
