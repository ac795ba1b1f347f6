//! A line for people: the opener, both ends with `>` where this side connected and `<` where it
//! accepted, the time in the state that is left, the transition, and how it ended.

mod dwell;
mod fit;

use anstyle::{AnsiColor, Style as Paint};
use jiff::tz::TimeZone;

use super::Lines;
use super::clock::{Clock, relative};
use super::names::Names;
use super::text::{address, integer};
use crate::lifecycle::end::End;
use crate::lifecycle::socket::{Endpoint, Role};
use crate::lifecycle::stream::{Line, Summary, TimeColumn};

use fit::{Cell, Fit};

/// How the lines look.
#[derive(Clone, Debug)]
pub struct Style {
    /// Columns that a line may take; `usize::MAX` for no limit.
    pub width: usize,
    /// Which time comes first.
    pub time: TimeColumn,
    /// Whether to colour.
    pub color: bool,
    /// Time zone of clock times.
    pub zone: TimeZone,
}

/// The table.
pub struct Table {
    style: Style,
    clock: Clock,
    names: Names,
    fit: Fit,
    cells: Cells,
}

/// The texts of one line, which are kept for the next one to save memory traffic.
#[derive(Default)]
struct Cells {
    pid: Cell,
    comm: Cell,
    local: Cell,
    remote: Cell,
    dwell: Cell,
    tail: Cell,
}

impl Table {
    /// A table that looks like `style`.
    #[must_use]
    pub fn new(style: Style) -> Self {
        let limit = match (style.width, style.time) {
            (usize::MAX, _) | (_, TimeColumn::None) => style.width,
            (width, _) => width.saturating_sub(fit::TIME + 1),
        };
        Self {
            clock: Clock::of_day(style.zone.clone()),
            names: Names::plain(),
            fit: Fit::new(limit),
            cells: Cells::default(),
            style,
        }
    }

    fn time(&mut self, line: &Line, out: &mut Vec<u8>) {
        match self.style.time {
            TimeColumn::Wall => self.clock.write(line.time_ns, out),
            TimeColumn::Relative => relative(line.since_start_ns, out),
            TimeColumn::None => return,
        }
        out.push(b' ');
    }

    fn fill(&mut self, line: &Line) {
        let Cells { pid, comm, local, remote, dwell, tail } = &mut self.cells;
        match &line.opener {
            Some(task) => {
                pid.ascii(|out| integer(task.pid, out));
                self.names.with(&task.comm, |text, width| comm.set(text, width));
            }
            None => {
                pid.set("-", 1);
                comm.set("-", 1);
            }
        }
        local.ascii(|out| endpoint(line.ends.local, line.role, out));
        remote.ascii(|out| endpoint(line.ends.remote, line.role, out));
        dwell::write(line.dwell, dwell);
        tail.ascii(|out| out.extend_from_slice(line.from.name().as_bytes()));
        tail.add(" → ", 3);
        tail.add(line.to.name(), line.to.name().len());
    }

    fn print_end(&self, line: &Line, out: &mut Vec<u8>) {
        let Some(end) = line.end else { return };
        out.push(b' ');
        let paint = paint_of(end).filter(|_| self.style.color);
        if let Some(paint) = paint {
            out.extend_from_slice(paint.render().to_string().as_bytes());
        }
        out.extend_from_slice(end.token().as_bytes());
        if let (End::Error, Some(number)) = (end, line.error) {
            out.push(b' ');
            integer(number, out);
        }
        if let Some(paint) = paint {
            out.extend_from_slice(paint.render_reset().to_string().as_bytes());
        }
    }
}

impl Lines for Table {
    fn head(&mut self, out: &mut Vec<u8>) {
        let bold = Paint::new().bold();
        if self.style.color {
            out.extend_from_slice(bold.render().to_string().as_bytes());
        }
        if self.style.time != TimeColumn::None {
            out.extend_from_slice(b"TIME         ");
        }
        let Cells { pid, comm, local, remote, dwell, tail } = &mut self.cells;
        let titles = ["PID", "COMM", "LADDR:LPORT", "RADDR:RPORT", "DWELL", "FROM → TO"];
        for (cell, title) in [pid, comm, local, remote, dwell, tail].into_iter().zip(titles) {
            cell.set(title, title.chars().count());
        }
        self.fit.print(&self.cells.in_order(), ' ', 0, out);
        if self.style.color {
            out.extend_from_slice(bold.render_reset().to_string().as_bytes());
        }
        out.push(b'\n');
    }

    fn line(&mut self, line: &Line, out: &mut Vec<u8>) {
        self.time(line, out);
        self.fill(line);
        let direction = match line.role {
            Role::Active => '>',
            Role::Passive => '<',
            Role::Listener => ' ',
            Role::Unknown => '-',
        };
        self.fit.print(&self.cells.in_order(), direction, end_width(line), out);
        self.print_end(line, out);
        out.push(b'\n');
    }

    fn end(&mut self, _: &Summary, _: &mut Vec<u8>) {}
}

impl Cells {
    fn in_order(&self) -> [&Cell; 6] {
        [&self.pid, &self.comm, &self.local, &self.remote, &self.dwell, &self.tail]
    }
}

/// `10.0.0.7:443`, `[::1]:443`; `?` for what is not known, `*` where there is no such thing.
fn endpoint(end: Endpoint, role: Role, out: &mut Vec<u8>) {
    let unknown = if role == Role::Listener { b'*' } else { b'?' };
    match end.addr {
        Some(addr) if addr.is_ipv6() => {
            out.push(b'[');
            address(addr, out);
            out.push(b']');
        }
        Some(addr) => address(addr, out),
        None => out.push(unknown),
    }
    out.push(b':');
    match end.port {
        Some(port) => integer(port, out),
        None => out.push(unknown),
    }
}

/// Columns that the end takes, the blank before it included.
fn end_width(line: &Line) -> usize {
    let number = |error: i32| itoa::Buffer::new().format(error).len() + 1;
    match (line.end, line.error) {
        (None, _) => 0,
        (Some(End::Error), Some(error)) => 1 + End::Error.token().len() + number(error),
        (Some(end), _) => 1 + end.token().len(),
    }
}

/// What went wrong is red, what this side did on purpose or by mistake yellow.
fn paint_of(end: End) -> Option<Paint> {
    let color = match end {
        End::PeerClose | End::LocalClose => return None,
        End::LocalReset | End::ListenerClosed | End::Aborted => AnsiColor::Yellow,
        End::PeerReset | End::Refused | End::Timeout | End::Unreachable | End::Error => {
            AnsiColor::Red
        }
    };
    Some(color.on_default())
}
