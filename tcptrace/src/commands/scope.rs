//! What the user named, found on this host.

use anyhow::Result;

use crate::kernel::netns::inode_of;
use crate::lifecycle::filter::{Filter, NetnsSpec};
use crate::process::selection::check_pids;

/// The filter with its network namespaces as inodes; its processes are there.
///
/// # Errors
///
/// One of them is not there.
pub fn resolve<S: Clone>(filter: &Filter<S>, netns: &[NetnsSpec]) -> Result<Filter<S>> {
    check_pids(&filter.pids)?;
    let mut filter = filter.clone();
    for spec in netns {
        filter.netns.push(inode_of(spec)?);
    }
    Ok(filter)
}
