//! Recordings: files that hold looks and records, to be read later and elsewhere. The format is
//! described in `docs/recording.md`.
//!
//! A recording is a magic number, a version, and frames. Each frame is whole by itself: its
//! length, its number and two checksums stand before it, so that a file that was cut anywhere can
//! be read up to there, and damage anywhere is noticed. Everything in a recording may have been
//! made up by a stranger: each length is checked against a limit before memory is taken for it.

mod counted;
mod events;
pub mod file;
mod frame;
pub mod header;
mod layout;
mod look;
mod names;
mod reader;
mod rows;
mod writer;

pub use self::events::{Events, Moment};
pub use self::header::Header;
pub use self::reader::{Item, Reader, Soundness, State, check};
pub use self::writer::Writer;

/// What a recording begins with.
const MAGIC: &[u8; 12] = b"tcptrace.rec";
/// Version of the format: the number changes when an older reader would misunderstand. Fields, kinds
/// of frames and fields of wire structs are added without a change of it.
const VERSION: u16 = 1;

/// Most bytes of one frame, before compression.
const FRAME_BYTES: usize = 16 << 20;
/// Frames are closed when they have got this large.
const FULL_FRAME_BYTES: usize = 256 << 10;
/// Most bytes of the rows of one look: some 350,000 leaking sockets.
const ROWS_BYTES: usize = 256 << 20;
/// Most bytes of the names that a look brings or still refers to.
const NAMES_BYTES: usize = 32 << 20;

#[cfg(test)]
pub mod fixtures;
#[cfg(test)]
mod life;
#[cfg(test)]
mod tests;
