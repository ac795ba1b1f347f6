//! One event of a socket, with its stack as gdb sees it.

use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

/// Functions that nobody called. gdb may go on past them, into what lies there by chance.
const ROOTS: [&str; 5] = ["_start", "clone", "clone3", "__clone3", "runtime.goexit"];

/// What happened to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `listen()`.
    Listen,
    /// `accept()`.
    Accept,
    /// `connect()`.
    Connect,
    /// A read that returned end-of-file.
    Eof,
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "listen" => Self::Listen,
            "accept" => Self::Accept,
            "connect" => Self::Connect,
            "eof" => Self::Eof,
            _ => bail!("no kind of event: {text}"),
        })
    }
}

/// A socket by its two ports; within one namespace and test that is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// On the side that leaks.
    pub local: u16,
    /// On the other side; 0 for a listener.
    pub remote: u16,
}

/// One physical frame: a function that was inlined has none of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Program counter in the process; a return address but for the innermost frame.
    pub pc: u64,
    /// The function, without blanks; `?` where there is no name.
    pub name: String,
}

/// An event with its stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// The socket.
    pub ports: Ports,
    /// The thread that did it.
    pub tid: u32,
    /// Innermost frame first.
    pub frames: Vec<Frame>,
}

impl Event {
    /// Reads a line of `gdb_stacks.py`; `None` where the line is about something else.
    pub fn parse(line: &str) -> Result<Option<Self>> {
        let Some(rest) = line.strip_prefix("stack ") else {
            return Ok(None);
        };
        let parsed = parse(rest).with_context(|| format!("gdb's script said {line:?}"));
        parsed.map(Some)
    }

    /// The program counters, down to the first function that nobody called.
    pub fn pcs(&self) -> Vec<u64> {
        let is_root = |frame: &Frame| ROOTS.contains(&frame.name.as_str());
        let depth = self.frames.iter().position(is_root).map_or(usize::MAX, |at| at + 1);
        self.frames.iter().take(depth).map(|frame| frame.pc).collect()
    }

    /// The functions' names.
    pub fn names(&self) -> Vec<&str> {
        self.frames.iter().map(|frame| frame.name.as_str()).collect()
    }
}

fn parse(rest: &str) -> Result<Event> {
    let mut words = rest.split(' ');
    let mut word = || words.next().context("too few words");
    let kind = word()?.parse()?;
    let ports = Ports { local: word()?.parse()?, remote: word()?.parse()? };
    let tid = word()?.parse()?;
    let frames: Result<Vec<_>> = words.map(frame).collect();
    Ok(Event { kind, ports, tid, frames: frames? })
}

fn frame(word: &str) -> Result<Frame> {
    let (pc, name) = word.split_once('/').context("no name")?;
    Ok(Frame { pc: u64::from_str_radix(pc, 16)?, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_script() {
        let line = "stack accept 80 4242 7 7fce/accept4 55f0/a::b<c/d>";
        let event = Event::parse(line).unwrap().unwrap();
        assert_eq!((event.kind, event.tid), (Kind::Accept, 7));
        assert_eq!(event.ports, Ports { local: 80, remote: 4242 });
        assert_eq!(event.pcs(), [0x7fce, 0x55f0]);
        assert_eq!(event.names(), ["accept4", "a::b<c/d>"]);
    }

    #[test]
    fn other_lines_and_broken_ones() {
        assert_eq!(Event::parse("[New LWP 12]").unwrap(), None);
        assert!(Event::parse("stack accept 80").is_err());
        assert!(Event::parse("stack close 80 1 2").is_err());
    }
}
