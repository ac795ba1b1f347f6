//! Every row of the tables of real files: the rule that the index leads to is that of the row.

use std::fs::File;
use std::time::Instant;

use gimli::{CieOrFde, EhFrame, UnwindContext, UnwindSection as _};
use tcptrace_common::unwind::cfa;

use super::super::arch::Arch;
use super::super::elf::Elf;
use super::super::rules::{self, NONE, Query, SIGRETURN_BYTES};
use super::super::tables::{Row, Tables};

#[derive(Debug, Default)]
struct Counts {
    rows: usize,
    by_cfa: [usize; 7],
    disagree: usize,
    compile_ns: u128,
}

fn query(arch: Arch, address: u64) -> Query {
    let code = [0; SIGRETURN_BYTES];
    Query { pc: address, address, is_leaf: true, arch, is_go: false, code }
}

/// Rows of functions that the linker dropped begin at 0 and are not in the index.
fn check(path: &str) -> Option<Counts> {
    let file = File::open(path).ok()?;
    let elf = Elf::read(&file)?;
    let tables = Tables::read(&file, &elf)?;
    let (mut section, bases) = tables.section();
    let arch = elf.arch;
    section.set_vendor(arch.vendor());
    let mut rows = UnwindContext::new();
    let mut context = UnwindContext::new();
    let mut counts = Counts::default();
    let mut entries = section.entries(bases);
    while let Some(entry) = entries.next().unwrap() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let fde = partial.parse(EhFrame::cie_from_offset).unwrap();
        let mut table = fde.rows(&section, bases, &mut rows).unwrap();
        while let Some(row) = table.next_row().unwrap() {
            if row.start_address() >= row.end_address() || fde.initial_address() == 0 {
                continue;
            }
            let address = row.start_address();
            let is_signal = fde.is_signal_trampoline();
            let expected = rules::of_row(&Row { row, arch, is_signal, section }, address);
            let start = Instant::now();
            let rule = rules::compile(Some(&tables), &mut context, &query(arch, address));
            counts.compile_ns += start.elapsed().as_nanos();
            counts.rows += 1;
            counts.by_cfa[usize::from(rule.cfa)] += 1;
            counts.disagree += usize::from(rule != expected.unwrap_or(NONE));
        }
    }
    Some(counts)
}

fn libc_path() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains("libc.so")).unwrap();
    line.split_whitespace().last().unwrap().to_owned()
}

#[test]
fn rules_of_the_c_library_and_of_this_program() {
    for path in [libc_path(), "/proc/self/exe".to_owned()] {
        let counts = check(&path).unwrap();
        println!("{path}: {counts:?}");
        assert!(counts.rows > 10_000, "{path}");
        assert_eq!(counts.disagree, 0, "{path}");
        let none = counts.by_cfa[usize::from(cfa::NONE)];
        assert!(none * 1000 < counts.rows, "{path}: {none} rows without a rule");
        assert!(counts.by_cfa[usize::from(cfa::END)] > 0, "{path}: `_start` or `clone` ends");
    }
}

#[test]
#[ignore = "takes long; reads large programs where the machine has them"]
fn rules_of_large_programs() {
    let jvm = "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so";
    let arm = "/usr/aarch64-linux-gnu/lib/libc.so.6";
    for path in ["/usr/bin/node", "/usr/sbin/nginx", "/usr/bin/python3", "/usr/bin/gdb", jvm, arm] {
        println!("{path}: {:?}", check(path));
    }
}
