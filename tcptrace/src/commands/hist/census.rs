//! Who is still in a state.

use anyhow::Result;

use crate::commands::census::{Question, take};
use crate::kernel::load::Kernel;
use crate::lifecycle::census::Counted;
use crate::lifecycle::dwell::census::{Ages, Still, note};
use crate::lifecycle::dwell::key::By;
use crate::lifecycle::dwell::selection::Selection;
use crate::lifecycle::text::from_padded;

/// The ages of the wanted sockets that are in a state now.
///
/// # Errors
///
/// When the kernel does not answer.
pub fn still_in_state(kernel: &mut Kernel, selection: &Selection, by: By) -> Result<Ages> {
    let mut ages = Ages::new();
    let question =
        Question { netns: &selection.filter.netns, holders: false, is_wanted: &mut |_| true };
    take(kernel, question, &mut |socket, _| {
        let still = still(socket);
        if selection.keeps_still(&still) {
            note(&mut ages, &still, by);
        }
    })?;
    Ok(ages)
}

fn still(socket: &Counted) -> Still {
    let opener = socket.opener();
    Still {
        cookie: socket.cookie(),
        state: socket.state,
        age: socket.age(),
        role: socket.role(),
        ends: socket.ends,
        netns: socket.netns,
        pid: opener.map(|task| task.pid),
        comm: opener.map(|task| from_padded(&task.comm)),
    }
}
