//! Memory, word by word. What the compiler makes of an assignment of zeros is a call of `memset`,
//! which here is a loop over bytes: 100 ns for what is remembered of a socket. A copy between two
//! values of which it does not know that they are two is a loop over bytes too.

use tcptrace_common::Wire;

const WORD: usize = size_of::<u64>();

/// Copies a value that may be the same one.
#[inline(always)]
pub fn copy<T: Wire>(from: &T, to: &mut T) {
    const { assert!(align_of::<T>() == WORD && size_of::<T>().is_multiple_of(WORD)) };
    let (from, to) = ((&raw const *from).cast::<u64>(), (&raw mut *to).cast::<u64>());
    for index in 0..size_of::<T>() / WORD {
        // SAFETY: within the values, which are made of words.
        unsafe { to.add(index).write_volatile(from.add(index).read_volatile()) };
    }
}

/// Makes every byte 0, which is a value of every wire type.
#[inline(always)]
pub fn clear<T: Wire>(value: &mut T) {
    const { assert!(align_of::<T>() == WORD && size_of::<T>().is_multiple_of(WORD)) };
    let words = (&raw mut *value).cast::<u64>();
    for index in 0..size_of::<T>() / WORD {
        // SAFETY: within the value, which is made of words; volatile, or it would be `memset`
        // again.
        unsafe { words.add(index).write_volatile(0) };
    }
}

/// Two words in the order in which they lie in memory. The target is little-endian (`bpfel`).
#[inline(always)]
pub fn bytes(words: [u64; 2]) -> [u8; 16] {
    let [low, high] = words;
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}
