//! Damaged files and records.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use gimli::UnwindContext;
use tcptrace_common::Wire as _;
use tcptrace_common::stack::StackHeader;

use super::super::elf::Elf;
use super::super::receive::Stacks;
use super::super::rules::{self, Query, SIGRETURN_BYTES};
use super::super::tables::Tables;
use super::Random;
use super::capture::capture;

/// A small real file.
fn victim() -> Vec<u8> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains("ld-linux")).unwrap();
    std::fs::read(line.split_whitespace().last().unwrap()).unwrap()
}

fn in_memory(bytes: &[u8]) -> File {
    use std::os::fd::FromRawFd as _;
    // SAFETY: the name is a C string; the descriptor is new and owned by the file alone.
    let mut file = unsafe { File::from_raw_fd(libc::memfd_create(c"victim".as_ptr(), 0)) };
    file.write_all(bytes).unwrap();
    file
}

fn use_all(file: &File, random: &mut Random) {
    let Some(elf) = Elf::read(file) else { return };
    let tables = Tables::read(file, &elf);
    let mut context = UnwindContext::new();
    for _ in 0..50 {
        let offset = random.below(1 << 18) as u64;
        let address = elf.code_address(offset).unwrap_or(offset);
        let query = Query {
            pc: address,
            address,
            is_leaf: false,
            arch: elf.arch,
            is_go: false,
            code: [0; SIGRETURN_BYTES],
        };
        let _ = rules::compile(tables.as_ref(), &mut context, &query);
    }
}

#[test]
fn damaged_files_are_survived() {
    let (whole, mut random) = (victim(), Random(4));
    let elf = Elf::read(&in_memory(&whole)).unwrap();
    let (frame, hdr) = (elf.eh_frame.unwrap(), elf.eh_frame_hdr.unwrap());
    let started = Instant::now();
    for round in 0..3000 {
        let mut bytes = whole.clone();
        let (start, length) = match round % 4 {
            0 => (0, 64 + 56 * 12),
            1 => (frame.offset as usize, frame.size as usize),
            2 => (hdr.offset as usize, 12 + random.below(hdr.size as usize - 12)),
            _ => (whole.len() - 2048, 2048),
        };
        for _ in 0..1 + random.below(40) {
            bytes[start + random.below(length)] = random.byte();
        }
        if round % 16 == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        use_all(&in_memory(&bytes), &mut random);
    }
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
}

#[test]
fn random_records_are_survived() {
    let (mut random, mut stacks) = (Random(5), Stacks::new());
    for _ in 0..20_000 {
        let length = random.below(400);
        let bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        let _ = stacks.receive(&bytes);
    }
}

#[test]
fn damaged_records_and_stacks_are_survived() {
    let (captured, mut random, mut stacks) = (capture(), Random(6), Stacks::new());
    let whole = captured.record(&captured.header(1000), &[]);
    let started = Instant::now();
    for round in 0..3000 {
        let mut bytes = whole.clone();
        let limit = if round % 2 == 0 { StackHeader::SIZE + 8 } else { bytes.len() };
        for _ in 0..1 + random.below(30) {
            bytes[random.below(limit)] = random.byte();
        }
        let _ = stacks.receive(&bytes);
    }
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
