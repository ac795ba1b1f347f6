//! How a process is called.

use crate::lifecycle::report::{Holder, Party};
use crate::output::cell;

/// Columns of a comm; the kernel keeps 15 bytes.
const COMM: usize = 15;
/// Columns that [`party`] takes at most.
pub const PARTY_MAX: usize = COMM + "[4194304]".len();

/// `java[4244] com.example.Broker`.
pub fn process(holder: &Holder) -> String {
    marked(holder, "")
}

/// The same with `mark` behind the id.
pub fn marked(holder: &Holder, mark: &str) -> String {
    let id = party(&holder.party);
    match &holder.party.label {
        Some(label) => format!("{id}{mark} {}", cell::safe(label)),
        None => format!("{id}{mark}"),
    }
}

/// `java[4244]`. A name that grew by escaping is cut, so that the id is always seen.
pub fn party(party: &Party) -> String {
    format!("{}[{}]", cell::cut(&cell::safe(&party.comm), COMM), party.pid)
}
