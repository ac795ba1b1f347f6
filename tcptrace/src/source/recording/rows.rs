//! The snapshot of a look, and what was seen before it, as bytes.
//!
//! Items, each a byte that says what follows, then that: [`HOLDER`] `HolderRow`, [`SOCKET`]
//! `SocketRow`, [`MEMORY`] `SocketMemory`, in this order; or [`SEEN`] alone, `SeenRow`.

use anyhow::{Context as _, Result, bail};
use tcptrace_common::Wire as _;
use tcptrace_common::memory::SocketMemory;
use tcptrace_common::row::{HolderRow, SocketRow};

use super::layout::{Layouts, Mapping, SeenRow};
use crate::lifecycle::history::{History, Seen};
use crate::lifecycle::rows::{Held, Rows, SocketNow};

const HOLDER: u8 = 1;
const SOCKET: u8 = 2;
const MEMORY: u8 = 4;
const SEEN: u8 = 8;

/// Hands the items to `put`, one by one.
///
/// # Errors
///
/// Whatever `put` says.
pub fn encode<E>(
    rows: &Rows,
    history: &History,
    mut put: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut item = Vec::new();
    for held in &rows.held {
        let holder = HolderRow { task: held.task, fd: held.fd, pad: 0 };
        put(socket(&mut item, Some(&holder), &held.socket))?;
    }
    for own in &rows.sockets {
        put(socket(&mut item, None, own))?;
    }
    let mut seen: Vec<(u64, Seen)> = history.entries().collect();
    seen.sort_by_key(|(cookie, _)| *cookie);
    for (cookie, seen) in seen {
        item.clear();
        item.push(SEEN);
        item.extend_from_slice(seen_row(cookie, seen).as_bytes());
        put(&item)?;
    }
    Ok(())
}

fn socket<'a>(item: &'a mut Vec<u8>, holder: Option<&HolderRow>, socket: &SocketNow) -> &'a [u8] {
    let has = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
    item.clear();
    item.push(SOCKET | has(holder.is_some(), HOLDER) | has(socket.memory.is_some(), MEMORY));
    item.extend_from_slice(holder.map_or(&[], |holder| holder.as_bytes()));
    item.extend_from_slice(socket.row.as_bytes());
    item.extend_from_slice(socket.memory.as_ref().map_or(&[], |memory| memory.as_bytes()));
    item
}

fn seen_row(cookie: u64, seen: Seen) -> SeenRow {
    SeenRow {
        cookie,
        since_ns: seen.since_ns,
        snd_una: seen.snd_una,
        state: seen.state,
        was_unheld: u8::from(seen.was_unheld),
        pad: [0; 2],
    }
}

/// Understands items as some version has written them.
#[derive(Clone, Debug)]
pub struct Decoder {
    holder: Mapping,
    socket: Mapping,
    memory: Mapping,
    seen: Mapping,
}

/// What was decoded so far.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// The snapshot; it knows nothing of namespaces.
    pub rows: Rows,
    /// What was seen before it.
    pub seen: Vec<(u64, Seen)>,
}

impl Decoder {
    /// For a recording with these layouts.
    ///
    /// # Errors
    ///
    /// When one is missing or cannot be.
    pub fn new(layouts: &Layouts) -> Result<Self> {
        Ok(Self {
            holder: Mapping::new::<HolderRow>(layouts)?,
            socket: Mapping::new::<SocketRow>(layouts)?,
            memory: Mapping::new::<SocketMemory>(layouts)?,
            seen: Mapping::new::<SeenRow>(layouts)?,
        })
    }

    /// Adds the items in `bytes`.
    ///
    /// # Errors
    ///
    /// When they are none.
    pub fn decode(&self, mut bytes: &[u8], into: &mut Decoded) -> Result<()> {
        while let Some((kind, mut rest)) = bytes.split_first() {
            self.item(*kind, &mut rest, into).context("a row cannot be read")?;
            bytes = rest;
        }
        Ok(())
    }

    fn item(&self, kind: u8, bytes: &mut &[u8], into: &mut Decoded) -> Result<()> {
        const CUT: &str = "it is cut short";
        if kind == SEEN {
            let row: SeenRow = self.seen.take(bytes).context(CUT)?;
            into.seen.push((row.cookie, seen(row)));
            return Ok(());
        }
        if kind & SOCKET == 0 || kind & !(SOCKET | HOLDER | MEMORY) != 0 {
            bail!("its kind {kind} is not known");
        }
        let holder =
            (kind & HOLDER != 0).then(|| self.holder.take::<HolderRow>(bytes).context(CUT));
        let holder = holder.transpose()?;
        let row = self.socket.take(bytes).context(CUT)?;
        let memory = (kind & MEMORY != 0).then(|| self.memory.take(bytes).context(CUT));
        let socket = SocketNow { row, memory: memory.transpose()? };
        match holder {
            Some(HolderRow { task, fd, .. }) => into.rows.held.push(Held { task, fd, socket }),
            None => into.rows.sockets.push(socket),
        }
        Ok(())
    }
}

fn seen(row: SeenRow) -> Seen {
    Seen {
        state: row.state,
        since_ns: row.since_ns,
        was_unheld: row.was_unheld != 0,
        snd_una: row.snd_una,
    }
}
