//! The same stacks by another unwinder.

use std::ops::Range;

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, Module, Unwinder as _};

use super::super::elf::{self, Elf, MAX_SECTION_BYTES};
use super::super::mappings::{self, Mapping};
use super::super::open::{Files, Opened};
use super::capture::Captured;

/// Unwinds stacks of this process.
pub struct Oracle {
    unwinder: UnwinderX86_64<Vec<u8>>,
    cache: CacheX86_64<framehop::MayAllocateDuringUnwind>,
}

impl Oracle {
    pub fn new() -> Self {
        let mut unwinder = UnwinderX86_64::new();
        let mut files = Files::default();
        for mapping in mappings::read(std::process::id()).unwrap() {
            let Opened::Code(code) = files.open(std::process::id(), &mapping) else { continue };
            let Some(elf) = code.elf() else { continue };
            unwinder.add_module(module(&mapping, elf, &code.module.file));
        }
        Self { unwinder, cache: CacheX86_64::new_in() }
    }

    /// The program counters, innermost first.
    pub fn pcs(&mut self, captured: &Captured) -> Vec<u64> {
        let frame = captured.frame;
        let registers = UnwindRegsX86_64::new(frame.pc, frame.sp, frame.bp);
        let mut read = |address: u64| {
            let at = usize::try_from(address.checked_sub(frame.sp).ok_or(())?).map_err(|_| ())?;
            captured
                .copy
                .get(at..)
                .and_then(|bytes| bytes.first_chunk())
                .ok_or(())
                .map(|word| u64::from_le_bytes(*word))
        };
        let mut frames = self.unwinder.iter_frames(frame.pc, registers, &mut self.cache, &mut read);
        let mut pcs = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            pcs.push(frame.address());
        }
        pcs
    }
}

fn module(mapping: &Mapping, elf: &Elf, file: &std::fs::File) -> Module<Vec<u8>> {
    let first = (mapping.offset..).find(|offset| elf.code_address(*offset).is_some()).unwrap();
    let bias =
        (mapping.start + first - mapping.offset).wrapping_sub(elf.code_address(first).unwrap());
    let bytes =
        |range: Option<elf::Range>| range.and_then(|range| range.read(file, MAX_SECTION_BYTES));
    let svma = |range: Option<elf::Range>| -> Option<Range<u64>> {
        range.map(|range| range.address..range.address + range.size)
    };
    let info = ExplicitModuleSectionInfo {
        base_svma: 0,
        eh_frame_svma: svma(elf.eh_frame),
        eh_frame: bytes(elf.eh_frame),
        eh_frame_hdr_svma: svma(elf.eh_frame_hdr),
        eh_frame_hdr: bytes(elf.eh_frame_hdr),
        ..ExplicitModuleSectionInfo::default()
    };
    Module::new("module".to_owned(), mapping.start..mapping.end, bias, info)
}
