//! Fitting the cells of a line into its width. Columns only ever grow, so that they do not jump
//! back; a line that is too long gives away its padding first, then part of the name, then the
//! middle of its addresses, and keeps states, end and ports.

use std::io::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// Columns of a time.
pub const TIME: usize = 12;
/// Columns of a dwell: `≥ 59m59s`.
const DWELL: usize = 8;
/// Least columns of a process id.
const PID: usize = 5;
/// Columns that a name may take, and keeps where addresses need them.
const COMM_MAX: usize = 15;
const COMM_MIN: usize = 6;
const COMM_LEAST: usize = 3;
/// Columns of an endpoint: those of a short IPv4 address, and of the longest.
const END_MIN: usize = 15;
const END_MAX: usize = 21;
/// The shortest that an address may be cut to.
const END_LEAST: usize = 10;
/// Columns that the transition takes as a rule: `LAST_ACK → CLOSE peer-close`.
const TAIL: usize = 27;
/// Blanks between cells and the sign between the endpoints.
const GAPS: usize = 7;

/// A text and the columns that it takes.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    bytes: Vec<u8>,
    width: usize,
}

impl Cell {
    /// Holds `text` from now on.
    pub fn set(&mut self, text: &str, width: usize) {
        self.bytes.clear();
        self.width = 0;
        self.add(text, width);
    }

    /// Holds what `write` writes, ASCII, from now on.
    pub fn ascii(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.clear();
        write(&mut self.bytes);
        self.width = self.bytes.len();
    }

    /// Adds a text.
    pub fn add(&mut self, text: &str, width: usize) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.width += width;
    }

    /// Adds a number of at least so many digits.
    pub fn number(&mut self, number: u64, digits: usize) {
        let start = self.bytes.len();
        let own = number.checked_ilog10().unwrap_or(0) as usize + 1;
        self.bytes.resize(start + digits.saturating_sub(own), b'0');
        super::integer(number, &mut self.bytes);
        self.width += self.bytes.len() - start;
    }

    /// Its columns.
    #[cfg(test)]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Its text.
    pub fn text(&self) -> &str {
        // Filled from `str` and ASCII alone.
        std::str::from_utf8(&self.bytes).unwrap_or("?")
    }
}

/// The columns as they are now.
#[derive(Debug)]
pub struct Fit {
    limit: usize,
    pid: usize,
    local: usize,
    remote: usize,
}

/// Columns of the cells of one line.
struct Columns {
    comm: usize,
    local: usize,
    remote: usize,
    dwell: usize,
}

impl Fit {
    /// Columns of lines that may take `limit` columns.
    pub fn new(limit: usize) -> Self {
        Self { limit, pid: PID, local: END_MIN, remote: END_MIN }
    }

    /// Prints process id, name, both endpoints with `sign` between them, dwell and transition;
    /// behind them `rest` columns are needed.
    pub fn print(&mut self, cells: &[&Cell; 6], sign: char, rest: usize, out: &mut Vec<u8>) {
        let [pid, comm, local, remote, dwell, tail] = cells;
        self.grow(pid, local, remote);
        let columns = self.columns(cells, rest);
        blanks(self.pid.saturating_sub(pid.width), out);
        out.extend_from_slice(&pid.bytes);
        out.push(b' ');
        name(comm, columns.comm, out);
        out.push(b' ');
        endpoint(local, columns.local, out);
        // Writing to a Vec cannot fail.
        let _ = write!(out, " {sign} ");
        endpoint(remote, columns.remote, out);
        out.push(b' ');
        blanks(columns.dwell.saturating_sub(dwell.width), out);
        out.extend_from_slice(&dwell.bytes);
        out.push(b' ');
        out.extend_from_slice(&tail.bytes);
    }

    fn grow(&mut self, pid: &Cell, local: &Cell, remote: &Cell) {
        let most = if self.limit == usize::MAX { usize::MAX } else { END_MAX };
        self.pid = self.pid.max(pid.width);
        self.local = self.local.max(local.width.min(most));
        self.remote = self.remote.max(remote.width.min(most));
    }

