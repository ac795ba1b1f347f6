//! One row for each socket, with the columns that people grep.

use super::style::Style;
use crate::lifecycle::cause::{Cause, Kind};
use crate::lifecycle::report::{Group, Holder, Leak};
use crate::lifecycle::socket::State;
use crate::output::paint;
use crate::output::{cell, units};

const NAMES: [&str; 10] =
    ["PID", "COMM", "FD", "LADDR", "LPORT", "RADDR", "RPORT", "STATE", "AGE", "CAUSE"];
/// Columns of numbers.
const RIGHT: [usize; 5] = [0, 2, 4, 6, 8];
/// Columns that are cut when a line is too long, and how short at most: names and the longest
/// addresses first, then causes (their beginnings differ), then what is left.
const SHRINKING: [&[(usize, usize)]; 3] =
    [&[(1, 8), (2, 4), (3, 15), (5, 15)], &[(9, 14)], &[(3, 9), (5, 9), (9, 9)]];
const CAUSE: usize = 9;
const GAP: usize = 1;
/// For what there is not.
const NONE: &str = "-";

type Row = [String; NAMES.len()];

/// A header and a row for each leak, in the order of the groups.
pub fn lines(groups: &[Group], style: &Style) -> Vec<String> {
    let leaks: Vec<&Leak> = groups.iter().flat_map(|group| &group.leaks).collect();
    let rows: Vec<Row> = leaks.iter().map(|leak| row(leak)).collect();
    let widths = widths(&rows, style.width);
    let header = line(&NAMES.map(str::to_owned), &widths, |text| text.to_owned());
    let mut lines = vec![paint::heading(header.trim_end(), style.color)];
    for (leak, row) in leaks.iter().zip(&rows) {
        lines.push(line(row, &widths, |text| paint::cause(leak.cause, text, style.color)));
    }
    lines
}

fn row(leak: &Leak) -> Row {
    let (pid, comm) = who(leak);
    let known = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
    let (local, remote) = (leak.ends.local, leak.ends.remote);
    [
        pid,
        comm,
        descriptors(leak),
        known(local.addr.map(|addr| addr.to_string())),
        known(local.port.map(|port| port.to_string())),
        known(remote.addr.map(|addr| addr.to_string())),
        known(remote.port.map(|port| port.to_string())),
        state(leak.kind).name().to_owned(),
        // No blank inside: a column is a word.
        units::age(leak.age).replace(' ', ""),
        leak.cause.token().to_owned(),
    ]
}

/// Who holds it; for a socket that was never accepted, who holds its listener; else who opened it.
fn who(leak: &Leak) -> (String, String) {
    let of_listener = leak.listener.iter().filter(|_| leak.cause == Cause::NeverAccepted);
    let holders: Vec<&Holder> =
        leak.holders.iter().chain(of_listener.flat_map(|at| &at.holders)).collect();
    match holders.as_slice() {
        [] => match &leak.opener {
            Some(opener) => (opener.pid.to_string(), cell::safe(&opener.comm)),
            None => (NONE.to_owned(), NONE.to_owned()),
        },
        [only] => (only.party.pid.to_string(), cell::safe(&only.party.comm)),
        [first, others @ ..] => {
            (format!("{}+{}", first.party.pid, others.len()), cell::safe(&first.party.comm))
        }
    }
}

/// Descriptors of the first holder.
fn descriptors(leak: &Leak) -> String {
    let fds = leak.holders.first().map(|holder| holder.fds.as_slice()).unwrap_or_default();
    match fds {
        [] => NONE.to_owned(),
        fds => fds.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
    }
}

fn state(kind: Kind) -> State {
    match kind {
        Kind::CloseWait => State::CloseWait,
        Kind::Dead => State::Close,
    }
}

/// The width that each column needs; where the sum is more than `limit`, columns are cut step by
/// step, in each step the widest first.
fn widths(rows: &[Row], limit: usize) -> [usize; NAMES.len()] {
    let mut widths = NAMES.map(str::len);
    for row in rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = cell::width(text).max(*width);
        }
    }
    for step in SHRINKING {
        while widths.iter().sum::<usize>() + GAP * (NAMES.len() - 1) > limit {
            let shrinkable = step.iter().filter(|(column, least)| widths[*column] > *least);
            let Some((column, _)) = shrinkable.max_by_key(|(column, _)| widths[*column]) else {
                break;
            };
            widths[*column] -= 1;
        }
    }
    widths
}

fn line(row: &Row, widths: &[usize; NAMES.len()], cause: impl Fn(&str) -> String) -> String {
    let mut line = String::new();
    for (column, (text, width)) in row.iter().zip(widths).enumerate() {
        let text = cell::cut(text, *width);
        match column {
            CAUSE => line.push_str(&cause(&text)),
            _ if RIGHT.contains(&column) => line.push_str(&cell::right(&text, *width)),
            _ => line.push_str(&cell::left(&text, *width)),
        }
        if column != CAUSE {
            line.push_str(&" ".repeat(GAP));
        }
    }
    line
}
