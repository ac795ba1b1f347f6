//! Running the iterators of a census. Their rows are handed on as they come: a host may have a
//! million sockets, and none of them has to be kept to be counted.

use anyhow::Result;
use aya::Ebpf;

use super::netns::Namespace;
use super::snapshot::{link, read, visit};

/// Program that shows sockets.
pub(super) const SOCKETS: &str = "tcptrace_census_sockets";
/// Program that shows descriptors for dead sockets.
pub(super) const DEAD: &str = "tcptrace_census_dead";
/// Program that shows all descriptors for sockets.
pub(super) const HELD: &str = "tcptrace_census_held";

/// Which descriptors to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descriptors {
    /// Those for dead sockets.
    Dead,
    /// All.
    All,
}

/// Gives `each` the rows of descriptors, in pieces of any length.
///
/// # Errors
///
/// When the iterator cannot be run, and those of `each`.
pub fn descriptors(
    ebpf: &mut Ebpf,
    which: Descriptors,
    each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let program = match which {
        Descriptors::Dead => DEAD,
        Descriptors::All => HELD,
    };
    read(link(ebpf, program)?, each)
}

/// Gives `each` the rows of the sockets in each namespace that can be entered, in pieces of any
/// length. Returns the inode numbers of these namespaces.
///
/// # Errors
///
/// When the iterator cannot be run, and those of `each`.
pub fn sockets(
    ebpf: &mut Ebpf,
    namespaces: &[Namespace],
    mut each: impl FnMut(&[u8]) -> Result<()> + Send,
) -> Result<Vec<u32>> {
    let mut entered = Vec::new();
    visit(ebpf, SOCKETS, namespaces, |inode, link| {
        match link {
            Ok(link) => {
                read(link, &mut each)?;
                entered.push(inode);
            }
            Err(error) => log::debug!("{error:#}"),
        }
        Ok(())
    })?;
    Ok(entered)
}
