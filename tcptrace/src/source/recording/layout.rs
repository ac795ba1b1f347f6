//! How wire structs lie in memory, told in the recording itself: so a struct that has got new
//! fields since is still read, field by field. A field that the recording lacks is 0, which means
//! unknown everywhere in the ABI.

use std::collections::BTreeMap;
use std::mem::offset_of;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tcptrace_common::Wire;
use tcptrace_common::census::{CensusMemory, CensusRow};
use tcptrace_common::memory::{SocketMemory, Task, Tuple};
use tcptrace_common::record::TransitionRecord;
use tcptrace_common::row::{HolderRow, SocketRow};

/// Larger structs are not believed.
const MOST_BYTES: u32 = 4096;
/// More fields are not believed.
const MOST_FIELDS: usize = 256;

/// A wire struct: its size, and of each field name (with dots within nested structs), offset, size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    size: u32,
    fields: Vec<(String, u32, u32)>,
}

/// The layouts of all structs that are in a recording, by name.
pub type Layouts = BTreeMap<String, Layout>;

/// Whether a socket leaked in an earlier look (`lifecycle::history::Seen`), as a wire struct.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SeenRow {
    /// Socket cookie.
    pub cookie: u64,
    /// When it was first seen to leak, ns, monotonic clock.
    pub since_ns: u64,
    /// First unacknowledged sequence number.
    pub snd_una: u32,
    /// State it was in.
    pub state: u8,
    /// 1: it had no descriptor.
    pub was_unheld: u8,
    /// Padding.
    pub pad: [u8; 2],
}

// SAFETY: `#[repr(C)]`, integers and a byte array alone, and no implicit padding: the sizes of the
// fields add up to that of the struct, which is asserted.
unsafe impl Wire for SeenRow {}
const _: () = assert!(size_of::<SeenRow>() == 24);

/// Something of which a wire struct is made.
trait Described {
    fn describe(name: &str, offset: usize, fields: &mut Vec<(String, u32, u32)>);
}

macro_rules! leaves {
    ($($type:ty),+) => {$(
        impl Described for $type {
            fn describe(name: &str, offset: usize, fields: &mut Vec<(String, u32, u32)>) {
                leaf(name, offset, size_of::<$type>(), fields);
            }
        }
    )+};
}
leaves!(u8, u16, u32, u64, i32);

impl<const N: usize> Described for [u8; N] {
    fn describe(name: &str, offset: usize, fields: &mut Vec<(String, u32, u32)>) {
        leaf(name, offset, N, fields);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "wire structs have some hundred bytes")]
fn leaf(name: &str, offset: usize, size: usize, fields: &mut Vec<(String, u32, u32)>) {
    fields.push((name.to_owned(), offset as u32, size as u32));
}

/// Describes a field by the type that a way to it has.
fn field<S, T: Described>(
    _: fn(&S) -> &T,
    name: &str,
    offset: usize,
    fields: &mut Vec<(String, u32, u32)>,
) {
    T::describe(name, offset, fields);
}

/// Lists the fields of structs; does not compile where one is missing.
macro_rules! described {
    ($($type:ident { $($field:ident),+ })+) => {$(
        impl Described for $type {
            fn describe(name: &str, offset: usize, fields: &mut Vec<(String, u32, u32)>) {
                let _: fn(&$type) = |value| { let $type { $($field: _),+ } = value; };
                $(
                    let inner = if name.is_empty() {
                        stringify!($field).to_owned()
                    } else {
                        format!("{name}.{}", stringify!($field))
                    };
                    let at = offset + offset_of!($type, $field);
                    field(|own: &$type| &own.$field, &inner, at, fields);
                )+
            }
        }
    )+};
}

described! {
    Task { start_ns, pid, tid, comm }
    Tuple { local_addr, remote_addr, family, local_port, remote_port, pad }
    TransitionRecord {
        kind, from, to, role, netns, time_ns, dwell_ns, cookie, tuple, opener, error, bound, flags,
        pad
    }
    HolderRow { task, fd, pad }
    SocketRow {
        sk, cookie, inode, listener, now_ns, jiffies, tuple, netns, rcv_nxt, copied_seq, write_seq,
        snd_una, last_data_received, last_ack_received, last_data_sent, keepalive_after, backlog,
        backlog_max, error, protocol, state, socket_state, shutdown, flags, pad
    }
    SocketMemory {
        cookie, since_ns, leak_since_ns, opened_ns, eof_ns, last_accept_ns, open_stack, eof_stack,
        opener, eof_reader, tuple, write_seq_at_fin, end_error, state, role, flags, pad,
        netns
    }
    SeenRow { cookie, since_ns, snd_una, state, was_unheld, pad }
    CensusRow { cookie, inode, tuple, netns, state, flags, pad }
    CensusMemory { now_ns, since_ns, opener, state, role, flags, pad }
}

/// A struct that is in recordings, by the name that it has there.
#[expect(private_bounds, reason = "what a field is described by is nobody else's business")]
pub trait Recorded: Wire + Described {
    /// Frozen name.
    const NAME: &'static str;
}

