//! Words of the user's stack, read a piece at a time: reading one word costs nearly as much as
//! reading a hundred.

use aya_ebpf::helpers::generated::bpf_probe_read_user;

use super::word;
use crate::opaque::opaque;

/// Words of a piece.
pub const WINDOW: usize = 128;
/// A base that no piece has.
pub const NO_WINDOW: u64 = 1;

/// A piece of the stack.
pub struct Window<'a> {
    pub words: &'a mut [u64; WINDOW],
    /// Address of the first word, or [`NO_WINDOW`].
    pub base: u64,
}

impl Window<'_> {
    /// The word at an address, for the walk through a frame that begins at `sp`.
    #[inline(always)]
    pub fn word(&mut self, sp: u64, address: u64) -> Option<u64> {
        if !self.has(address) {
            // All of a small frame and the next ones; of a large one its end, where the return
            // address is.
            let is_near = address.wrapping_sub(sp) < 4 * WINDOW as u64;
            self.fill(if is_near { sp } else { address.wrapping_sub(64) });
            if !self.has(address) {
                // It cannot be read as a piece, because the stack ends there.
                return word(address);
            }
        }
        let index = opaque(address.wrapping_sub(self.base) >> 3) as usize;
        Some(self.words[index & (WINDOW - 1)])
    }

    #[inline(always)]
    fn has(&self, address: u64) -> bool {
        let offset = address.wrapping_sub(self.base);
        offset < 8 * WINDOW as u64 && offset & 7 == 0
    }

    #[inline(always)]
    fn fill(&mut self, base: u64) {
        let (to, length) = (self.words.as_mut_ptr().cast(), size_of::<[u64; WINDOW]>() as u32);
        // SAFETY: the helper fills the array from any address, or fails.
        let result = unsafe { bpf_probe_read_user(to, length, base as *const _) };
        self.base = if result == 0 { base } else { NO_WINDOW };
    }
}
