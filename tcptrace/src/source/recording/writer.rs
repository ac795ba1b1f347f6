//! Writing a recording.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use tcptrace_common::Wire as _;
use tcptrace_common::memory::SocketMemory;
use tcptrace_common::record::TransitionRecord;
use tcptrace_common::row::{HolderRow, SocketRow};

use super::counted::{self, CensusHead};
use super::frame::{Frames, Kind};
use super::header::Header;
use super::layout::SeenRow;
use super::look::{LookHead, Totals};
use super::names::{Process, Stack};
use super::{FRAME_BYTES, FULL_FRAME_BYTES, MAGIC, NAMES_BYTES, ROWS_BYTES, VERSION, rows};
use crate::lifecycle::census::Counted;
use crate::lifecycle::details::Details;
use crate::lifecycle::look::Look;
use crate::lifecycle::names::{processes, stacks};
use crate::lifecycle::report::Leak;
use crate::lifecycle::stack;

/// Writes a recording. What was handed over last is in the file after each look.
pub struct Writer<W: Write> {
    frames: Frames<W>,
    /// Records that are not in a frame yet.
    events: Vec<u8>,
    /// Sockets of a census that are not in a frame yet.
    counted: Vec<u8>,
    /// Stacks that the reader knows, with the size of each as JSON.
    stacks: HashMap<u64, (Arc<stack::Stack>, usize)>,
    totals: Totals,
}

impl<W: Write> Writer<W> {
    /// Begins a recording.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn begin(out: W, header: &Header) -> io::Result<Self> {
        let preamble = [&MAGIC[..], &VERSION.to_le_bytes(), &[0; 2]].concat();
        let mut frames = Frames::begin(out, &preamble)?;
        frames.write(Kind::Header, &serde_json::to_vec(header)?)?;
        frames.flush()?;
        let (events, counted) = (Vec::new(), Vec::new());
        Ok(Self { frames, events, counted, stacks: HashMap::new(), totals: Totals::default() })
    }

    /// Takes up a record, as the kernel side wrote it.
    ///
    /// # Errors
    ///
    /// When a full frame cannot be written.
    pub fn event(&mut self, record: &TransitionRecord) -> io::Result<()> {
        let record = record.as_bytes();
        let length = u16::try_from(record.len()).map_err(io::Error::other)?;
        self.events.extend_from_slice(&length.to_le_bytes());
        self.events.extend_from_slice(record);
        self.totals.events += 1;
        if self.events.len() >= FULL_FRAME_BYTES {
            self.write_events()?;
        }
        Ok(())
    }

    fn write_events(&mut self) -> io::Result<()> {
        if !self.events.is_empty() {
            self.frames.write(Kind::Events, &self.events)?;
            self.events.clear();
        }
        Ok(())
    }

    /// Says that a census begins: whatever is handed over from now on may have happened before or
    /// after a socket was counted.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn begin_census(&mut self) -> io::Result<()> {
        self.write_events()?;
        self.frames.write(Kind::Counted, &[])
    }

    /// Takes up a socket that was counted.
    ///
    /// # Errors
    ///
    /// When a full frame cannot be written.
    pub fn counted(&mut self, socket: &Counted) -> io::Result<()> {
        counted::encode(socket, &mut self.counted);
        if self.counted.len() >= FULL_FRAME_BYTES { self.write_counted() } else { Ok(()) }
    }

    fn write_counted(&mut self) -> io::Result<()> {
        if !self.counted.is_empty() {
            self.frames.write(Kind::Counted, &self.counted)?;
            self.counted.clear();
        }
        Ok(())
    }

    /// Ends the census, at `now_ns` on the monotonic clock, and flushes.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn end_census(&mut self, now_ns: u64) -> io::Result<()> {
        self.write_counted()?;
        self.write_events()?;
        self.frames.write(Kind::Census, &serde_json::to_vec(&CensusHead { now_ns })?)?;
        self.frames.flush()
    }

    /// Writes a look with the names in its `leaks`, those of every age, and flushes. `false`: it is
    /// larger than a recording holds, and was left out.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn look(&mut self, look: &Look, leaks: &[Leak]) -> io::Result<bool> {
        self.write_events()?;
        let processes = process_lines(leaks)?;
        let (known, new) = self.stack_lines(leaks)?;
        let names = size(&processes) + known.values().map(|(_, size)| size).sum::<usize>();
        if rows_size(look) > ROWS_BYTES || names > NAMES_BYTES {
            self.frames.flush()?;
            return Ok(false);
        }
        self.write_rows(look)?;
        self.write_lines(Kind::Processes, &processes)?;
        self.write_lines(Kind::Stacks, &new)?;
        let mut ids: Vec<u64> = known.keys().copied().collect();
        ids.sort_unstable();
        self.stacks = known;
        self.frames.write(Kind::Look, &serde_json::to_vec(&LookHead::new(look, ids))?)?;
        self.totals.looks += 1;
        self.frames.flush()?;
        Ok(true)
    }

    fn write_rows(&mut self, look: &Look) -> io::Result<()> {
        let mut frame = Vec::new();
        rows::encode(&look.rows, &look.history, |item| {
            frame.extend_from_slice(item);
            if frame.len() >= FULL_FRAME_BYTES {
                self.frames.write(Kind::Rows, &frame)?;
                frame.clear();
            }
            Ok::<(), io::Error>(())
        })?;
        if frame.is_empty() { Ok(()) } else { self.frames.write(Kind::Rows, &frame) }
    }

    fn write_lines(&mut self, kind: Kind, lines: &[Vec<u8>]) -> io::Result<()> {
        let mut frame = Vec::new();
        for line in lines {
            if !frame.is_empty() && frame.len() + line.len() > FULL_FRAME_BYTES {
                self.frames.write(kind, &frame)?;
                frame.clear();
            }
            frame.extend_from_slice(line);
        }
        if frame.is_empty() { Ok(()) } else { self.frames.write(kind, &frame) }
    }

    /// The stacks in `leaks`, and of these the lines of those that the reader does not know yet.
    #[expect(clippy::type_complexity, reason = "the map is the field's")]
    fn stack_lines(
        &self,
        leaks: &[Leak],
    ) -> io::Result<(HashMap<u64, (Arc<stack::Stack>, usize)>, Vec<Vec<u8>>)> {
        let (mut known, mut new) = (HashMap::new(), Vec::new());
        for stack in leaks.iter().flat_map(stacks) {
            if known.contains_key(&stack.id) {
                continue;
            }
            let before = self.stacks.get(&stack.id).filter(|(own, _)| own == stack);
            let size = if let Some((_, size)) = before {
                *size
            } else {
                let line = stack_line(stack)?;
                new.push(line);
                new.last().map_or(0, Vec::len)
            };
            known.insert(stack.id, (Arc::clone(stack), size));
        }
        Ok((known, new))
    }

    /// Writes what is left and says that this is all. Returns what there is, and the bytes written.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<(Totals, u64)> {
        self.write_events()?;
        self.frames.write(Kind::End, &serde_json::to_vec(&self.totals)?)?;
        self.frames.flush()?;
        Ok((self.totals, self.frames.written))
    }
}

