use std::io::Write as _;
use std::os::unix::fs::symlink;

use super::*;
use crate::stacks::tests::capture::task;

/// A directory that is removed afterwards.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tcptrace-{}-{name}", std::process::id()));
        fs::create_dir_all(dir.join("tmp")).unwrap();
        Self(dir)
    }

    fn open(&self) -> io::Result<File> {
        open_in_root(&self.0, "tmp/perf-7.map")
    }

    fn map(&self) -> PathBuf {
        self.0.join("tmp/perf-7.map")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn me() -> u32 {
    fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn a_map_of_the_user_is_read() {
    let dir = Dir::new("map");
    fs::write(dir.map(), "10 10 f\n").unwrap();
    let map = MapFile::checked(dir.open().unwrap(), me()).unwrap();
    assert_eq!(map.read(), b"10 10 f\n");
}

#[test]
fn no_link_leads_out_of_the_root() {
    let dir = Dir::new("links");
    symlink("/etc/passwd", dir.map()).unwrap();
    assert!(dir.open().is_err(), "the file itself is a link");
    fs::remove_dir_all(dir.0.join("tmp")).unwrap();
    symlink("/etc", dir.0.join("tmp")).unwrap();
    assert!(open_in_root(&dir.0, "tmp/passwd").is_err(), "/etc is the one of the root");
    fs::create_dir(dir.0.join("etc")).unwrap();
    fs::write(dir.0.join("etc/passwd"), "inside").unwrap();
    let mut text = String::new();
    open_in_root(&dir.0, "tmp/passwd").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "inside");
}

#[test]
fn a_pipe_neither_blocks_nor_counts() {
    let dir = Dir::new("pipe");
    let path = CString::new(dir.map().to_str().unwrap()).unwrap();
    // SAFETY: the path ends with NUL and lives until the call returns.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    assert!(MapFile::checked(dir.open().unwrap(), me()).is_none());
}

#[test]
fn a_device_without_end_is_no_map() {
    let dir = Dir::new("device");
    symlink("/dev/zero", dir.map()).unwrap();
    assert!(dir.open().is_err(), "a link");
    // The very device, as a container may have it under any name.
    let device = File::open("/dev/zero").unwrap();
    assert!(MapFile::checked(device, me()).is_none());
}

#[test]
fn what_is_of_somebody_else_is_not_read() {
    let dir = Dir::new("others");
    File::create(dir.map()).unwrap();
    assert!(MapFile::checked(dir.open().unwrap(), me()).is_some());
    assert_eq!(MapFile::checked(dir.open().unwrap(), me() + 1).is_some(), me() == 0);
}

#[test]
fn of_what_is_too_large_the_last_lines_are_read() {
    let dir = Dir::new("large");
    let text = b"10 10 one\n20 10 two\n30 10 three\n";
    fs::write(dir.map(), text).unwrap();
    let read = |length, most| tail(dir.open().unwrap(), length, most);
    let length = text.len() as u64;
    assert_eq!(read(length, length), text);
    assert_eq!(read(length, length - 1), b"\n20 10 two\n30 10 three\n");
    assert_eq!(read(length, 14), b"\n30 10 three\n");
    assert_eq!(read(length, 5), b"\n");
    assert_eq!(read(11, 20), b"10 10 one\n2", "what was added since is left out");
    assert_eq!(read(9, 4), b"", "no line is whole");
}

#[test]
fn only_the_process_that_is_meant_has_a_map() {
    let pid = std::process::id();
    let status = small(Path::new("/proc/self/status")).unwrap();
    let path = format!("/tmp/perf-{}.map", inner_pid(&status).unwrap());
    fs::write(&path, "10 10 f\n").unwrap();
    let start_ns = task().start_ns;
    let of = |start_ns| MapFile::of(&Task { pid, start_ns, ..Task::default() });
    assert!(of(start_ns).is_some());
    assert!(of(start_ns + 10_000_000).is_none(), "an earlier process with this id");
    fs::remove_file(path).unwrap();
    assert!(of(start_ns).is_none());
}

#[test]
fn the_innermost_process_id_counts() {
    assert_eq!(inner_pid("Name:\tx\nNSpid:\t4244\t17\t1\n"), Some(1));
    assert_eq!(inner_pid("NSpid:\t4244\n"), Some(4244));
    assert_eq!((inner_pid("NSpid:\n"), inner_pid("")), (None, None));
    assert_eq!(euid("Uid:\t1000\t0\t1000\t1000\n"), Some(0));
}

#[test]
fn holes_are_left_out() {
    let dir = Dir::new("holes");
    fs::write(dir.map(), "10 10 first\n").unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(dir.map()).unwrap();
    file.set_len(1 << 20).unwrap();
    file.write_all(b"\n20 10 last\n").unwrap();
    let length = file.metadata().unwrap().len();
    let read = tail(dir.open().unwrap(), length, 1 << 19);
    assert!(read.ends_with(b"\n20 10 last\n"));
    assert!(read.len() < 1 << 17, "{} bytes of a hole", read.len());
}
