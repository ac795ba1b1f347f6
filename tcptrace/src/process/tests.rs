//! Against processes that are there: this one, and a child.

use std::fs::File;
use std::process::{Child, Command};

use super::*;

/// A start on the boot clock that fits what `/proc` says about the process.
fn start_of(pid: u32) -> u64 {
    let stat = stat::read(&Path::new("/proc").join(pid.to_string())).unwrap();
    stat.start_ticks * 1_000_000_000 / ticks_per_second() + 1
}

fn ticks_per_second() -> u64 {
    stat::tick_length().of(1_000_000_000)
}

/// A child that sleeps until it is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start(program: &str, args: &[&str]) -> Self {
        Self(Command::new(program).args(args).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: the child is not waited for yet, so the id is its own.
        assert_eq!(unsafe { libc::kill(self.pid().cast_signed(), signal) }, 0);
    }

    /// Waits until the child runs `program`: spawn returns before all of `/proc` says so, and
    /// its command line is the last that does.
    fn wait_for(&self, program: &str) {
        let path = Path::new("/proc").join(self.pid().to_string()).join("cmdline");
        let runs = || std::fs::read(&path).is_ok_and(|line| line.starts_with(program.as_bytes()));
        assert!(soon(runs), "the child never ran {program}");
    }
}

/// Whether `holds` becomes true within five seconds.
fn soon(mut holds: impl FnMut() -> bool) -> bool {
    for _ in 0..500 {
        if holds() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    false
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn this_process_is_known() {
    let pid = std::process::id();
    let _open = File::open("/dev/null").unwrap();
    let holder = Processes::new().holder(pid, start_of(pid), "test", vec![3]);
    let exe = std::env::current_exe().unwrap();
    assert_eq!(holder.party.exe.as_deref(), exe.to_str());
    assert_eq!(holder.party.comm, "test", "the kernel side's word counts");
    // SAFETY: geteuid takes nothing and cannot fail.
    assert_eq!(holder.party.uid, Some(unsafe { libc::geteuid() }));
    assert!(holder.party.cgroup.is_some_and(|path| path.starts_with('/')));
    assert_eq!(holder.party.label, None);
    assert!(holder.fd_used.unwrap() >= 4);
    assert_eq!(holder.fd_limit, Some(own_limit()));
    assert_eq!(holder.fds, [3]);
}

fn gone(pid: u32, comm: &str, start_time_ns: u64) -> Party {
    Party { pid, comm: comm.into(), start_time_ns, gone: true, ..Party::default() }
}

fn own_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit that this call fills.
    let status = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(status, 0);
    limit.rlim_cur
}

#[test]
fn a_child_is_known_and_its_descriptors_are_counted() {
    let child = Sleeper::start("sleep", &["600"]);
    child.wait_for("sleep");
    let (pid, start) = (child.pid(), start_of(child.pid()));
    let holder = || Processes::new().holder(pid, start, "sleep", vec![]);
    let counted = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
    // Its loader opens and closes files while it starts.
    assert!(soon(|| holder().fd_used == Some(counted())));
    assert!(holder().party.exe.is_some_and(|exe| !exe.is_empty()));
}

#[test]
fn a_script_is_the_label_of_its_shell() {
    let script = std::env::temp_dir().join(format!("tcptrace-label-{}.sh", std::process::id()));
    std::fs::write(&script, "while :; do sleep 1; done\n").unwrap();
    let child = Sleeper::start("sh", &[script.to_str().unwrap(), "s3cret"]);
    child.wait_for("sh");
    let party = Processes::new().party(child.pid(), start_of(child.pid()), "sh");
    std::fs::remove_file(&script).unwrap();
    assert_eq!(party.label.as_deref(), script.to_str());
}

#[test]
fn a_process_with_another_start_is_another_process() {
    let pid = std::process::id();
    let other = start_of(pid) - 1_000_000_000;
    let mut processes = Processes::new();
    let party = processes.party(pid, other, "before");
    let bare = gone(pid, "before", other);
    assert_eq!(party, bare);
    assert!(processes.party(pid, start_of(pid), "now").uid.is_some());
}

#[test]
fn a_process_that_is_gone_has_what_the_kernel_side_gave() {
    let mut child = Sleeper::start("sleep", &["600"]);
    let (pid, start) = (child.pid(), start_of(child.pid()));
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let holder = Processes::new().holder(pid, start, "sleep", vec![1]);
    let bare = gone(pid, "sleep", start);
    assert_eq!(holder, Holder { party: bare, fds: vec![1], fd_used: None, fd_limit: None });
}

#[test]
fn a_stopped_process_is_stopped_until_it_continues() {
    let child = Sleeper::start("sleep", &["600"]);
    child.wait_for("sleep");
    let (pid, start) = (child.pid(), start_of(child.pid()));
    let is_stopped = || Processes::new().party(pid, start, "sleep").stopped;
    assert!(!is_stopped());
    child.signal(libc::SIGSTOP);
    assert!(soon(is_stopped));
    child.signal(libc::SIGCONT);
    assert!(soon(|| !is_stopped()));
}

#[test]
fn a_relative_script_is_a_full_path() {
    let directory = std::env::temp_dir().join(format!("tcptrace-cwd-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("run.sh"), "while :; do sleep 1; done\n").unwrap();
    let mut command = Command::new("sh");
    let child = Sleeper(command.arg("./run.sh").current_dir(&directory).spawn().unwrap());
    child.wait_for("sh");
    let party = Processes::new().party(child.pid(), start_of(child.pid()), "sh");
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(party.label.as_deref(), directory.join("run.sh").to_str());
}

#[test]
fn a_process_is_looked_up_once_for_a_report() {
    let mut child = Sleeper::start("sleep", &["600"]);
    let (pid, start) = (child.pid(), start_of(child.pid()));
    let mut processes = Processes::new();
    let before = processes.party(pid, start, "sleep");
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    assert!(before.uid.is_some());
    assert_eq!(processes.party(pid, start, "sleep"), before, "from memory");
}

/// A made-up `/proc`, for what a test cannot make a real process do.
#[test]
fn hostile_entries_give_none() {
    let proc = std::env::temp_dir().join(format!("tcptrace-proc-{}", std::process::id()));
    let dir = proc.join("42");
    std::fs::create_dir_all(&dir).unwrap();
    let stat = b"42 () R 1 (\n) S 1 42 42 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 700 8192 1 0";
    std::fs::write(dir.join("stat"), stat).unwrap();
    std::fs::write(dir.join("status"), b"\xff\xff").unwrap();
    std::fs::write(dir.join("limits"), b"Max open files lots").unwrap();
    let mut processes = Processes { proc: proc.clone(), ..Processes::new() };
    let start = 700 * (1_000_000_000 / ticks_per_second());
    let holder = processes.holder(42, start, "x", vec![]);
    assert!(!processes.details(42, start).gone, "it is there, with nothing to say");
    std::fs::remove_dir_all(&proc).unwrap();
    let bare = Party { pid: 42, comm: "x".into(), start_time_ns: start, ..Party::default() };
    assert_eq!(holder, Holder { party: bare, ..Holder::default() });
}
