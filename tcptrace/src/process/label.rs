//! `/proc/PID/cmdline`: what a process does, in a word or two.
//!
//! A command line may hold passwords, so little of it is shown: the script, the jar, the module or
//! the main class that an interpreter runs, the application that a launcher serves, or the title
//! that a process gave itself. Where that is not certain there is no label.

mod grammar;
mod launcher;
mod script;
mod title;

use std::path::Path;

use super::read;
use crate::lifecycle::text;

/// A long class path can stand before the main class; more than this is not read.
const CMDLINE_BYTES: u64 = 256 * 1024;
/// A longer word is no name of a script.
const LABEL_BYTES: usize = 1024;

/// What the process does. `dir` is its directory in `/proc`, `exe` the path of its executable,
/// `comm` its name.
#[must_use]
pub fn read(dir: &Path, exe: Option<&str>, comm: &[u8]) -> Option<String> {
    let cmdline = read::bytes(&dir.join("cmdline"), CMDLINE_BYTES)?;
    of(dir, exe, comm, &cmdline)
}

/// The same where the command line is known, its words with a NUL behind each.
#[must_use]
pub fn of(dir: &Path, exe: Option<&str>, comm: &[u8], cmdline: &[u8]) -> Option<String> {
    title::of(cmdline, comm).or_else(|| program(dir, exe?, cmdline))
}

/// What an interpreter runs.
fn program(dir: &Path, exe: &str, cmdline: &[u8]) -> Option<String> {
    let words = words(cmdline);
    let program = grammar::of(exe)?.program(&words)?;
    if program.name.len() > LABEL_BYTES {
        return None;
    }
    if let Some(served) = launcher::label(&program) {
        return Some(served);
    }
    let path = program.is_file.then(|| script::full_path(dir, program.name)).flatten();
    Some(path.unwrap_or_else(|| text::from_bytes(program.name)))
}

/// The words that end with a NUL; one that was cut by the bound is left out.
fn words(cmdline: &[u8]) -> Vec<&[u8]> {
    let mut words: Vec<&[u8]> = cmdline.split(|byte| *byte == 0).collect();
    words.pop();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(cmdline: &[u8]) -> Option<String> {
        program(Path::new("/nowhere"), "/usr/bin/python3", cmdline)
    }

    #[test]
    fn a_word_that_is_cut_by_the_bound_is_no_label() {
        for cmdline in [&b""[..], b"\0", b"\0\0\0", b"python3", b"python3\0cut-by-the-bou"] {
            assert_eq!(label(cmdline), None, "{cmdline:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_shown() {
        assert_eq!(label(b"python3\0/srv/\xff.py\0").as_deref(), Some("/srv/\\xff.py"));
    }

    #[test]
    fn a_launcher_is_named_with_what_it_serves() {
        let line = b"python3\0/usr/bin/gunicorn\0app:app\0";
        assert_eq!(label(line).as_deref(), Some("gunicorn app:app"));
    }

    #[test]
    fn an_endless_word_is_no_label() {
        let line = [&b"python3\0"[..], &[b'x'; LABEL_BYTES + 1], b"\0"].concat();
        assert_eq!(label(&line), None);
    }
}
