//! Reading a recording.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::mem;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tcptrace_common::record::{TransitionRecord, kind};

use super::counted::{self, CensusHead};
use super::frame::{Frame, FrameReader, Kind, Next};
use super::header::Header;
use super::layout::Mapping;
use super::look::{LookHead, RecordedLook};
use super::names::{Process, Stack};
use super::rows::{Decoded, Decoder};
use super::{MAGIC, NAMES_BYTES, ROWS_BYTES, VERSION};
use crate::lifecycle::census::Counted;
use crate::lifecycle::details::Details;
use crate::lifecycle::stack;

/// Bytes before the first frame.
const PREAMBLE: usize = 16;

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was ended properly.
    Ended,
    /// Whoever wrote it was stopped between two frames.
    Unended,
    /// Whoever wrote it was stopped in a frame, of which so many bytes are there.
    Cut(u64),
}

/// What was found by looking at each frame's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soundness {
    /// How it ends.
    pub state: State,
    /// Looks that are whole.
    pub looks: u64,
}

/// What a recording consists of.
#[derive(Debug)]
pub enum Item {
    /// Some records, in order.
    Records(Vec<TransitionRecord>),
    /// A look.
    Look(Box<RecordedLook>),
    /// Some sockets of the next census. The first such item says that it begins.
    Counted(Vec<Counted>),
    /// The census is whole; it was at `now_ns` on the monotonic clock.
    Census {
        /// When it was over, ns.
        now_ns: u64,
    },
}

/// Reads a recording from its beginning.
#[derive(Debug)]
pub struct Reader<R> {
    frames: FrameReader<R>,
    /// What the recording says of itself.
    pub header: Header,
    decoder: Decoder,
    transition: Mapping,
    /// `None`: by a version that took no census.
    counted: Option<counted::Decoder>,
    next: Pending,
    /// Stacks that looks may refer to, with the size of each as JSON.
    stacks: HashMap<u64, (Arc<stack::Stack>, usize)>,
    now_ns: u64,
    is_over: bool,
}

/// What has come of the next look.
#[derive(Debug, Default)]
struct Pending {
    decoded: Decoded,
    rows_bytes: usize,
    processes: HashMap<(u32, u64), Details>,
    names_bytes: usize,
}

/// Looks at each frame of a recording without understanding more of it than that.
///
/// # Errors
///
/// When it is none, or is damaged: what is wrong with the file, without its name.
pub fn check(mut input: impl Read) -> Result<Soundness> {
    read_preamble(&mut input)?;
    let mut frames = FrameReader::new(input, PREAMBLE as u64);
    let (mut looks, mut is_first) = (0, true);
    let state = loop {
        match frames.next(true)? {
            Next::Frame(Frame { kind, .. }) => {
                ensure!(!is_first || kind == Some(Kind::Header), NO_HEADER);
                is_first = false;
                looks += u64::from(kind == Some(Kind::Look));
                if kind == Some(Kind::End) {
                    let is_end = frames.next(true)? == Next::End;
                    ensure!(is_end, "it is damaged at byte {}: behind its end", frames.position);
                    break State::Ended;
                }
            }
            Next::End => break State::Unended,
            Next::Cut(bytes) => break State::Cut(bytes),
        }
    };
    ensure!(!is_first, CUT_AT_ONCE);
    Ok(Soundness { state, looks })
}

const NO_HEADER: &str = "it is damaged: it does not begin with a header";
const CUT_AT_ONCE: &str = "it was cut short before anything was recorded";

fn read_preamble(input: &mut impl Read) -> Result<()> {
    let mut bytes = Vec::new();
    input.take(PREAMBLE as u64).read_to_end(&mut bytes).context("cannot read")?;
    ensure!(!bytes.is_empty(), "it is empty");
    let magic = bytes.len().min(MAGIC.len());
    ensure!(bytes[..magic] == MAGIC[..magic], "it is no recording of tcptrace");
    ensure!(bytes.len() == PREAMBLE, CUT_AT_ONCE);
    let version = u16::from_le_bytes([bytes[MAGIC.len()], bytes[MAGIC.len() + 1]]);
    ensure!(
        version <= VERSION,
        "it was made by a newer tcptrace (format {version}, this one reads {VERSION}): use that one"
    );
    ensure!(version > 0 && bytes[MAGIC.len() + 2..] == [0; 2], "it is damaged at byte 12");
    Ok(())
}

