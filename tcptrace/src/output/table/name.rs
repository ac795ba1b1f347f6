//! How a process is called.

use crate::lifecycle::report::{Holder, Party};
use crate::output::cell;

/// Columns of a comm; the kernel keeps 15 bytes.
const COMM: usize = 15;
/// Columns of a label where nothing else decides.
const LABEL: usize = 48;
/// Less of a label than this says nothing.
const LABEL_MIN: usize = 6;
/// Columns that [`party`] takes at most.
pub const PARTY_MAX: usize = COMM + "[4194304]".len();

/// What identifies a process.
pub fn identity(party: &Party) -> (u32, u64) {
    (party.pid, party.start_time_ns)
}

/// What tells programs apart: the name, and what an interpreter runs.
pub fn program(party: &Party) -> (&str, Option<&str>) {
    (&party.comm, party.label.as_deref().filter(|label| !is_title(label)))
}

/// Whether a label is the title that a process gave itself: it tells processes apart, and not
/// programs.
fn is_title(label: &str) -> bool {
    label.contains(": ")
}

/// `java[4244]+2 com.example.Broker` in at most `columns`: the first process, how many others there
/// are, and what the first one runs, which is the first to be cut.
pub fn title(first: &Holder, others: usize, columns: usize) -> String {
    let mark = if others == 0 { String::new() } else { format!("+{others}") };
    let id = format!("{}{mark}", party(&first.party));
    let room = columns.saturating_sub(cell::width(&id) + 1);
    match label(&first.party, room) {
        Some(label) if others == 0 || program(&first.party).1.is_some() => format!("{id} {label}"),
        _ => id,
    }
}

/// `java[4244] com.example.Broker`.
pub fn labelled(who: &Party) -> String {
    label(who, LABEL).map_or_else(|| party(who), |label| format!("{} {label}", party(who)))
}

/// `java[4244]`. A name that grew by escaping is cut, so that the id is always seen.
pub fn party(party: &Party) -> String {
    format!("{}[{}]", cell::cut(&cell::safe(&party.comm), COMM), party.pid)
}

/// What the process does, without its name, in at most `room` columns. `None`: nothing is known, or
/// there is no room for what would say something.
fn label(party: &Party, room: usize) -> Option<String> {
    let label = party.label.as_deref()?;
    let behind_name = label.strip_prefix(party.comm.as_str());
    let rest = behind_name.and_then(|rest| rest.strip_prefix(": ").or(rest.strip_prefix(' ')));
    let shown = cell::safe(rest.unwrap_or(label));
    if cell::width(&shown) <= room {
        return Some(shown);
    }
    let short = if is_title(label) { cell::cut(&shown, room) } else { end_of(&shown, room) };
    (cell::width(&short) >= LABEL_MIN).then_some(short)
}

/// The end of a path or a class: it tells more than the beginning. It begins with a whole part of a
/// path where it can.
fn end_of(label: &str, room: usize) -> String {
    let cut = cell::cut_left(label, room);
    let part = cut.char_indices().skip(1).find(|(_, character)| *character == '/');
    let whole = part.map(|(at, _)| format!("…{}", &cut[at..]));
    whole.filter(|short| cell::width(short) >= LABEL_MIN).unwrap_or(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(comm: &str, label: &str) -> Holder {
        let label = Some(label.to_owned());
        let party = Party { pid: 7, comm: comm.into(), label, ..Party::default() };
        Holder { party, ..Holder::default() }
    }

    #[test]
    fn the_label_is_cut_first_and_keeps_its_end() {
        let python = named("python3", "/srv/apps/chat/server.py");
        let title = |columns| title(&python, 2, columns);
        assert_eq!(title(44), "python3[7]+2 /srv/apps/chat/server.py");
        assert_eq!(title(36), "python3[7]+2 …/apps/chat/server.py");
        assert_eq!(title(30), "python3[7]+2 …/chat/server.py");
        assert_eq!(title(24), "python3[7]+2 …/server.py");
        assert_eq!(title(21), "python3[7]+2 …rver.py");
        assert_eq!(title(16), "python3[7]+2", "too little to say anything");
        assert_eq!(title(0), "python3[7]+2");
    }

    #[test]
    fn the_name_is_not_repeated() {
        let postgres = named("postgres", "postgres: app shop 10.0.0.5(40012) idle");
        assert_eq!(labelled(&postgres.party), "postgres[7] app shop 10.0.0.5(40012) idle");
        let gunicorn = named("gunicorn", "gunicorn app:app");
        assert_eq!(title(&gunicorn, 3, 44), "gunicorn[7]+3 app:app");
    }

    #[test]
    fn the_title_of_one_process_is_none_of_many() {
        let postgres = named("postgres", "postgres: app shop 10.0.0.5(40012) idle");
        assert_eq!(title(&postgres, 0, 25), "postgres[7] app shop 10.…");
        assert_eq!(title(&postgres, 1, 44), "postgres[7]+1");
    }
}
