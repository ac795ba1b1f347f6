//! Against real interpreters: every one that is found here, and at least one that is supported.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tcptrace_common::stack::{MAX_PYTHON, PythonFrame};

use super::discover::Unfit;
use super::discover::{Thread, threads};
use super::walk::walk;
use super::*;

const BLOCKED: &str = include_str!("blocked.py");
const IDLE: &str = "import time; print('begun', flush=True); time.sleep(600)";
const LINES: &str = include_str!("lines.py");

/// Function, file and line, as Python tells them.
type Told = (String, String, Option<u32>);

/// The interpreters on this machine, with their minor versions of CPython 3.
fn interpreters() -> Vec<(PathBuf, u32)> {
    static FOUND: OnceLock<Vec<(PathBuf, u32)>> = OnceLock::new();
    FOUND.get_or_init(look_for_interpreters).clone()
}

fn look_for_interpreters() -> Vec<(PathBuf, u32)> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let versions = std::fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten();
    let own = versions.flatten().map(|entry| entry.path().join("bin/python3"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<_> = std::env::split_paths(&path).chain(["/usr/bin".into()]).collect();
    let names = (8..20).map(|minor| format!("python3.{minor}")).chain(["python3".to_owned()]);
    let named = names.flat_map(|name| dirs.iter().map(move |dir| dir.join(&name)));
    // What a version manager puts into the path are scripts: ask each for its real file.
    let real: BTreeSet<_> = own.chain(named).filter_map(|path| ask(&path)).collect();
    real.into_iter().filter(|(_, minor)| *minor > 0).collect()
}

fn ask(path: &Path) -> Option<(PathBuf, u32)> {
    const QUESTION: &str = "import sys, os; print(os.path.realpath(sys.executable), \
        sys.version_info[1] * (sys.implementation.name == 'cpython'))";
    let output = Command::new(path).args(["-c", QUESTION]).stderr(Stdio::null()).output().ok()?;
    let (path, minor) = str::from_utf8(&output.stdout).ok()?.trim_end().rsplit_once(' ')?;
    Some((path.into(), minor.parse().ok()?))
}

fn supported() -> Vec<(PathBuf, u32)> {
    let all = interpreters().into_iter();
    let supported: Vec<_> = all.filter(|(_, minor)| (11..=14).contains(minor)).collect();
    assert!(!supported.is_empty(), "these tests need CPython 3.11 or newer");
    supported
}

/// An interpreter that runs a script until it is dropped.
struct Script(Child);

impl Script {
    fn start(interpreter: &Path, script: &str) -> Self {
        let mut command = Command::new(interpreter);
        command.args(["-X", "utf8", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The next line that it prints; the script must print one.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let output = self.0.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the script has failed");
        line
    }

    fn discover(&self) -> PythonProcess {
        PythonProcess::discover(self.pid(), &loaded(self.pid())).unwrap().unwrap()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first mapping of each file.
fn loaded(pid: u32) -> Vec<LoadedFile> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut seen = BTreeSet::new();
    let file = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let name = fields.get(5).filter(|name| name.starts_with('/'))?;
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        seen.insert((*name).to_owned()).then(|| LoadedFile {
            name: (*name).to_owned(),
            path: format!("/proc/{pid}/root{name}").into(),
            start: number(fields[0].split('-').next().unwrap()),
            offset: number(fields[2]),
        })
    };
    maps.lines().filter_map(file).collect()
}

fn stacks_told(line: &str) -> BTreeMap<u64, Vec<Told>> {
    let stacks: BTreeMap<String, Vec<Told>> = serde_json::from_str(line).unwrap();
    stacks.into_iter().map(|(id, frames)| (id.parse().unwrap(), frames)).collect()
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What is to be seen of a stack that Python tells.
fn expected(told: &[Told]) -> Vec<PythonPlace> {
    let place = |(function, file, line): &Told| PythonPlace {
        function: cut(function, 256),
        file: cut(file, 1024),
        line: *line,
    };
    told.iter().take(MAX_PYTHON).map(place).collect()
}

#[test]
fn stacks_of_blocked_threads_are_what_python_says() {
    for (interpreter, _) in supported() {
        let mut script = Script::start(&interpreter, BLOCKED);
        let told = stacks_told(&script.line());
        assert!(told.len() >= 14, "{}", told.len());
        let mut process = script.discover();
        let layout = process.layout();
        for (id, told) in &told {
            let (frames, is_cut) = walk(&process.memory, *id, &layout);
            let named = process.name(&frames);
            assert_eq!(named.places, expected(told), "{}", interpreter.display());
            assert_eq!(named.unknown, 0);
            assert_eq!(is_cut, told.len() > MAX_PYTHON);
            assert_eq!(process.name(&frames), named, "and from what is remembered");
        }
        check_threads(&process, &told.keys().copied().collect());
    }
}

fn check_threads(process: &PythonProcess, told: &BTreeSet<u64>) {
    let found = &process.found;
    let threads = threads(&process.memory, found.runtime, &found.offsets.threads);
    let ids: BTreeSet<_> = threads.iter().map(|thread| thread.id).collect();
    assert!(ids.is_superset(told));
    for Thread { state, id } in threads {
        let slot = id.wrapping_add_signed(process.layout().slot.into());
        assert_eq!(process.memory.word(slot), Some(state));
    }
}

#[test]
fn a_thread_that_runs_has_the_same_slot() {
    const BUSY: &str = "print('begun', flush=True)\nwhile True: pass";
    for (interpreter, _) in supported() {
        let [busy, idle] = [BUSY, IDLE].map(|text| {
            let mut script = Script::start(&interpreter, text);
            script.line();
            script.discover().layout().slot
        });
        assert_eq!(busy, idle, "{}", interpreter.display());
    }
}

#[test]
fn a_forked_child_is_walked_like_its_parent() {
    const FORKING: &str = "
import os, threading, time, warnings
warnings.simplefilter('ignore')
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
def serve():
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    print(child, threading.get_ident(), flush=True)
    time.sleep(600)
serve()";
    for (interpreter, _) in supported() {
        let mut script = Script::start(&interpreter, FORKING);
        let line = script.line();
        let (child, id) = line.trim_end().split_once(' ').unwrap();
        let (child, id): (u32, u64) = (child.parse().unwrap(), id.parse().unwrap());
        let parent = script.discover();
        let mut forked = parent.forked(child).unwrap();
        let is_waiting = || lines_of(&mut forked, id) == [Some(10), Some(14)];
        soon(is_waiting, "the child never waited");
        let own = PythonProcess::discover(child, &loaded(child)).unwrap().unwrap();
        assert_eq!(own.layout(), parent.layout());
    }
}

fn lines_of(process: &mut PythonProcess, id: u64) -> Vec<Option<u32>> {
    let (frames, _) = walk(&process.memory, id, &process.layout());
    process.name(&frames).places.iter().map(|place| place.line).collect()
}

fn soon(mut holds: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn frames_that_are_none_are_unknown_and_keep_their_place() {
    let (interpreter, _) = supported().remove(0);
    let mut script = Script::start(&interpreter, IDLE);
    script.line();
    let mut process = script.discover();
    let runtime = process.found.runtime;
    let frame = |code| PythonFrame { code, instruction: runtime };
    let named = process.name(&[frame(0), frame(u64::MAX), frame(runtime), frame(1 << 63)]);
    assert_eq!(named.unknown, 4);
    assert!(named.places.iter().all(|place| place.function == UNKNOWN && place.line.is_none()));
    drop(script);
    assert_eq!(process.name(&[frame(runtime)]).unknown, 1, "it is gone");
}

#[test]
fn old_versions_say_so_and_others_are_none() {
    for (interpreter, minor) in interpreters().into_iter().filter(|(_, minor)| *minor < 11) {
        let mut script = Script::start(&interpreter, IDLE);
        script.line();
        let reason = PythonProcess::discover(script.pid(), &loaded(script.pid())).unwrap_err();
        let told = format!("CPython 3.{minor}: Python frames need 3.11 or newer");
        assert_eq!(reason, Unfit::Never(told));
    }
    let own = std::process::id();
    assert!(PythonProcess::discover(own, &loaded(own)).unwrap().is_none());
}

/// First line, location table in hexadecimal, and how many code units there are of each line.
type Table = (u32, String, Vec<(u64, Option<u32>)>);

#[test]
fn lines_are_those_that_python_finds() {
    for (interpreter, _) in supported() {
        let output = Command::new(&interpreter).args(["-c", LINES]).output().unwrap();
        let tables: Vec<Table> = output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert!(tables.len() > 1000, "{}", String::from_utf8_lossy(&output.stderr));
        for (first, table, told) in &tables {
            check_table(*first, &unhex(table), told);
        }
    }
}

fn check_table(first: u32, table: &[u8], told: &[(u64, Option<u32>)]) {
    let mut offset = 0;
    for (units, line) in told {
        // A module's first instruction has line 0, which is none.
        let line = line.filter(|line| *line > 0);
        for at in [offset, offset + 2 * (units - 1)] {
            assert_eq!(lines::line_at(table, first, at), line, "offset {at}");
        }
        offset += 2 * units;
    }
    assert_eq!(lines::line_at(table, first, offset), None);
}

fn unhex(text: &str) -> Vec<u8> {
    let (digits, _) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.iter().map(byte).collect()
}