macro_rules! recorded {
    ($($type:ident = $name:literal),+ $(,)?) => {
        $(impl Recorded for $type { const NAME: &'static str = $name; })+

        /// The layouts of this version.
        #[must_use]
        pub fn present() -> Layouts {
            [$(($name.to_owned(), of::<$type>())),+].into()
        }
    };
}

recorded! {
    TransitionRecord = "transition",
    HolderRow = "holder",
    SocketRow = "socket",
    SocketMemory = "memory",
    SeenRow = "seen",
    CensusRow = "counted",
    CensusMemory = "counted_memory",
}

fn of<T: Recorded>() -> Layout {
    let mut fields = Vec::new();
    T::describe("", 0, &mut fields);
    let size = u32::try_from(T::SIZE).unwrap_or(u32::MAX);
    Layout { size, fields }
}

/// From a struct as it was recorded to the same as it is now.
#[derive(Clone, Debug)]
pub struct Mapping {
    size: usize,
    /// From, to, how many bytes. `None`: nothing has changed.
    copies: Option<Vec<(usize, usize, usize)>>,
}

impl Mapping {
    /// For a struct whose layout is among those of a recording.
    ///
    /// # Errors
    ///
    /// When the recording has no layout for it, or one that cannot be.
    pub fn new<T: Recorded>(recorded: &Layouts) -> Result<Self> {
        let recorded =
            recorded.get(T::NAME).with_context(|| format!("no layout of {}", T::NAME))?;
        recorded.check().with_context(|| format!("the layout of {}", T::NAME))?;
        let present = of::<T>();
        let copies = (*recorded != present).then(|| copies(recorded, &present));
        Ok(Self { size: recorded.size as usize, copies })
    }

    /// Takes one from the front of `bytes`; `None` where there are too few.
    pub fn take<T: Recorded>(&self, bytes: &mut &[u8]) -> Option<T> {
        let (own, rest) = bytes.split_at_checked(self.size)?;
        *bytes = rest;
        let Some(copies) = &self.copies else { return T::from_bytes(own) };
        let mut now = vec![0; T::SIZE];
        for &(from, to, count) in copies {
            now.get_mut(to..to + count)?.copy_from_slice(own.get(from..from + count)?);
        }
        T::from_bytes(&now)
    }
}

/// Integers are little-endian, so one that was wider or narrower is copied from its low end.
fn copies(recorded: &Layout, present: &Layout) -> Vec<(usize, usize, usize)> {
    let from = |name: &str| recorded.fields.iter().find(|(own, ..)| own == name);
    let fields = present.fields.iter().filter_map(|(name, to, size)| {
        let (_, from, recorded_size) = from(name)?;
        Some((*from as usize, *to as usize, *size.min(recorded_size) as usize))
    });
    fields.collect()
}

impl Layout {
    fn check(&self) -> Result<()> {
        ensure!(self.size > 0 && self.size <= MOST_BYTES, "{} bytes", self.size);
        ensure!(self.fields.len() <= MOST_FIELDS, "{} fields", self.fields.len());
        for (name, offset, size) in &self.fields {
            let end = offset.checked_add(*size).filter(|end| *end <= self.size);
            ensure!(end.is_some(), "field {name} is outside of it");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_each_struct_fill_it() {
        for (name, layout) in present() {
            layout.check().unwrap();
            let filled: u32 = layout.fields.iter().map(|(.., size)| size).sum();
            assert_eq!(filled, layout.size, "{name}");
        }
    }

    #[test]
    fn a_struct_from_before_a_field_was_added_is_read_field_by_field() {
        let whole = SeenRow { cookie: 7, since_ns: 9, snd_una: 3, state: 8, ..SeenRow::default() };
        let bytes = [&7_u64.to_le_bytes()[..], &[8], &3_u16.to_le_bytes(), &[99]].concat();
        let fields = [("cookie", 0, 8), ("state", 8, 1), ("snd_una", 9, 2), ("gone", 11, 1)];
        let fields = fields.map(|(name, offset, size)| (name.to_owned(), offset, size)).to_vec();
        let old = Layouts::from([("seen".to_owned(), Layout { size: 12, fields })]);
        let mapping = Mapping::new::<SeenRow>(&old).unwrap();
        let read: SeenRow = mapping.take(&mut &bytes[..]).unwrap();
        assert_eq!(read, SeenRow { since_ns: 0, ..whole });
        assert_eq!(mapping.take::<SeenRow>(&mut &bytes[..11]), None);
    }

    #[test]
    fn a_layout_that_cannot_be_is_an_error() {
        let wrong = |size, offset, field_size| {
            let fields = vec![("cookie".to_owned(), offset, field_size)];
            let all = Layouts::from([("seen".to_owned(), Layout { size, fields })]);
            Mapping::new::<SeenRow>(&all).is_err()
        };
        assert!(!wrong(8, 0, 8));
        assert!(wrong(8, 1, 8) && wrong(8, u32::MAX, 8) && wrong(0, 0, 0) && wrong(1 << 30, 0, 8));
        assert!(Mapping::new::<SeenRow>(&Layouts::new()).is_err());
    }
}