    fn columns(&self, cells: &[&Cell; 6], rest: usize) -> Columns {
        let [_, comm, local, remote, dwell, tail] = cells;
        let taken = self.pid + self.local + self.remote + DWELL + GAPS;
        let wide = if self.limit == usize::MAX { comm.width } else { 0 };
        let comm_column = self.limit.saturating_sub(taken + TAIL).clamp(COMM_MIN, COMM_MAX);
        let mut columns = Columns {
            comm: comm_column.max(wide),
            local: self.local.max(local.width),
            remote: self.remote.max(remote.width),
            dwell: DWELL.max(dwell.width),
        };
        let fixed = self.pid + GAPS + tail.width + rest;
        let sum = |own: &Columns| fixed + own.comm + own.local + own.remote + own.dwell;
        let mut over = sum(&columns).saturating_sub(self.limit);
        let mut shrink = |column: &mut usize, least: usize| {
            let given = over.min(column.saturating_sub(least));
            *column -= given;
            over -= given;
        };
        shrink(&mut columns.dwell, dwell.width);
        shrink(&mut columns.remote, remote.width);
        shrink(&mut columns.local, local.width);
        shrink(&mut columns.comm, comm.width.min(COMM_MIN));
        // Where both are long both give: an address keeps what the other has not to take.
        shrink(&mut columns.local, remote.width.max(END_MAX));
        shrink(&mut columns.remote, local.width.max(END_MAX));
        shrink(&mut columns.local, END_MAX);
        shrink(&mut columns.remote, END_MAX);
        shrink(&mut columns.comm, COMM_LEAST);
        shrink(&mut columns.local, END_MIN);
        shrink(&mut columns.remote, END_MIN);
        shrink(&mut columns.local, END_LEAST);
        shrink(&mut columns.remote, END_LEAST);
        columns
    }
}

fn blanks(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + count, b' ');
}

/// A name in exactly so many columns, its end cut off where it is longer.
fn name(cell: &Cell, columns: usize, out: &mut Vec<u8>) {
    if cell.width <= columns {
        out.extend_from_slice(&cell.bytes);
        return blanks(columns - cell.width, out);
    }
    let mut used = 0;
    for character in cell.text().chars() {
        let width = character.width().unwrap_or(0);
        if used + width >= columns {
            break;
        }
        used += width;
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    out.extend_from_slice("…".as_bytes());
    blanks(columns.saturating_sub(used + 1), out);
}

/// An endpoint in exactly so many columns, where it is longer without the end of its address: the
/// port says more.
fn endpoint(cell: &Cell, columns: usize, out: &mut Vec<u8>) {
    if cell.width <= columns {
        out.extend_from_slice(&cell.bytes);
        return blanks(columns - cell.width, out);
    }
    let colon = cell.bytes.iter().rposition(|byte| *byte == b':').unwrap_or(0);
    let behind = colon - usize::from(cell.bytes[..colon].last() == Some(&b']'));
    let kept = columns.saturating_sub(1 + cell.bytes.len() - behind).min(behind);
    out.extend_from_slice(&cell.bytes[..kept]);
    out.extend_from_slice("…".as_bytes());
    out.extend_from_slice(&cell.bytes[behind..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> Cell {
        let mut cell = Cell::default();
        cell.set(text, text.chars().count());
        cell
    }

    fn cut(text: &str, columns: usize) -> String {
        let mut out = Vec::new();
        endpoint(&cell(text), columns, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_address_is_cut_and_its_port_is_not() {
        assert_eq!(cut("10.0.0.7:80", 13), "10.0.0.7:80  ");
        assert_eq!(cut("192.168.100.100:51234", 15), "192.168.…:51234");
        assert_eq!(cut("[2001:db8:1:2:3:4:5:6]:443", 18), "[2001:db8:1:…]:443");
        assert_eq!(cut("[2001:db8::1]:51234", 9), "[…]:51234");
    }

    #[test]
    fn names_are_cut_by_columns() {
        let shown = |text: &str, width, columns| {
            let (mut out, mut cell) = (Vec::new(), Cell::default());
            cell.set(text, width);
            name(&cell, columns, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown("nginx", 5, 7), "nginx  ");
        assert_eq!(shown("redis-server", 12, 6), "redis…");
        assert_eq!(shown("日本語", 6, 4), "日… ");
    }

    #[test]
    fn columns_do_not_jump_back() {
        let mut fit = Fit::new(usize::MAX);
        let print = |fit: &mut Fit, local: &str| {
            let cells = ["1", "x", local, "10.0.0.1:1", "-", "A → B"].map(cell);
            let mut out = Vec::new();
            fit.print(&cells.each_ref(), '>', 0, &mut out);
            String::from_utf8(out).unwrap().find('>').unwrap()
        };
        let short = print(&mut fit, "10.0.0.2:2");
        let long = print(&mut fit, "[2001:db8:1:2:3:4:5:6]:443");
        assert!(long > short);
        assert_eq!(print(&mut fit, "10.0.0.2:2"), long);
    }
}
