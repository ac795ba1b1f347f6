//! BPF objects by id, asked of the kernel directly, so that tests need no other tool.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use aya::maps::{Map, MapData, PerCpuArray};
use aya_obj::generated::{bpf_cmd, bpf_link_info};
use tcptrace_common::counter::Counter;

use crate::bpf_call;

/// What a process has loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A program, by id.
    Program(u32),
    /// A map, by id.
    Map(u32),
    /// A link, by id.
    Link(u32),
}

impl Object {
    /// Whether the kernel still knows it.
    pub fn exists(self) -> Result<bool> {
        let (command, id) = match self {
            Self::Program(id) => (bpf_cmd::BPF_PROG_GET_FD_BY_ID, id),
            Self::Map(id) => (bpf_cmd::BPF_MAP_GET_FD_BY_ID, id),
            Self::Link(id) => (bpf_cmd::BPF_LINK_GET_FD_BY_ID, id),
        };
        match fd_by_id(command, id) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("ask for {self:?}")),
        }
    }
}

/// Every object that a process holds open, from its `/proc/PID/fdinfo`.
pub fn held_by(pid: u32) -> Result<Vec<Object>> {
    let mut found: Vec<_> = fdinfo(pid)?.filter_map(|text| object(&text)).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// Memory of the maps that a process holds open, in bytes, as the kernel charges it.
pub fn map_memory(pid: u32) -> Result<u64> {
    let mut maps: BTreeMap<u32, u64> = BTreeMap::new();
    for text in fdinfo(pid)? {
        if let (Some(Object::Map(id)), Some(bytes)) = (object(&text), value(&text, "memlock:")) {
            maps.insert(id, bytes);
        }
    }
    Ok(maps.into_values().sum())
}

/// How often the kernel skipped any program of a process because it was at work already.
pub fn skipped(pid: u32) -> Result<u64> {
    Ok(fdinfo(pid)?.filter_map(|text| value::<u64>(&text, "recursion_misses:")).sum())
}

/// A counter of the kernel side of a tcptrace that runs, over all CPUs.
pub fn counted(pid: u32, counter: Counter) -> Result<u64> {
    let slots: PerCpuArray<_, u64> = Map::PerCpuArray(map_of(pid, "COUNTERS")?).try_into()?;
    Ok(slots.get(&(counter as u32), 0)?.iter().sum())
}

/// A map of a tcptrace that runs.
pub fn map_of(pid: u32, name: &str) -> Result<MapData> {
    for object in held_by(pid)? {
        let Object::Map(id) = object else { continue };
        let map = MapData::from_id(id).with_context(|| format!("open map {id}"))?;
        if map.info()?.name_as_str() == Some(name) {
            return Ok(map);
        }
    }
    bail!("process {pid} has no map {name}")
}

/// A link that a process holds open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its kind, in the kernel's words.
    pub kind: String,
    /// The id of its program.
    pub program: u32,
    /// The name of the tracepoint, where it is on one.
    pub point: String,
}

/// Every link that a process holds open, in the order of its descriptors.
pub fn links_of(pid: u32) -> Result<Vec<Link>> {
    Ok(fdinfo(pid)?.filter_map(|text| link(&text)).collect())
}

fn link(fdinfo: &str) -> Option<Link> {
    let kind: String = value(fdinfo, "link_type:")?;
    let point = value(fdinfo, "tp_name:").or_else(|| match kind.as_str() {
        "perf" => tracepoint_of(value(fdinfo, "link_id:")?).ok(),
        _ => None,
    });
    Some(Link { kind, program: value(fdinfo, "prog_id:")?, point: point.unwrap_or_default() })
}

/// The tracepoint of a perf link, which newer kernels alone write into fdinfo; before 6.6 it cannot be
/// asked for either.
fn tracepoint_of(link: u32) -> Result<String> {
    let link = fd_by_id(bpf_cmd::BPF_LINK_GET_FD_BY_ID, link)?;
    let mut name = [0_u8; 64];
    // SAFETY: a struct of integers, for which zeros are values.
    let mut info: bpf_link_info = unsafe { std::mem::zeroed() };
    // SAFETY: both unions have these members, which are integers.
    let at = unsafe { &mut info.__bindgen_anon_1.perf_event.__bindgen_anon_1.tracepoint };
    (at.tp_name, at.name_len) = (name.as_mut_ptr() as u64, name.len() as u32);
    let mut attr = bpf_call::attributes();
    attr.info.bpf_fd = link.as_raw_fd() as u32;
    attr.info.info_len = size_of::<bpf_link_info>() as u32;
    attr.info.info = (&raw mut info) as u64;
    bpf_call::call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    let name = CStr::from_bytes_until_nul(&name)?;
    Ok(name.to_str()?.to_owned())
}

/// A program by its id.
pub fn program(id: u32) -> Result<OwnedFd> {
    fd_by_id(bpf_cmd::BPF_PROG_GET_FD_BY_ID, id).with_context(|| format!("open program {id}"))
}

/// What the kernel says of each descriptor that a process holds open, in their order. One may vanish
/// between being listed and being read.
fn fdinfo(pid: u32) -> Result<impl Iterator<Item = String>> {
    let path = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&path).with_context(|| path)?;
    Ok(entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok()))
}

fn value<T: FromStr>(fdinfo: &str, key: &str) -> Option<T> {
    let line = fdinfo.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|value| value.trim().parse().ok())
}

/// A link's fdinfo also names its program, so the link is looked for first.
fn object(fdinfo: &str) -> Option<Object> {
    let id = |key: &str| value(fdinfo, key);
    let link = id("link_id:").map(Object::Link);
    link.or_else(|| id("prog_id:").map(Object::Program)).or_else(|| id("map_id:").map(Object::Map))
}

fn fd_by_id(command: bpf_cmd, id: u32) -> io::Result<OwnedFd> {
    let mut attr = bpf_call::attributes();
    // One member for the ids of all kinds.
    attr.__bindgen_anon_6.__bindgen_anon_1.prog_id = id;
    bpf_call::new_descriptor(command, &mut attr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ids_do_not_exist() {
        for object in [Object::Program(u32::MAX), Object::Map(u32::MAX), Object::Link(u32::MAX)] {
            assert!(!object.exists().unwrap(), "{object:?}");
        }
    }

    #[test]
    fn fdinfo_names_one_object() {
        assert_eq!(
            object("pos:\t0\nlink_type:\ttracing\nlink_id:\t7\nprog_id:\t9\n"),
            Some(Object::Link(7))
        );
        assert_eq!(object("prog_type:\t5\nprog_id:\t9\n"), Some(Object::Program(9)));
        assert_eq!(object("map_type:\t27\nmap_id:\t3\n"), Some(Object::Map(3)));
        assert_eq!(object("pos:\t0\nflags:\t02\n"), None);
    }
}
