//! The sockets of a census as bytes.
//!
//! Items, each a byte that says what follows, then that: [`COUNTED`] `CensusRow`, with [`MEMORY`] a
//! `CensusMemory` behind it.

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tcptrace_common::Wire as _;
use tcptrace_common::census::{CensusMemory, CensusRow};

use super::layout::{Layouts, Mapping};
use crate::lifecycle::census::Counted;

const COUNTED: u8 = 1;
const MEMORY: u8 = 2;

/// What makes a census whole. Fields are only ever added, each with a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CensusHead {
    /// When it was over, ns, monotonic clock.
    pub now_ns: u64,
}

/// Adds a socket to `bytes`.
pub fn encode(socket: &Counted, bytes: &mut Vec<u8>) {
    let (row, memory) = socket.words();
    bytes.push(COUNTED | if memory.is_some() { MEMORY } else { 0 });
    bytes.extend_from_slice(row.as_bytes());
    bytes.extend_from_slice(memory.map_or(&[], |memory| memory.as_bytes()));
}

/// Understands items as some version has written them.
#[derive(Clone, Debug)]
pub struct Decoder {
    row: Mapping,
    memory: Mapping,
}

impl Decoder {
    /// For a recording with these layouts.
    ///
    /// # Errors
    ///
    /// When one is missing, as in those of versions that took no census, or cannot be.
    pub fn new(layouts: &Layouts) -> Result<Self> {
        Ok(Self {
            row: Mapping::new::<CensusRow>(layouts)?,
            memory: Mapping::new::<CensusMemory>(layouts)?,
        })
    }

    /// The sockets in `bytes`, but for those in states that this program does not know.
    ///
    /// # Errors
    ///
    /// When they are none.
    pub fn decode(&self, mut bytes: &[u8]) -> Result<Vec<Counted>> {
        let mut sockets = Vec::new();
        while let Some((kind, mut rest)) = bytes.split_first() {
            sockets.extend(self.item(*kind, &mut rest).context("a counted socket")?);
            bytes = rest;
        }
        Ok(sockets)
    }

    fn item(&self, kind: u8, bytes: &mut &[u8]) -> Result<Option<Counted>> {
        const CUT: &str = "it is cut short";
        ensure!(kind & COUNTED != 0 && kind & !(COUNTED | MEMORY) == 0, "its kind {kind}");
        let row = self.row.take(bytes).context(CUT)?;
        let memory = (kind & MEMORY != 0).then(|| self.memory.take(bytes).context(CUT));
        Ok(Counted::new(row, memory.transpose()?))
    }
}
