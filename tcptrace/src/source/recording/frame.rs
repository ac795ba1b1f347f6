//! Frames: kind, lengths and checksums, then the bytes, compressed where that helps.

use std::io::{self, Read, Write};

use anyhow::{Context as _, Result, bail, ensure};

use super::FRAME_BYTES;

/// What a frame holds. The number is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`super::Header`], JSON.
    Header = 1,
    /// Records, each behind its length.
    Events = 2,
    /// Rows of the next look.
    Rows = 3,
    /// Processes of the next look, a JSON object a line.
    Processes = 4,
    /// Stacks that are new with the next look, a JSON object a line.
    Stacks = 5,
    /// The rest of a look, JSON; it makes the look whole.
    Look = 6,
    /// The recording was ended properly; JSON.
    End = 7,
    /// Sockets of the next census; the first such frame says that it begins.
    Counted = 8,
    /// The rest of a census, JSON; it makes the census whole.
    Census = 9,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Header,
        Self::Events,
        Self::Rows,
        Self::Processes,
        Self::Stacks,
        Self::Look,
        Self::End,
        Self::Counted,
        Self::Census,
    ];
}

/// A frame, decompressed.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// `None`: of a kind that a later version added.
    pub kind: Option<Kind>,
    /// What it holds; empty where only its soundness was asked for.
    pub bytes: Vec<u8>,
}

const STORED: u8 = 0;
const ZSTD: u8 = 1;
/// Compression level: the fastest of the usual ones; the records of a busy host come by the million.
const LEVEL: i32 = 1;
/// Bytes before each frame.
const HEAD: usize = 24;

/// What stands before a frame's bytes, all integers little-endian: kind `u8`, codec `u8`, zero
/// `u16`, number `u32`, stored length `u32`, length `u32`, CRC-32 of the stored bytes `u32`,
/// CRC-32 of these 20 bytes `u32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    kind: u8,
    codec: u8,
    number: u32,
    stored: u32,
    length: u32,
    checksum: u32,
}

impl Head {
    fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        (bytes[0], bytes[1]) = (self.kind, self.codec);
        let numbers = [self.number, self.stored, self.length, self.checksum];
        for (at, number) in (4..).step_by(4).zip(numbers) {
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32fast::hash(&bytes[..HEAD - 4]);
        bytes[HEAD - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None`: the checksum does not fit.
    fn of_bytes(bytes: &[u8; HEAD]) -> Option<Self> {
        let number = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let head = Self {
            kind: bytes[0],
            codec: bytes[1],
            number: number(4),
            stored: number(8),
            length: number(12),
            checksum: number(16),
        };
        (crc32fast::hash(&bytes[..HEAD - 4]) == number(20)).then_some(head)
    }
}

/// Writes frames.
pub struct Frames<W> {
    out: W,
    number: u32,
    compressor: zstd::bulk::Compressor<'static>,
    /// Bytes written.
    pub written: u64,
}

impl<W: Write> Frames<W> {
    /// Begins behind `preamble`, which it writes.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn begin(mut out: W, preamble: &[u8]) -> io::Result<Self> {
        out.write_all(preamble)?;
        let compressor = zstd::bulk::Compressor::new(LEVEL)?;
        Ok(Self { out, number: 0, compressor, written: preamble.len() as u64 })
    }

    /// Writes one frame.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or is larger than a frame may be.
    pub fn write(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > FRAME_BYTES {
            return Err(io::Error::other("a frame is too large"));
        }
        let packed = self.compressor.compress(bytes)?;
        let (codec, stored) =
            if packed.len() < bytes.len() { (ZSTD, &packed[..]) } else { (STORED, bytes) };
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let head = Head {
            kind: kind as u8,
            codec,
            number: self.number,
            stored: length(stored)?,
            length: length(bytes)?,
            checksum: crc32fast::hash(stored),
        };
        // In one piece, so that whoever reads meanwhile rarely sees half a frame.
        let whole = [&head.to_bytes()[..], stored].concat();
        self.out.write_all(&whole)?;
        self.number = self.number.wrapping_add(1);
        self.written += whole.len() as u64;
        Ok(())
    }

    /// Hands everything to the kernel.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole frame.
    Frame(Frame),
    /// Nothing.
    End,
    /// The file ends within a frame: so many bytes of it are there.
    Cut(u64),
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader<R> {
    input: R,
    number: u32,
    /// Where the next frame begins.
    pub position: u64,
}

impl<R: Read> FrameReader<R> {
    /// Begins at `position`, behind what stands before the frames.
    pub fn new(input: R, position: u64) -> Self {
        Self { input, number: 0, position }
    }

    /// The next frame. With `only_check` it is not decompressed.
    ///
    /// # Errors
    ///
    /// When the bytes that are there are damaged, or cannot be read.
    pub fn next(&mut self, only_check: bool) -> Result<Next> {
        let mut head = [0; HEAD];
        let count = fill(&mut self.input, &mut head)?;
        match count {
            0 => return Ok(Next::End),
            HEAD => {}
            _ => return Ok(Next::Cut(count as u64)),
        }
        let damaged = || format!("it is damaged at byte {}", self.position);
        let Some(head) = Head::of_bytes(&head) else {
            // A crash of the host can leave zeros where the last bytes were to be.
            return match zeros(&head, &mut self.input)? {
                Some(count) => Ok(Next::Cut(count)),
                None => bail!(damaged()),
            };
        };
        ensure!(head.number == self.number, "{}: frames are missing", damaged());
        let (stored, length) = (head.stored as usize, head.length as usize);
        ensure!(stored <= FRAME_BYTES && length <= FRAME_BYTES, damaged());
        let mut bytes = Vec::new();
        let read = (&mut self.input).take(stored as u64).read_to_end(&mut bytes);
        if read.context("cannot read")? < stored {
            return Ok(Next::Cut((HEAD + bytes.len()) as u64));
        }
        ensure!(crc32fast::hash(&bytes) == head.checksum, damaged());
        let bytes =
            if only_check { Vec::new() } else { unpack(head, bytes).with_context(damaged)? };
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == head.kind);
        self.number = self.number.wrapping_add(1);
        self.position += (HEAD + stored) as u64;
        Ok(Next::Frame(Frame { kind, bytes }))
    }
}

/// Decompresses into exactly the length that was said.
fn unpack(head: Head, stored: Vec<u8>) -> Result<Vec<u8>> {
    let length = head.length as usize;
    let bytes = match head.codec {
        STORED => stored,
        ZSTD => zstd::bulk::decompress(&stored, length)?,
        other => bail!("codec {other} is not known"),
    };
    ensure!(bytes.len() == length, "its length is wrong");
    Ok(bytes)
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match input.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(length) => count += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read"),
        }
    }
    Ok(count)
}

/// How many bytes are left, where all of them are zero.
fn zeros(first: &[u8], input: &mut impl Read) -> Result<Option<u64>> {
    let mut count = first.len() as u64;
    let mut buffer = [0; 4096];
    if first.iter().any(|byte| *byte != 0) {
        return Ok(None);
    }
    loop {
        let length = fill(input, &mut buffer)?;
        if buffer[..length].iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        count += length as u64;
        if length < buffer.len() {
            return Ok(Some(count));
        }
    }
}
