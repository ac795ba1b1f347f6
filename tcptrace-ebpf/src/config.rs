//! Constants that user space writes before loading: field offsets and settings.

use core::ffi::c_void;
use core::ptr::read_volatile;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use tcptrace_common::field::{self, ABSENT, Field};
use tcptrace_common::setting::{self, Setting};

#[unsafe(no_mangle)]
static OFFSETS: [u32; field::COUNT] = [ABSENT; field::COUNT];

#[unsafe(no_mangle)]
static SETTINGS: [u64; setting::COUNT] = [0; setting::COUNT];

/// The value of a setting. A constant to the verifier, because the map behind it is frozen.
#[inline(always)]
pub fn setting(setting: Setting) -> u64 {
    // SAFETY: the discriminant is an index in the array; volatile, or the compiler would take
    // the initial value for the final one.
    unsafe { read_volatile(&raw const SETTINGS[setting as usize]) }
}

#[inline(always)]
fn offset(field: Field) -> u32 {
    // SAFETY: as in `setting`.
    unsafe { read_volatile(&raw const OFFSETS[field as usize]) }
}

/// Whether this kernel has the field.
#[inline(always)]
pub fn has(field: Field) -> bool {
    offset(field) != ABSENT
}

/// Address of a field of the struct at `base`.
#[inline(always)]
pub fn address(base: *const c_void, field: Field) -> *const c_void {
    base.wrapping_byte_add(offset(field) as usize)
}

/// Copies a field of the struct at any address; `None` where the kernel lacks the field or the
/// address is bad.
#[inline(always)]
pub fn read<T>(base: *const c_void, field: Field) -> Option<T> {
    if !has(field) {
        return None;
    }
    // SAFETY: the helper checks the address and fails on a bad one.
    unsafe { bpf_probe_read_kernel(address(base, field).cast::<T>()) }.ok()
}

/// As [`read`], following a pointer; `None` also where it is null.
#[inline(always)]
pub fn read_pointer(base: *const c_void, field: Field) -> Option<*const c_void> {
    read::<*const c_void>(base, field).filter(|pointer| !pointer.is_null())
}

/// Loads a field straight from memory, which costs less than a copy and keeps the type of a
/// pointer known to the verifier.
///
/// # Safety
///
/// `base` is a pointer whose type the verifier knows (a program's argument, or loaded from one),
/// not null, and `T` is the field's type. The verifier checks offset and size against the type
/// and refuses to load the program where they do not fit.
#[inline(always)]
pub unsafe fn load<T: Copy>(base: *const c_void, field: Field) -> T {
    // SAFETY: promised by the caller, checked by the verifier.
    unsafe { read_volatile(address(base, field).cast::<T>()) }
}

/// As [`load`], `skip` bytes further: a part of a field that is longer than a register.
///
/// # Safety
///
/// As [`load`]; the part lies within the field.
#[inline(always)]
pub unsafe fn load_part<T: Copy>(base: *const c_void, field: Field, skip: usize) -> T {
    // SAFETY: promised by the caller, checked by the verifier.
    unsafe { read_volatile(address(base, field).wrapping_byte_add(skip).cast::<T>()) }
}