impl<R: Read> Reader<R> {
    /// Reads up to the header.
    ///
    /// # Errors
    ///
    /// When there is none: what is wrong with the file, without its name.
    pub fn new(mut input: R) -> Result<Self> {
        read_preamble(&mut input)?;
        let mut frames = FrameReader::new(input, PREAMBLE as u64);
        let header = match frames.next(false)? {
            Next::Frame(Frame { kind: Some(Kind::Header), bytes }) => bytes,
            Next::Frame(_) => bail!(NO_HEADER),
            Next::End | Next::Cut(_) => bail!(CUT_AT_ONCE),
        };
        let header: Header = serde_json::from_slice(&header).context("its header is damaged")?;
        ensure!(
            header.is_readable_here(),
            "it was made on a machine of the other byte order ({}): read it on one like that",
            header.arch
        );
        Ok(Self {
            frames,
            decoder: Decoder::new(&header.layouts).context("its header is damaged")?,
            transition: Mapping::new::<TransitionRecord>(&header.layouts)
                .context("its header is damaged")?,
            counted: counted::Decoder::new(&header.layouts).ok(),
            header,
            next: Pending::default(),
            stacks: HashMap::new(),
            now_ns: 0,
            is_over: false,
        })
    }

    /// The next item; `None`: there are no more. A look that was cut off is left out.
    ///
    /// # Errors
    ///
    /// When the recording is damaged: what is wrong with it, without the file's name.
    pub fn next_item(&mut self) -> Result<Option<Item>> {
        while !self.is_over {
            let position = self.frames.position;
            let Next::Frame(frame) = self.frames.next(false)? else { break };
            let item = self.take(frame);
            let item = item.with_context(|| format!("it is damaged at byte {position}"))?;
            if item.is_some() {
                return Ok(item);
            }
        }
        self.is_over = true;
        Ok(None)
    }

    fn take(&mut self, frame: Frame) -> Result<Option<Item>> {
        let Frame { kind, bytes } = frame;
        match kind {
            Some(Kind::Events) => return self.records(&bytes).map(|all| Some(Item::Records(all))),
            Some(Kind::Rows) => self.rows(&bytes)?,
            Some(Kind::Processes) => self.processes(&bytes)?,
            Some(Kind::Stacks) => self.new_stacks(&bytes)?,
            Some(Kind::Look) => return self.look(&bytes).map(|look| Some(Item::Look(look))),
            Some(Kind::Counted) => return self.counted(&bytes).map(Some),
            Some(Kind::Census) => {
                let CensusHead { now_ns } = parse(&bytes)?;
                return Ok(Some(Item::Census { now_ns }));
            }
            Some(Kind::End) => self.is_over = true,
            Some(Kind::Header) => bail!("a second header"),
            // Of a kind that a later version added.
            None => {}
        }
        Ok(None)
    }

    fn records(&self, mut bytes: &[u8]) -> Result<Vec<TransitionRecord>> {
        const CUT: &str = "a record is cut short";
        let mut records = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk() {
            let length = usize::from(u16::from_le_bytes(*length));
            let (mut record, rest) = rest.split_at_checked(length).context(CUT)?;
            bytes = rest;
            // Others are of a kind that a later version added.
            if record.first() == Some(&kind::TRANSITION) {
                records.push(self.transition.take(&mut record).context(CUT)?);
            }
        }
        ensure!(bytes.is_empty(), CUT);
        Ok(records)
    }

    fn rows(&mut self, bytes: &[u8]) -> Result<()> {
        self.next.rows_bytes += bytes.len();
        ensure!(self.next.rows_bytes <= ROWS_BYTES, "a look is too large");
        self.decoder.decode(bytes, &mut self.next.decoded)
    }

    fn counted(&self, bytes: &[u8]) -> Result<Item> {
        let decoder = self.counted.as_ref().context("a census without its layouts")?;
        decoder.decode(bytes).map(Item::Counted)
    }

    fn processes(&mut self, bytes: &[u8]) -> Result<()> {
        self.next.names_bytes += bytes.len();
        ensure!(self.next.names_bytes <= NAMES_BYTES, "a look is too large");
        for line in lines(bytes) {
            let process: Process<'_> = parse(line)?;
            let identity = (process.pid, process.start_time_ns);
            self.next.processes.insert(identity, process.into_details());
        }
        Ok(())
    }

    fn new_stacks(&mut self, bytes: &[u8]) -> Result<()> {
        for line in lines(bytes) {
            let stack: Stack<'_> = parse(line)?;
            let stack = Arc::new(stack::Stack::from(stack));
            self.stacks.insert(stack.id, (stack, line.len()));
        }
        let known: usize = self.stacks.values().map(|(_, size)| size).sum();
        ensure!(known <= NAMES_BYTES, "a look is too large");
        Ok(())
    }

    fn look(&mut self, bytes: &[u8]) -> Result<Box<RecordedLook>> {
        let head: LookHead = parse(bytes)?;
        head.check_time(self.now_ns)?;
        let wanted: HashSet<u64> = head.stacks.iter().copied().collect();
        self.stacks.retain(|id, _| wanted.contains(id));
        let stacks = self.stacks.iter().map(|(id, (stack, _))| (*id, Arc::clone(stack))).collect();
        let Pending { decoded, processes, .. } = mem::take(&mut self.next);
        let look = head.into_look(decoded);
        self.now_ns = look.now_ns;
        Ok(Box::new(RecordedLook { look, processes, stacks }))
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).context("its JSON is not as it should be")
}
