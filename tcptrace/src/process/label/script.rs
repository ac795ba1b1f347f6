//! The full path of a script that was started by a relative one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::lifecycle::text;

/// `word` below the working directory of the process, where such a file is there: the process may
/// have moved since it was started. `dir` is its directory in `/proc`.
pub fn full_path(dir: &Path, word: &[u8]) -> Option<String> {
    let word = Path::new(OsStr::from_bytes(word));
    if word.is_absolute() {
        return None;
    }
    let link = dir.join("cwd");
    // Through the link, so in the mount namespace of the process.
    std::fs::symlink_metadata(link.join(word)).ok()?;
    let directory = std::fs::read_link(link).ok()?;
    Some(text::from_bytes(join(&directory, word).as_os_str().as_bytes()))
}

/// Joined without `.`; a `..` stays, because what it leads to is not told by the words.
fn join(directory: &Path, word: &Path) -> PathBuf {
    let steps = word.components().filter(|step| *step != Component::CurDir);
    directory.components().chain(steps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_joined() {
        for (word, path) in [
            ("app.py", "/srv/shop/app.py"),
            ("./app.py", "/srv/shop/app.py"),
            ("../bin/app.py", "/srv/shop/../bin/app.py"),
            (".", "/srv/shop"),
        ] {
            assert_eq!(join(Path::new("/srv/shop"), Path::new(word)), Path::new(path));
        }
    }

    #[test]
    fn a_file_that_is_not_there_stays_as_it_was_written() {
        let own = Path::new("/proc/self");
        assert_eq!(full_path(own, b"no-such-script.py"), None);
        assert_eq!(full_path(own, b"/proc/self/stat"), None, "full already");
        assert_eq!(full_path(Path::new("/nowhere"), b"app.py"), None);
    }

    #[test]
    fn a_file_in_the_working_directory_is_found() {
        let here = std::env::current_dir().unwrap().join("Cargo.toml");
        assert_eq!(full_path(Path::new("/proc/self"), b"Cargo.toml").as_deref(), here.to_str());
    }
}
