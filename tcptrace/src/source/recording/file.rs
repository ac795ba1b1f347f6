//! The files that recordings are in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Seek as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use super::reader::{Reader, Soundness, check};

/// A recording of which each frame was checked.
pub type Recording = (Reader<BufReader<File>>, Soundness);

/// Checks that [`create`] may make a file, or with `force` replace one. Returns whether one is there.
///
/// # Errors
///
/// One sentence: it may not.
pub fn check_place(path: &Path, force: bool) -> Result<bool> {
    let shown = path.display();
    let Ok(there) = fs::symlink_metadata(path) else { return Ok(false) };
    ensure!(there.is_file(), "{shown} is no regular file: name another one");
    ensure!(force, "{shown} is there already: name another file, or add --force");
    Ok(true)
}

/// Makes a new file for a recording, which nobody else may read: it has names and paths of others.
/// With `force` a file that is there is replaced, but nothing else is: no link is followed, no
/// device written to.
///
/// # Errors
///
/// One sentence.
pub fn create(path: &Path, force: bool) -> Result<File> {
    let shown = path.display();
    if check_place(path, force)? {
        fs::remove_file(path).with_context(|| format!("cannot replace {shown}"))?;
    }
    // With O_EXCL, so neither a file that has come meanwhile nor a link is opened.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot make {shown}"))
}

/// Opens a recording and checks every frame of it. In between, when nothing more has to be opened
/// and nothing was read yet, `opened` is called.
///
/// # Errors
///
/// One sentence: it cannot be opened, is none, or is damaged.
pub fn open(path: &Path, opened: impl FnOnce() -> Result<()>) -> Result<Recording> {
    let shown = path.display();
    read(path, opened).map_err(|error| match error.downcast_ref::<io::Error>() {
        Some(_) => error.context(format!("cannot read {shown}")),
        None => anyhow!("cannot read {shown}: {error:#}"),
    })
}

fn read(path: &Path, opened: impl FnOnce() -> Result<()>) -> Result<Recording> {
    // Without O_NONBLOCK a FIFO that nobody writes to would be waited for.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        bail!("it is a directory");
    }
    if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
        bail!("it is no regular file; a recording is read twice");
    }
    opened()?;
    let soundness = check(BufReader::new(&file))?;
    file.rewind()?;
    Ok((Reader::new(BufReader::new(file))?, soundness))
}
