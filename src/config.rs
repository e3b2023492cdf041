//! Owns the configuration of a database: its options, their defaults and their validation.
//!
//! It may look whether a file exists, but opens nothing and knows no napi: the Node layer hands
//! over each option as a [`RawValue`], so that one report can list every problem at once.

use crate::error::{Error, Result};
use crate::windows_path;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The path that names a private database in memory.
pub const MEMORY_PATH: &str = ":memory:";

/// The shortest accepted `timeout`, in milliseconds.
pub const MIN_TIMEOUT_MS: u32 = 1_000;

/// The longest accepted `timeout`, in milliseconds: the longest that a JavaScript timer takes.
pub const MAX_TIMEOUT_MS: u32 = i32::MAX as u32;

/// How much of the file the preset `phone` maps into memory, in bytes.
const PHONE_MMAP_SIZE_BYTES: i64 = 0;

/// The page cache of the preset `phone`: 2 MB.
const PHONE_CACHE_SIZE: i32 = -2_000;

/// When a commit waits for the disk (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Synchronous {
    /// A crash of the process loses nothing; a power loss may lose commits not yet flushed.
    #[default]
    Normal,
    /// A commit is acknowledged only after the disk has it.
    Full,
}

impl Synchronous {
    /// Returns the option's text, `NORMAL` or `FULL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
        }
    }
}

/// How one database is opened; serde writes it with the options' JavaScript names.
///
/// ```
/// use whatsapp_uploader_database::DatabaseConfig;
/// let config = DatabaseConfig { timeout_ms: 2_000, ..DatabaseConfig::new("ledger.db") };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseConfig {
    /// The database file, or [`MEMORY_PATH`].
    pub path: PathBuf,
    #[serde(rename = "enableWAL")]
    /// Write-ahead logging instead of a rollback journal.
    pub enable_wal: bool,
    /// Enforcement of foreign keys.
    pub enable_foreign_keys: bool,
    #[serde(rename = "timeout")]
    /// How long a call waits for another's lock, in milliseconds.
    pub timeout_ms: u32,
    /// No writing at all.
    pub readonly: bool,
    /// Whether a missing file is created.
    pub create: bool,
    /// When a commit waits for the disk.
    pub synchronous: Synchronous,
    #[serde(rename = "mmapSize")]
    /// How much of the file is mapped into memory, in bytes.
    pub mmap_size_bytes: i64,
    /// SQLite's own `cache_size`: pages when positive, KiB when negative.
    pub cache_size: i32,
}

impl DatabaseConfig {
    /// Returns the defaults for a file: those of the specification.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            enable_wal: true,
            enable_foreign_keys: true,
            timeout_ms: 5_000,
            readonly: false,
            create: true,
            synchronous: Synchronous::Normal,
            mmap_size_bytes: 268_435_456,
            cache_size: -64_000,
        }
    }

    /// Says whether this is a database in memory, which no other connection can see.
    pub fn is_memory(&self) -> bool {
        self.path == Path::new(MEMORY_PATH)
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] that lists all problems.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        match self.path.to_str() {
            Some(path) => problems.extend(path_problem(path, cfg!(windows))),
            None => problems.push("path is not valid UTF-8".to_owned()),
        }
        if !(MIN_TIMEOUT_MS..=MAX_TIMEOUT_MS).contains(&self.timeout_ms) {
            problems.push(timeout_problem());
        }
        if self.mmap_size_bytes < 0 {
            problems.push(mmap_problem());
        }
        report(problems)
    }

    /// Builds a configuration from named options, as a JavaScript caller gives them.
    ///
    /// An absent option takes its default. `create` defaults to false when `readonly` is true.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] that lists all problems, unknown names among them.
    pub fn from_options<'a>(
        options: impl IntoIterator<Item = (&'a str, RawValue)>,
    ) -> Result<Self> {
        let options: Vec<_> = options.into_iter().collect();
        let mut config = Self::new("");
        let mut problems = Vec::new();
        let mut path = RawValue::Absent;
        let mut create = None;
        // First: what is given besides counts for more, wherever it stands.
        let preset = options.iter().find(|(name, _)| *name == "preset");
        problems.extend(preset.and_then(|(_, value)| config.apply_preset(value)));
        for (name, value) in options {
            let problem = match name {
                "preset" => None,
                "path" => {
                    path = value;
                    None
                }
                "enableWAL" => value.read_bool(name, &mut config.enable_wal),
                "enableForeignKeys" => value.read_bool(name, &mut config.enable_foreign_keys),
                "readonly" => value.read_bool(name, &mut config.readonly),
                "create" => {
                    let mut given = true;
                    let problem = value.read_bool(name, &mut given);
                    create = (value != RawValue::Absent).then_some(given);
                    problem
                }
                "timeout" => value.read_integer(
                    f64::from(MIN_TIMEOUT_MS),
                    f64::from(MAX_TIMEOUT_MS),
                    |ms| config.timeout_ms = ms as u32,
                    timeout_problem,
                ),
                "mmapSize" => value.read_integer(
                    0.0,
                    9_007_199_254_740_991.0,
                    |bytes| config.mmap_size_bytes = bytes as i64,
                    mmap_problem,
                ),
                "cacheSize" => value.read_integer(
                    f64::from(i32::MIN),
                    f64::from(i32::MAX),
                    |size| config.cache_size = size as i32,
                    || "cacheSize must be a whole number: pages, or KiB when negative".to_owned(),
                ),
                "synchronous" => match &value {
                    RawValue::Absent => None,
                    RawValue::Text(text) if text == "NORMAL" => {
                        config.synchronous = Synchronous::Normal;
                        None
                    }
                    RawValue::Text(text) if text == "FULL" => {
                        config.synchronous = Synchronous::Full;
                        None
                    }
                    _ => Some("synchronous must be 'NORMAL' or 'FULL'".to_owned()),
                },
                unknown => Some(format!("{unknown} is not a known option")),
            };
            problems.extend(problem);
        }
        match &path {
            RawValue::Text(text) => {
                problems.extend(path_problem(text, cfg!(windows)));
                config.path = PathBuf::from(text);
            }
            RawValue::Absent => problems.push("path is missing".to_owned()),
            other => problems.push(format!("path must be a string, not {}", other.kind())),
        }
        config.create = create.unwrap_or(!config.readonly);
        if config.readonly && config.create && !config.is_memory() && !config.path.exists() {
            problems.push(
                "readonly and create cannot go together for a file that does not exist".to_owned(),
            );
        }
        report(problems)?;
        Ok(config)
    }
}

