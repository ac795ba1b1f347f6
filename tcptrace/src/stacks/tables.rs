//! Unwind tables of a file: `.eh_frame` and its index `.eh_frame_hdr`.
//!
//! They are read into memory, not mapped ([`super::elf`] says why), and dropped when nothing has
//! asked for them for a while: a process needs a few dozen rules and then none any more.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use gimli::{
    BaseAddresses, EhFrame, EhFrameHdr, EhFrameOffset, EhHdrTable, EndianSlice,
    FrameDescriptionEntry, LittleEndian, Pointer, UnwindContext, UnwindSection as _,
    UnwindTableRow,
};

use super::arch::Arch;
use super::elf::{Elf, MAX_SECTION_BYTES, Range};
use super::open::Code;
use crate::errand::{self, HeldUp, What};

/// Without an index `.eh_frame` is searched from its start; more than this is not.
const MAX_SEARCHED_BYTES: usize = 4 << 20;
/// Longest description of one function. The largest of real files are some 10 KB long.
const MAX_ENTRY_BYTES: usize = 256 << 10;
/// Most bytes of tables that are kept, over all files.
const MAX_KEPT_BYTES: usize = 256 << 20;

/// Bytes of a section.
pub type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// Tables of one file.
#[derive(Debug)]
pub struct Tables {
    eh_frame: Vec<u8>,
    eh_frame_hdr: Option<Vec<u8>>,
    bases: BaseAddresses,
}

/// The row of the table that holds at an address.
pub struct Row<'a> {
    /// Where the CFA and the registers are.
    pub row: &'a UnwindTableRow<usize>,
    /// What the registers are.
    pub arch: Arch,
    /// Whether the function is what a signal handler returns to.
    pub is_signal: bool,
    /// The section, for expressions.
    pub section: EhFrame<Bytes<'a>>,
}

impl Tables {
    /// Reads them; `None`: the file has none, or they cannot be read.
    #[must_use]
    pub fn read(file: &File, elf: &Elf) -> Option<Self> {
        let hdr = elf.eh_frame_hdr.and_then(|hdr| Some((hdr, hdr.read(file, MAX_SECTION_BYTES)?)));
        let hdr_address = hdr.as_ref().map_or(0, |(range, _)| range.address);
        let bases =
            BaseAddresses::default().set_text(elf.text_address).set_eh_frame_hdr(hdr_address);
        let hdr = hdr.map(|(_, bytes)| bytes);
        let section = elf.eh_frame.or_else(|| located(elf, hdr.as_deref()?, &bases))?;
        let eh_frame = section.read(file, MAX_SECTION_BYTES)?;
        Some(Self { eh_frame, eh_frame_hdr: hdr, bases: bases.set_eh_frame(section.address) })
    }

    /// Calls `with` with the row of an address in the file's own numbering; `None` where no
    /// function is described there.
    pub fn row<T>(
        &self,
        context: &mut UnwindContext<usize>,
        arch: Arch,
        address: u64,
        with: impl FnOnce(Row<'_>) -> T,
    ) -> Option<T> {
        let mut section = EhFrame::new(&self.eh_frame, LittleEndian);
        section.set_vendor(arch.vendor());
        let function = self.function(&section, address)?;
        if function.entry_len() > MAX_ENTRY_BYTES || function.cie().entry_len() > MAX_ENTRY_BYTES {
            return None;
        }
        let is_signal = function.is_signal_trampoline();
        let row = function.unwind_info_for_address(&section, &self.bases, context, address).ok()?;
        Some(with(Row { row, arch, is_signal, section }))
    }

    fn function<'a>(
        &'a self,
        section: &EhFrame<Bytes<'a>>,
        address: u64,
    ) -> Option<FrameDescriptionEntry<Bytes<'a>>> {
        let index = self.eh_frame_hdr.as_deref();
        let index = index.and_then(|bytes| {
            EhFrameHdr::new(bytes, LittleEndian).parse(&self.bases, size_of::<u64>() as u8).ok()
        });
        if let Some(table) = index.as_ref().and_then(|index| index.table()) {
            return self.indexed(section, &table, address);
        }
        if self.eh_frame.len() > MAX_SEARCHED_BYTES {
            return None;
        }
        section.fde_for_address(&self.bases, address, EhFrame::cie_from_offset).ok()
    }

    fn indexed<'a>(
        &self,
        section: &EhFrame<Bytes<'a>>,
        table: &EhHdrTable<'_, Bytes<'a>>,
        address: u64,
    ) -> Option<FrameDescriptionEntry<Bytes<'a>>> {
        // gimli (0.33) multiplies the count that the file claims by the size of a row unchecked.
        let (_, rows) = table.iter(&self.bases).size_hint();
        if rows.is_none_or(|rows| rows > self.size_bytes()) {
            return None;
        }
        let Pointer::Direct(start) = table.lookup(address, &self.bases).ok()? else { return None };
        let offset = start.checked_sub(self.bases.eh_frame.section?)?;
        let offset = EhFrameOffset(usize::try_from(offset).ok()?);
        let function =
            section.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset).ok()?;
        function.contains(address).then_some(function)
    }

    fn size_bytes(&self) -> usize {
        self.eh_frame.len() + self.eh_frame_hdr.as_ref().map_or(0, Vec::len)
    }

    /// The section and what its pointers are relative to.
    #[cfg(test)]
    pub fn section(&self) -> (EhFrame<Bytes<'_>>, &BaseAddresses) {
        (EhFrame::new(&self.eh_frame, LittleEndian), &self.bases)
    }
}

/// Where the index says that `.eh_frame` begins, in a file without section headers. It is taken to
/// reach to the end of its segment; it ends itself before.
fn located(elf: &Elf, hdr: &[u8], bases: &BaseAddresses) -> Option<Range> {
    let hdr = EhFrameHdr::new(hdr, LittleEndian).parse(bases, size_of::<u64>() as u8).ok()?;
    match hdr.eh_frame_ptr() {
        Pointer::Direct(address) => elf.loaded_from(address),
        Pointer::Indirect(_) => None,
    }
}

/// Tables of files that rules were lately compiled for, by the file's number.
#[derive(Debug, Default)]
pub struct TableCache {
    kept: HashMap<u64, Kept>,
    size_bytes: usize,
}

#[derive(Debug)]
struct Kept {
    tables: Option<Tables>,
    is_used: bool,
}

impl TableCache {
    /// The tables of a program that a process has mapped.
    ///
    /// # Errors
    ///
    /// Its file system does not answer.
    pub fn of(&mut self, pid: u32, code: &Arc<Code>) -> Result<Option<&Tables>, HeldUp> {
        let id = code.id;
        if !self.kept.contains_key(&id) {
            let code = Arc::clone(code);
            let tables = errand::run(pid, What::File(code.module.id.inode()), move || {
                Tables::read(&code.module.file, code.elf()?)
            })?;
            let size_bytes = tables.as_ref().map_or(0, Tables::size_bytes);
            if self.size_bytes + size_bytes > MAX_KEPT_BYTES {
                *self = Self::default();
            }
            self.size_bytes += size_bytes;
            self.kept.insert(id, Kept { tables, is_used: true });
        }
        Ok(self.kept.get_mut(&id).and_then(|kept| {
            kept.is_used = true;
            kept.tables.as_ref()
        }))
    }

    /// Drops those that were not used since the last sweep.
    pub fn sweep(&mut self) {
        self.kept.retain(|_, kept| std::mem::take(&mut kept.is_used));
        let tables = self.kept.values().filter_map(|kept| kept.tables.as_ref());
        self.size_bytes = tables.map(Tables::size_bytes).sum();
    }
}
