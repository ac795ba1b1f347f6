//! What kind of host this is, before anything is loaded.

use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// `CAP_SYS_PTRACE`, `CAP_SYS_ADMIN`, `CAP_PERFMON`, `CAP_BPF` (`include/uapi/linux/capability.h`).
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// Inode number of the initial pid namespace (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Facts about the host that decide what can be done.
#[derive(Clone, Debug)]
pub struct Host {
    /// Kernel release, as `uname -r` prints it.
    pub release: String,
    /// Effective capabilities of this process; `None` where `/proc` does not tell.
    pub capabilities: Option<u64>,
    /// Lockdown mode: `none`, `integrity`, `confidentiality`; `None` where it cannot be read.
    pub lockdown: Option<String>,
    /// Whether this process is in the initial pid namespace, and so can see every process.
    pub in_initial_pid_namespace: bool,
}

impl Host {
    /// Looks at this host. What cannot be read counts as not there.
    #[must_use]
    pub fn look() -> Self {
        Self {
            release: release(),
            capabilities: capabilities(),
            lockdown: lockdown(),
            in_initial_pid_namespace: fs::metadata("/proc/self/ns/pid")
                .is_ok_and(|namespace| namespace.ino() == INITIAL_PID_NAMESPACE),
        }
    }

    /// Whether programs may be loaded.
    #[must_use]
    pub fn may_load(&self) -> bool {
        self.has(SYS_ADMIN) || (self.has(BPF) && self.has(PERFMON))
    }

    /// Whether other network namespaces may be entered (setns(2)).
    #[must_use]
    pub fn may_enter_namespaces(&self) -> bool {
        self.has(SYS_ADMIN)
    }

    /// Whether the namespaces and descriptors of other users' processes may be looked at.
    #[must_use]
    pub fn may_inspect(&self) -> bool {
        self.has(SYS_PTRACE)
    }

    fn has(&self, capability: u32) -> bool {
        self.capabilities.is_some_and(|all| all >> capability & 1 == 1)
    }

    /// Major and minor version of the kernel.
    #[must_use]
    pub fn version(&self) -> Option<(u32, u32)> {
        version_in(&self.release)
    }
}

/// Major and minor version of the kernel that runs here; `None` where it does not say.
#[must_use]
pub fn version() -> Option<(u32, u32)> {
    version_in(&release())
}

fn version_in(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Lifts this process's soft limit of descriptors to the hard one, which takes no right: a host
/// with many network namespaces needs a descriptor for each.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid pointer to a struct of the right type, in both calls. Where they fail the
    // limit stays as it is.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Whether clang has built the kernel. gcc does not put functions of one file into those of another; clang
/// does so where it optimizes at link time, and then a hook on such a function is silent.
#[must_use]
pub fn built_by_clang() -> bool {
    fs::read_to_string("/proc/version").is_ok_and(|version| version.contains("clang"))
}

/// Whether hooks on functions are attached and never run, as `kernel.ftrace_enabled` may have it.
#[must_use]
pub fn is_ftrace_off() -> bool {
    fs::read_to_string("/proc/sys/kernel/ftrace_enabled").is_ok_and(|value| value.trim() == "0")
}

fn release() -> String {
    // SAFETY: `utsname` is plain bytes, and uname fills it or fails.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: a valid pointer to a struct of the right type.
    if unsafe { libc::uname(&raw mut names) } != 0 {
        return String::new();
    }
    // SAFETY: uname ends each name with a NUL inside its array.
    unsafe { CStr::from_ptr(names.release.as_ptr()) }.to_string_lossy().into_owned()
}

fn capabilities() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn lockdown() -> Option<String> {
    let modes = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let (_, rest) = modes.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}
