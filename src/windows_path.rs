//! Owns which paths can name a database file on Windows. It looks at the text alone, so that its
//! rules are tested on every system; it may not look at a disk.
//!
//! SQLite makes a path absolute by `GetFullPathNameW` and opens what that returns
//! (`winFullPathname` and `winOpen` in `os_win.c`), and our own look at the file takes the same way.
//! Windows then opens something else than the path says in some cases, or puts the log where nobody
//! looks for it; these are refused. What else it does not take, it says itself
//! (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).

/// What stands before a path that Windows takes to the letter, of any length.
const LITERAL: &str = r"\\?\";

const DEVICE: &str =
    "names a device of Windows and no file, whatever its ending; give another name";
const DEVICE_PATH: &str = r"names a device of Windows (\\.\) and no file; give the file's own path, such as C:\folder\ledger.db";
const LITERAL_ROOT: &str = r"is taken to the letter behind \\?\ and must go on there with C:\, UNC\server\share\ or Volume{…}\; write it so, or leave \\?\ out";
const LITERAL_PARTS: &str = r"is taken to the letter behind \\?\ and so may hold no /, no doubled \ and no . or .. between them; write it out, or leave \\?\ out";
const DRIVE_RELATIVE: &str = r"depends on the present folder of its drive; write a \ behind the colon and the whole path, such as C:\folder\ledger.db";
const STREAM: &str =
    "holds a colon, which Windows takes for a stream inside of another file; leave it out";
const TRAILING: &str = "has a part that ends with a dot or a space, which Windows leaves out: the file would have another name; leave it out yourself";

/// Says why a path cannot name a database file on Windows, and what to give in its place.
pub(crate) fn problem(path: &str) -> Option<&'static str> {
    let is_device_path = path
        .replace('/', r"\")
        .get(..4)
        .is_some_and(|start| start == r"\\.\" || (start == LITERAL && !path.starts_with(LITERAL)));
    if is_device_path {
        return Some(DEVICE_PATH);
    }
    let is_literal = path.starts_with(LITERAL);
    let rest = match path.strip_prefix(LITERAL) {
        Some(literal) => match behind_root(literal) {
            Some(rest) => rest,
            None => return Some(LITERAL_ROOT),
        },
        None => match behind_drive(path) {
            Some(rest) if !rest.starts_with(['\\', '/']) => return Some(DRIVE_RELATIVE),
            Some(rest) => rest,
            None => path,
        },
    };
    let mut parts = rest.split(['\\', '/']);
    if is_literal && (rest.contains('/') || parts.clone().any(is_empty_or_dots)) {
        return Some(LITERAL_PARTS);
    }
    if rest.contains(':') {
        return Some(STREAM);
    }
    if parts
        .clone()
        .any(|part| part.ends_with(['.', ' ']) && !is_empty_or_dots(part))
    {
        return Some(TRAILING);
    }
    // Of the last part alone: no folder can have such a name.
    parts
        .next_back()
        .filter(|name| is_device(name))
        .map(|_| DEVICE)
}

/// Returns what stands behind `C:`.
fn behind_drive(path: &str) -> Option<&str> {
    let (drive, rest) = path.split_once(':')?;
    (drive.len() == 1 && drive.starts_with(|letter: char| letter.is_ascii_alphabetic()))
        .then_some(rest)
}

/// Returns what stands behind the root of a path that is taken to the letter.
fn behind_root(literal: &str) -> Option<&str> {
    if let Some(rest) = behind_drive(literal) {
        return rest.strip_prefix('\\');
    }
    let (first, rest) = literal.split_once('\\')?;
    if first.eq_ignore_ascii_case("UNC") {
        return Some(rest);
    }
    let is_volume = first
        .get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case("Volume{"));
    is_volume.then_some(rest)
}

fn is_empty_or_dots(part: &str) -> bool {
    matches!(part, "" | "." | "..")
}

/// Says whether a name is one of those that have been devices since DOS, with any ending.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    let stem = stem.trim_end_matches(' ').to_ascii_uppercase();
    if matches!(
        stem.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) {
        return true;
    }
    let number = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    number.is_some_and(|number| {
        let mut characters = number.chars();
        matches!(characters.next(), Some('1'..='9' | '¹' | '²' | '³'))
            && characters.next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_own_path_passes() {
        for path in [
            "ledger.db",
            r"folder\ledger.db",
            "./folder/../ledger.db",
            r"..\ledger.db",
            r"\ledger.db",
            r"C:\folder\ledger.db",
            "c:/folder/ledger.db",
            r"\\server\share\ledger.db",
            r"\\?\C:\folder\ledger.db",
            r"\\?\UNC\server\share\ledger.db",
            r"\\?\Volume{b75e2c83-0000-0000-0000-602f00000000}\ledger.db",
            "console.db",
            "null",
            "com10",
            "COM0",
            ".hidden",
            "a b. c.db",
            "é",
        ] {
            assert_eq!(problem(path), None, "{path}");
        }
    }

    #[test]
    fn a_device_is_no_file() {
        for path in [
            "NUL",
            "nul.db",
            "con",
            "Aux.tar.gz",
            r"C:\folder\PRN",
            "folder/COM1",
            "lpt9.db",
            "COM²",
            "NUL .db",
            "CONIN$",
            r"\\?\C:\folder\NUL",
        ] {
            assert_eq!(problem(path), Some(DEVICE), "{path}");
        }
        for path in [
            r"\\.\PhysicalDrive0",
            r"\\.\C:\ledger.db",
            "//./pipe/x",
            "//?/C:/ledger.db",
        ] {
            assert_eq!(problem(path), Some(DEVICE_PATH), "{path}");
        }
    }

    #[test]
    fn what_is_taken_to_the_letter_must_be_written_so() {
        for path in [
            r"\\?\",
            r"\\?\ledger.db",
            r"\\?\GLOBALROOT\Device\x",
            r"\\?\C:ledger.db",
            r"\\?\pipe\x",
        ] {
            assert_eq!(problem(path), Some(LITERAL_ROOT), "{path}");
        }
        for path in [
            r"\\?\C:\folder/ledger.db",
            r"\\?\C:\folder\..\ledger.db",
            r"\\?\C:\.\ledger.db",
            r"\\?\C:\\ledger.db",
        ] {
            assert_eq!(problem(path), Some(LITERAL_PARTS), "{path}");
        }
    }

    #[test]
    fn what_windows_would_change_is_refused() {
        for path in ["C:", "c:ledger.db", r"C:folder\ledger.db"] {
            assert_eq!(problem(path), Some(DRIVE_RELATIVE), "{path}");
        }
        for path in [
            "ledger.db:stream",
            "file:ledger.db",
            "/C:/ledger.db",
            r"C:\folder\ledger.db::$DATA",
            r"\\?\C:\ledger.db:stream",
        ] {
            assert_eq!(problem(path), Some(STREAM), "{path}");
        }
        for path in [
            "ledger.db.",
            "ledger.db ",
            "...",
            r"C:\folder.\ledger.db",
            r"\\?\C:\folder\ledger.db.",
            "NUL.",
        ] {
            assert_eq!(problem(path), Some(TRAILING), "{path}");
        }
    }
}
