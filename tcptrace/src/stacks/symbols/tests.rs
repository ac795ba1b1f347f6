use std::ffi::CString;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::stacks::file_id::FileId;
use crate::stacks::module::Module;

fn module(path: &str, file: File, build_id: Option<Vec<u8>>) -> Arc<Module> {
    let id = FileId::of(&file.metadata().unwrap());
    Arc::new(Module { path: path.to_owned(), build_id, id, file })
}

/// This program.
fn own() -> Arc<Module> {
    module("/srv/own", File::open("/proc/self/exe").unwrap(), Some(vec![0xab, 0x01]))
}

/// Offset of an address in this program's file.
fn offset_of(address: u64) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let found = maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let offset = hex(fields.nth(1)?);
        (hex(start)..hex(end)).contains(&address).then(|| address - hex(start) + offset)
    });
    found.unwrap()
}

fn at(module: &Arc<Module>, offset: u64, is_leaf: bool) -> Place {
    let origin = Origin::File(Arc::clone(module), offset);
    Place { address: offset.wrapping_add(0x7000_0000), is_leaf, origin }
}

fn raw(frames: Vec<Place>) -> RawStack {
    RawStack {
        task: Task::default(),
        status: StackStatus::Ok,
        frames,
        python: Vec::new(),
        is_provisional: false,
    }
}

fn key(raw: &RawStack) -> String {
    Namer::new().name(raw).key.unwrap()
}