impl DatabaseConfig {
    /// Returns the defaults for a file on a machine with little memory, such as a phone: nothing is
    /// mapped, and the page cache is small.
    pub fn phone(path: impl Into<PathBuf>) -> Self {
        Self {
            mmap_size_bytes: PHONE_MMAP_SIZE_BYTES,
            cache_size: PHONE_CACHE_SIZE,
            ..Self::new(path)
        }
    }

    /// Takes the values of a named preset, or says what is wrong with its name.
    fn apply_preset(&mut self, preset: &RawValue) -> Option<String> {
        match preset {
            RawValue::Absent => None,
            RawValue::Text(name) if name == "phone" => {
                *self = Self::phone(std::mem::take(&mut self.path));
                None
            }
            _ => Some("preset must be 'phone'".to_owned()),
        }
    }
}

fn report(problems: Vec<String>) -> Result<()> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::InvalidConfig { problems })
    }
}

fn path_problem(path: &str, is_windows: bool) -> Option<String> {
    if path.trim().is_empty() {
        Some("path is blank".to_owned())
    } else if path.contains('\0') {
        Some("path holds a NUL character".to_owned())
    } else if is_windows && path != MEMORY_PATH {
        windows_path::problem(path).map(|problem| format!("path {problem}"))
    } else {
        None
    }
}

fn timeout_problem() -> String {
    format!(
        "timeout must be a whole number of milliseconds from {MIN_TIMEOUT_MS} to {MAX_TIMEOUT_MS}"
    )
}

fn mmap_problem() -> String {
    "mmapSize must be a whole number of bytes, 0 or more".to_owned()
}

