//! Giving up what is not needed any more.
//!
//! Loading and attaching takes many rights; reading what was attached takes few, because it goes by
//! descriptors: since Linux 5.19 the kernel asks for `CAP_BPF` where maps are made and programs are
//! loaded, and nowhere else (`__sys_bpf`, `kernel/bpf/syscall.c`). So once the hooks are in place
//! and the outputs are open, everything is dropped but what [`kept_on`] lists for the work that
//! remains, before a byte of a stranger is read and before a second thread starts: threads inherit
//! from the one that makes them (capabilities(7)).

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use super::host::version;

/// What is left to do when everything is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// `leaks`.
    Leaks,
    /// `record`.
    Record,
    /// `hist`.
    Hist,
    /// `states`.
    States,
    /// `doctor`.
    Doctor,
    /// `stream`, where its filter names cgroups or containers.
    StreamOfPlaces,
    /// `stream` otherwise.
    Stream,
    /// Any `--replay`.
    Replay,
}

impl Work {
    /// As the user calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leaks => "leaks",
            Self::Record => "record",
            Self::Hist => "hist",
            Self::States => "states",
            Self::Doctor => "doctor",
            Self::StreamOfPlaces => "stream --cgroup/--container",
            Self::Stream => "stream",
            Self::Replay => "--replay",
        }
    }
}

/// A capability that is not dropped by all.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// As capabilities(7) calls it.
    pub name: &'static str,
    /// What it is kept for.
    pub purpose: &'static str,
    /// Who keeps it.
    pub by: &'static [Work],
    /// The one kernel that can do without it.
    spared_on: Option<(u32, u32)>,
    flag: CapabilitySet,
}

impl Kept {
    /// Whether a mask, as `/proc/PID/status` shows it, has this capability.
    #[must_use]
    pub const fn is_in(&self, mask: u64) -> bool {
        mask & self.flag.bits() != 0
    }
}

/// Those who read the sockets of all network namespaces.
const SNAPSHOTS: &[Work] = &[Work::Leaks, Work::Record, Work::Hist, Work::States, Work::Doctor];

/// All that is kept, by whom and what for.
const KEPT: [Kept; 4] = [
    Kept {
        name: "CAP_SYS_ADMIN",
        purpose: "enters other network namespaces to read their sockets (setns), opens the programs \
                  that others have mapped (/proc/PID/map_files)",
        by: SNAPSHOTS,
        spared_on: None,
        flag: CapabilitySet::SYS_ADMIN,
    },
    Kept {
        name: "CAP_SYS_PTRACE",
        purpose: "reads what /proc says of other users' processes, finds their network namespaces, \
                  reads names from the memory of Python programs",
        by: &[
            Work::Leaks,
            Work::Record,
            Work::Hist,
            Work::States,
            Work::Doctor,
            Work::StreamOfPlaces,
        ],
        spared_on: None,
        flag: CapabilitySet::SYS_PTRACE,
    },
    Kept {
        name: "CAP_DAC_READ_SEARCH",
        purpose: "reads programs and perf maps that are for their owners alone, counts others' \
                  descriptors before Linux 6.2",
        by: &[Work::Leaks, Work::Record, Work::Doctor],
        spared_on: None,
        flag: CapabilitySet::DAC_READ_SEARCH,
    },
    Kept {
        name: "CAP_NET_ADMIN",
        purpose: "asks sockets for network namespaces to which nothing else leads (SIOCGSKNS); Linux 6.18, \
                  and it alone, opens any by its number",
        by: SNAPSHOTS,
        spared_on: Some((6, 18)),
        flag: CapabilitySet::NET_ADMIN,
    },
];

/// Drops all capabilities that the work does not need from every set of the calling thread, and
/// lets nothing bring any back (`no_new_privs`). What was not there before is not there after.
///
/// # Errors
///
/// When the kernel refuses: going on with more rights than the tool says it has is no fallback.
pub fn keep_for(work: Work) -> Result<()> {
    drop_all_but(wanted(work)).context("cannot give up capabilities")
}

fn wanted(work: Work) -> CapabilitySet {
    let kept = kept_on(version()).filter(|kept| kept.by.contains(&work));
    kept.map(|kept| kept.flag).collect()
}

/// What is kept on a kernel of this version; all of it where that is not known.
pub fn kept_on(version: Option<(u32, u32)>) -> impl Iterator<Item = &'static Kept> {
    let is_spared = move |kept: &&Kept| version.is_some() && kept.spared_on == version;
    KEPT.iter().filter(move |kept| !is_spared(kept))
}

fn drop_all_but(wanted: CapabilitySet) -> Result<()> {
    set_no_new_privs(true)?;
    shrink_bounding_set(wanted)?;
    clear_ambient_capability_set()?;
    let now = capabilities(None)?;
    let sets = CapabilitySets {
        effective: now.effective & wanted,
        permitted: now.permitted & wanted,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, sets)?)
}

/// Takes what is not wanted out of the bounding set, by numbers, because a newer kernel may have
/// more of them than this code knows names. Without `CAP_SETPCAP` the set cannot be changed;
/// `no_new_privs` makes sure that it gives nothing.
fn shrink_bounding_set(wanted: CapabilitySet) -> Result<()> {
    for number in 0..u64::BITS {
        let flag = CapabilitySet::from_bits_retain(1 << number);
        if wanted.contains(flag) {
            continue;
        }
        match remove_capability_from_bounding_set(flag) {
            Ok(()) => {}
            // EINVAL: the kernel knows no capability of this number.
            Err(Errno::PERM | Errno::INVAL) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    #[test]
    fn a_replay_and_a_plain_stream_keep_nothing() {
        for work in [Work::Replay, Work::Stream] {
            assert!(wanted(work).is_empty(), "{work:?}");
        }
        assert_eq!(wanted(Work::StreamOfPlaces), CapabilitySet::SYS_PTRACE);
    }

    #[test]
    fn sockets_are_asked_for_their_namespaces_on_old_kernels_alone() {
        let has = |version| kept_on(version).any(|kept| kept.name == "CAP_NET_ADMIN");
        assert_eq!(
            [(6, 1), (6, 17), (6, 18), (6, 19), (7, 3)].map(|own| has(Some(own))),
            [true, true, false, true, true]
        );
        assert!(has(None), "a version that is not known");
    }

    #[test]
    fn the_numbers_are_those_of_the_kernel() {
        let has = |mask| KEPT.iter().filter(move |kept| kept.is_in(mask)).map(|kept| kept.name);
        assert_eq!(has(1 << 21).collect::<Vec<_>>(), ["CAP_SYS_ADMIN"]);
        assert_eq!(has(1 << 19).collect::<Vec<_>>(), ["CAP_SYS_PTRACE"]);
        assert_eq!(has(1 << 2).collect::<Vec<_>>(), ["CAP_DAC_READ_SEARCH"]);
        assert_eq!(has(1 << 12).collect::<Vec<_>>(), ["CAP_NET_ADMIN"]);
    }

    /// Capabilities belong to threads: this one of the test loses them, the others do not.
    #[test]
    fn what_is_given_up_is_gone_for_the_threads_to_come_too() {
        let status = || fs::read_to_string("/proc/thread-self/status").unwrap();
        let dropped = move || {
            keep_for(Work::Replay).unwrap();
            keep_for(Work::Replay).unwrap();
            thread::spawn(status).join().unwrap()
        };
        let status = thread::spawn(dropped).join().unwrap();
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:\t0000000000000000\n")), "{status}");
        }
        assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    }
}
