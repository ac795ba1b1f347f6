//! The ABI between the kernel side and the user side of tcptrace.
//!
//! Everything that crosses the border lives here: ring-buffer records, iterator rows, what the
//! kernel side remembers of a socket, counters, settings, and the list of kernel struct fields
//! whose offsets user space looks up. Wire structs hold fixed-width integers and byte arrays
//! only, their padding is explicit and their sizes are asserted, so any bytes are a valid value
//! and decoding is a matter of checked reads. This crate depends on nothing.
#![no_std]

pub mod census;
pub mod counter;
pub mod field;
pub mod histogram;
pub mod jiffies;
pub mod memory;
pub mod mini;
pub mod python;
pub mod record;
pub mod row;
pub mod setting;
pub mod stack;
pub mod tcp;
pub mod trail;
pub mod unwind;

/// Marks a `#[repr(C)]` type of integers and byte arrays without implicit padding: every bit
/// pattern is a valid value, and its bytes can be written and read as they are.
///
/// # Safety
///
/// The implementor has no padding bytes, no pointers, no `bool`, no `enum`.
pub unsafe trait Wire: Copy + 'static {
    /// Size on the wire in bytes.
    const SIZE: usize = size_of::<Self>();

    /// Reads a value from the start of `bytes`; `None` where there are too few.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::SIZE)?;
        // SAFETY: the slice holds `SIZE` bytes, every bit pattern is valid (contract of this
        // trait), and `read_unaligned` asks for no alignment.
        Some(unsafe { core::ptr::read_unaligned(bytes.as_ptr().cast::<Self>()) })
    }

    /// The value's bytes.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: the type has no padding (contract of this trait), so all `SIZE` bytes behind
        // the reference are initialised for its lifetime.
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(self).cast::<u8>(), Self::SIZE) }
    }
}

/// Implements [`Wire`] for a `#[repr(C)]` struct and asserts its size, so that a field added
/// without its padding fails to compile.
macro_rules! wire {
    ($type:ty, $size:expr) => {
        // SAFETY: `#[repr(C)]`, integers and byte arrays only; the assertion below fails when
        // implicit padding or a new field changes the size.
        unsafe impl $crate::Wire for $type {}
        const _: () = assert!(core::mem::size_of::<$type>() == $size);
    };
}
pub(crate) use wire;
