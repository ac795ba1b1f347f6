//! Running the iterators.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::programs::Iter;
use aya::programs::iter::IterLink;
use bytes::Bytes;

use super::netns::{Namespace, tour};

/// Program that shows descriptors.
pub(super) const FILES: &str = "tcptrace_iter_file";
/// Program that shows sockets.
pub(super) const SOCKETS: &str = "tcptrace_iter_tcp";

/// The kernel fills at most eight pages at a time (`bpf_seq_read`).
const BUFFER: usize = 32 << 10;

/// Rows of one network namespace, or why they could not be had.
pub struct NamespaceRows {
    /// Inode number.
    pub inode: u32,
    /// Rows as the kernel side wrote them.
    pub rows: Result<Bytes>,
}

/// The descriptors of all tasks, as rows.
///
/// # Errors
///
/// When the iterator cannot be run.
pub fn files(ebpf: &mut Ebpf) -> Result<Bytes> {
    collect(link(ebpf, FILES)?)
}

/// The sockets of each namespace, as rows. An iterator shows the namespace in which it is opened;
/// a thread of its own goes from one to the next, so that no other thread ever leaves its own.
///
/// # Errors
///
/// When the iterator cannot be linked or the thread dies.
pub fn sockets(ebpf: &mut Ebpf, namespaces: &[Namespace]) -> Result<Vec<NamespaceRows>> {
    let mut all = Vec::new();
    visit(ebpf, SOCKETS, namespaces, |inode, link| {
        all.push(NamespaceRows { inode, rows: link.and_then(collect) });
        Ok(())
    })?;
    Ok(all)
}

/// Goes into each namespace and gives `work` its inode number and the iterator, still to be opened
/// there, or why the namespace cannot be entered. The first error of `work` ends it.
///
/// # Errors
///
/// When the iterator cannot be linked, the thread dies, or `work` fails.
pub(super) fn visit(
    ebpf: &mut Ebpf,
    program: &str,
    namespaces: &[Namespace],
    mut work: impl FnMut(u32, Result<IterLink>) -> Result<()> + Send,
) -> Result<()> {
    tour(namespaces, |namespace, entered| {
        let link = link(ebpf, program)?;
        let entered =
            entered.with_context(|| format!("cannot enter network namespace {}", namespace.inode));
        work(namespace.inode, entered.map(|()| link))
    })
}

pub(super) fn link(ebpf: &mut Ebpf, name: &str) -> Result<IterLink> {
    let program = ebpf.program_mut(name).with_context(|| format!("no program {name}"))?;
    let program: &mut Iter = program.try_into()?;
    let link = program.attach().with_context(|| format!("cannot link {name}"))?;
    Ok(program.take_link(link)?)
}

/// All that an iterator shows.
fn collect(link: IterLink) -> Result<Bytes> {
    let mut rows = Vec::new();
    read(link, |bytes| {
        rows.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(Bytes::from(rows))
}

/// Reads an iterator to its end, piece by piece. A read may end early without being the last; only
/// an empty one is (`Documentation/bpf/bpf_iterators.rst`).
///
/// # Errors
///
/// When it cannot be read, and those of `each`.
pub(super) fn read(link: IterLink, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut file = link.into_file().context("cannot open iterator")?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => each(&buffer[..length])?,
            // The kernel has looked at a million objects without output and lets us go on.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read iterator"),
        }
    }
}