/// One option's value before validation.
#[derive(Debug, Clone, PartialEq)]
pub enum RawValue {
    /// Not given: undefined or null.
    Absent,
    /// A boolean.
    Bool(bool),
    /// A number of any kind, NaN included.
    Number(f64),
    /// A string.
    Text(String),
    /// Anything else, by the name of its type.
    Other(&'static str),
}

impl RawValue {
    fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Other(kind) => kind,
        }
    }

    fn read_bool(&self, name: &str, target: &mut bool) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Bool(value) => {
                *target = *value;
                None
            }
            other => Some(format!("{name} must be a boolean, not {}", other.kind())),
        }
    }

    fn read_integer(
        &self,
        min: f64,
        max: f64,
        set: impl FnOnce(f64),
        problem: impl FnOnce() -> String,
    ) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Number(value) if value.fract() == 0.0 && (min..=max).contains(value) => {
                set(*value);
                None
            }
            _ => Some(problem()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RawValue::{Absent, Bool, Number, Other, Text};

    fn text(value: &str) -> RawValue {
        Text(value.to_owned())
    }

    #[test]
    fn a_preset_gives_defaults_that_options_override() {
        let text = |text: &str| RawValue::Text(text.to_owned());
        let phone = DatabaseConfig::from_options([("path", text("a")), ("preset", text("phone"))]);
        assert_eq!(phone.unwrap(), DatabaseConfig::phone("a"));
        let config = DatabaseConfig::from_options([
            ("cacheSize", RawValue::Number(-500.0)),
            ("path", text("a")),
            ("preset", text("phone")),
        ])
        .unwrap();
        assert_eq!((config.mmap_size_bytes, config.cache_size), (0, -500));
        let error = DatabaseConfig::from_options([("path", text("a")), ("preset", text("tv"))]);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("preset must be 'phone'")
        );
    }

    #[test]
    fn absent_options_take_the_defaults() {
        let config = DatabaseConfig::from_options([
            ("path", text("a.db")),
            ("timeout", Absent),
            ("enableWAL", Absent),
            ("synchronous", Absent),
        ])
        .unwrap();
        assert_eq!(config, DatabaseConfig::new("a.db"));
    }

    #[test]
    fn given_options_are_kept() {
        let config = DatabaseConfig::from_options([
            ("path", text("a.db")),
            ("enableWAL", Bool(false)),
            ("enableForeignKeys", Bool(false)),
            ("timeout", Number(1000.0)),
            ("readonly", Bool(true)),
            ("synchronous", text("FULL")),
            ("mmapSize", Number(0.0)),
            ("cacheSize", Number(-16000.0)),
        ])
        .unwrap();
        assert!(!config.enable_wal && !config.enable_foreign_keys && config.readonly);
        assert!(!config.create, "a read-only database is not created");
        assert_eq!(config.timeout_ms, 1000);
        assert_eq!(config.synchronous.as_str(), "FULL");
        assert_eq!((config.mmap_size_bytes, config.cache_size), (0, -16000));
        config.validate().unwrap();
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let error = DatabaseConfig::from_options([
            ("path", text(" ")),
            ("timeout", Number(999.0)),
            ("enableWAL", Number(1.0)),
            ("cacheSize", Number(1.5)),
            ("mmapSize", Number(-1.0)),
            ("synchronous", text("OFF")),
            ("verbose", Bool(true)),
        ])
        .unwrap_err();
        let Error::InvalidConfig { problems } = &error else {
            panic!("{error}");
        };
        assert_eq!(problems.len(), 7, "{error}");
        for name in [
            "path",
            "timeout",
            "enableWAL",
            "cacheSize",
            "mmapSize",
            "synchronous",
            "verbose",
        ] {
            assert!(
                problems.iter().any(|p| p.starts_with(name)),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn hostile_single_options_are_refused() {
        for (name, value) in [
            ("path", Absent),
            ("path", Number(1.0)),
            ("path", Bool(true)),
            ("path", Other("an object")),
            ("path", text("a\0b")),
            ("timeout", Number(f64::NAN)),
            ("timeout", Number(f64::INFINITY)),
            ("timeout", Number(1000.5)),
            ("timeout", Number(2_147_483_648.0)),
            ("timeout", text("5000")),
            ("readonly", Other("a function")),
            ("create", text("yes")),
            ("synchronous", Number(1.0)),
            ("__proto__", Other("an object")),
        ] {
            let mut options = vec![("path", text("a.db"))];
            options.retain(|(known, _)| *known != name);
            options.push((name, value));
            let error = DatabaseConfig::from_options(options).unwrap_err();
            assert_eq!(error.code(), "DB_INVALID_CONFIG");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn readonly_refuses_an_explicit_create_of_a_missing_file() {
        let options = |path: &str| {
            vec![
                ("path", text(path)),
                ("readonly", Bool(true)),
                ("create", Bool(true)),
            ]
        };
        assert!(DatabaseConfig::from_options(options("/no/such/file")).is_err());
        assert!(DatabaseConfig::from_options(options("Cargo.toml")).is_ok());
    }

    #[test]
    fn a_path_that_windows_would_change_is_refused_there() {
        assert_eq!(path_problem(MEMORY_PATH, true), None);
        assert_eq!(path_problem("NUL", false), None);
        let problem = path_problem("NUL", true).unwrap_or_default();
        assert!(problem.starts_with("path names a device"), "{problem}");
    }

    #[test]
    fn a_rust_callers_configuration_is_checked_too() {
        let config = DatabaseConfig {
            timeout_ms: 1,
            mmap_size_bytes: -1,
            ..DatabaseConfig::new("")
        };
        let Err(Error::InvalidConfig { problems }) = config.validate() else {
            panic!("accepted");
        };
        assert_eq!(problems.len(), 3);
        assert!(DatabaseConfig::new("a\0").validate().is_err());
    }
}