fn size(lines: &[Vec<u8>]) -> usize {
    lines.iter().map(Vec::len).sum()
}

/// No smaller than what the rows of a look will take.
fn rows_size(look: &Look) -> usize {
    let socket = 1 + SocketRow::SIZE + SocketMemory::SIZE;
    look.rows.held.len() * (socket + HolderRow::SIZE)
        + look.rows.sockets.len() * socket
        + look.history.entries().count() * (1 + SeenRow::SIZE)
}

/// Each process in `leaks` once. As a holder more is known of it than as an opener.
fn process_lines(leaks: &[Leak]) -> io::Result<Vec<Vec<u8>>> {
    let mut all: BTreeMap<(u32, u64), Details> = BTreeMap::new();
    for (party, details) in leaks.iter().flat_map(processes) {
        let known = all.entry((party.pid, party.start_time_ns)).or_insert_with(|| details.clone());
        known.fd_used = known.fd_used.or(details.fd_used);
        known.fd_limit = known.fd_limit.or(details.fd_limit);
    }
    all.iter().map(|((pid, start), details)| line(&Process::new(*pid, *start, details))).collect()
}

/// A stack that is too large for a frame is there without its frames, and says so.
fn stack_line(stack: &stack::Stack) -> io::Result<Vec<u8>> {
    let whole = line(&Stack::from(stack))?;
    if whole.len() <= FRAME_BYTES {
        return Ok(whole);
    }
    let status = stack::StackStatus::Failed("it is too large for the recording".to_owned());
    line(&Stack::from(&stack::Stack { id: stack.id, status, ..stack::Stack::default() }))
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