#[inline(never)]
fn a_function_of_this_test() -> u64 {
    std::hint::black_box(std::process::id()).into()
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn an_inlined_function() -> u64 {
    let here: u64;
    // The address behind the instruction, as a return address is.
    // SAFETY: it reads the instruction pointer and touches nothing else.
    unsafe { std::arch::asm!("lea {}, [rip]", out(reg) here) };
    here
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn a_caller() -> u64 {
    std::hint::black_box(an_inlined_function())
}

#[test]
fn functions_have_names_files_and_lines() {
    let start = offset_of(a_function_of_this_test as *const () as u64);
    let stack =
        Namer::new().name(&raw(vec![at(&own(), start, true), at(&own(), start + 1, false)]));
    for frame in [&stack.frames[0], stack.frames.last().unwrap()] {
        let function = frame.function.as_deref().unwrap();
        assert!(function.ends_with("::a_function_of_this_test"), "{function}");
        assert!(frame.file.as_deref().unwrap().ends_with("symbols/tests.rs"));
        assert!(frame.line.is_some());
        assert_eq!(frame.module.as_deref(), Some("/srv/own"));
        assert_eq!(frame.build_id.as_deref(), Some("ab01"));
    }
    assert_eq!(stack.frames[0].offset, Some(start));
    assert_eq!(stack.frames.last().unwrap().offset, Some(start + 1), "shown as it was taken");
}

#[test]
fn a_return_address_belongs_to_the_call_before_it() {
    let start = offset_of(a_function_of_this_test as *const () as u64);
    let name = |is_leaf| {
        let stack = Namer::new().name(&raw(vec![at(&own(), start, is_leaf)]));
        stack.frames[0].function.clone().unwrap_or_default()
    };
    assert!(name(true).contains("a_function_of_this_test"));
    assert!(!name(false).contains("a_function_of_this_test"));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_was_inlined_is_a_frame_of_its_own() {
    let stack = Namer::new().name(&raw(vec![at(&own(), offset_of(a_caller()), false)]));
    let frames: Vec<_> = stack
        .frames
        .iter()
        .map(|frame| {
            (frame.function.as_deref().unwrap().rsplit("::").next().unwrap(), frame.inlined)
        })
        .collect();
    assert_eq!(frames, [("an_inlined_function", true), ("a_caller", false)]);
    assert!(stack.frames[0].line < stack.frames[1].line, "each with its own line: {stack:?}");
}

#[test]
fn what_has_no_name_keeps_its_place() {
    let broken = std::env::temp_dir().join(format!("tcptrace-{}-broken", std::process::id()));
    File::create(&broken).unwrap().write_all(b"\x7fELF and nothing more").unwrap();
    let broken_module = module("/srv/broken", File::open(&broken).unwrap(), None);
    std::fs::remove_file(&broken).unwrap();
    let null = module("/dev/null", File::open("/dev/null").unwrap(), None);
    let start = offset_of(a_function_of_this_test as *const () as u64);
    let places = vec![
        at(&broken_module, 0x10, true),
        at(&null, 7, false),
        at(&own(), u64::MAX - 5, false),
        at(&own(), 0, false),
        at(&own(), start + 1, false),
    ];
    let stack = Namer::new().name(&raw(places));
    assert_eq!(stack.frames[0].function, None);
    assert_eq!(stack.frames[0].module.as_deref(), Some("/srv/broken"));
    assert_eq!((stack.frames[1].offset, stack.frames[2].function.clone()), (Some(7), None));
    let last = stack.frames.last().unwrap().function.as_deref().unwrap();
    assert!(last.contains("a_function_of_this_test"), "one bad address spoils nothing: {last}");
}

#[test]
fn frames_that_are_in_no_file() {
    let place = |origin| Place { address: 0x1000, is_leaf: false, origin };
    let raw = raw(vec![place(Origin::Vdso), place(Origin::Jit), place(Origin::Unknown)]);
    let stack = Namer::new().name(&raw);
    assert_eq!(stack.frames[0].module.as_deref(), Some("[vdso]"));
    assert_eq!(stack.frames[1].language, Language::Jit);
    assert!(stack.frames.iter().all(|frame| frame.address == Some(0x1000)));
    assert_eq!(stack.key, Some(key(&raw)));
}

#[test]
fn python_comes_first() {
    let place =
        PythonPlace { function: "serve".into(), file: "/srv/app.py".into(), line: Some(11) };
    let raw = RawStack { python: vec![place], ..raw(vec![at(&own(), 0, true)]) };
    let stack = Namer::new().name(&raw);
    let first = &stack.frames[0];
    assert_eq!((first.language, first.line, first.address), (Language::Python, Some(11), None));
    assert_eq!(stack.frames[1].language, Language::Native);
}

#[test]
fn a_key_is_that_of_the_call_path() {
    let file = || File::open("/dev/null").unwrap();
    let (a, again) = (module("/a", file(), Some(vec![1])), module("/b", file(), Some(vec![1])));
    let moved = |place: Place| Place { address: place.address + 0x1000, ..place };
    let first = key(&raw(vec![at(&a, 5, true)]));
    assert_eq!(first.len(), 16);
    assert_eq!(first, key(&raw(vec![moved(at(&again, 5, true))])), "wherever it is loaded");
    assert_ne!(first, key(&raw(vec![at(&a, 6, true)])));
    let other = module("/a", file(), Some(vec![2]));
    assert_ne!(first, key(&raw(vec![at(&other, 5, true)])), "another build");
    let (plain, deleted) = (module("/c", file(), None), module("/c (deleted)", file(), None));
    assert_eq!(key(&raw(vec![at(&plain, 5, true)])), key(&raw(vec![at(&deleted, 5, true)])));
    let cut =
        RawStack { status: StackStatus::Truncated("why".into()), ..raw(vec![at(&a, 5, true)]) };
    assert_ne!(first, key(&cut));
}

#[test]
fn a_key_of_python_is_made_of_python_alone() {
    let place = |line| PythonPlace { function: "f".into(), file: "a.py".into(), line: Some(line) };
    let with = |line, offset| RawStack {
        python: vec![place(line)],
        ..raw(vec![at(&own(), offset, true)])
    };
    assert_eq!(key(&with(1, 16)), key(&with(1, 32)));
    assert_ne!(key(&with(1, 16)), key(&with(2, 16)));
}

#[test]
fn without_a_stack_there_is_no_key() {
    let not_traced = RawStack { status: StackStatus::default(), ..raw(Vec::new()) };
    let failed = RawStack { status: StackStatus::Failed("gone".into()), ..raw(Vec::new()) };
    assert_eq!(Namer::new().name(&not_traced), Stack::default());
    assert_eq!(Namer::new().name(&failed).key, None);
}

/// A file that blocks whoever opens it: a pipe without a writer. A debug link can lead to one.
#[test]
fn a_reader_that_is_stuck_costs_the_names_of_one_file() {
    let path = std::env::temp_dir().join(format!("tcptrace-{}-stuck", std::process::id()));
    let name = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path ends with NUL and lives until the call returns.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let pipe = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let plain = Frame { offset: Some(1), ..Frame::default() };
    let mut natives = Natives::default();
    natives.patience = Duration::from_millis(300);
    let stuck = module("/pipe", pipe, None);
    assert_eq!(natives.frames(&stuck, 1, &plain), slice::from_ref(&plain));
    let before = Instant::now();
    assert_eq!(natives.frames(&stuck, 2, &plain), slice::from_ref(&plain));
    assert!(before.elapsed() < Duration::from_millis(300), "it is not asked about again");
    natives.patience = Duration::from_secs(60);
    let start = offset_of(a_function_of_this_test as *const () as u64);
    let named = natives.frames(&own(), start, &plain);
    assert!(named.last().unwrap().function.is_some(), "another file has its names: {named:?}");
}
