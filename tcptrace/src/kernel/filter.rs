//! The part of a filter that the kernel side applies: conditions in a setting, their values in
//! maps.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map};
use ipnet::IpNet;
use rustix::time::{ClockId, clock_gettime};
use tcptrace_common::setting::filter;

use crate::lifecycle::filter::{Family, Filter};

/// Conditions that all have to hold; an empty list is no condition.
#[derive(Clone, Debug, Default)]
pub struct KernelFilter {
    /// Openers, by pid as the tool sees it.
    pub pids: Vec<u32>,
    /// Local ports.
    pub local_ports: Vec<RangeInclusive<u16>>,
    /// Remote ports.
    pub remote_ports: Vec<RangeInclusive<u16>>,
    /// Networks of the local address.
    pub local_nets: Vec<IpNet>,
    /// Networks of the remote address.
    pub remote_nets: Vec<IpNet>,
    /// Address family.
    pub family: Option<Family>,
    /// Inode numbers of network namespaces.
    pub netns: Vec<u32>,
    /// Whether a state that is entered counts like one that is left.
    pub either_state: bool,
}

impl KernelFilter {
    /// What the kernel side can apply of a filter: all but names, cgroups, containers and states.
    #[must_use]
    pub fn of<S>(filter: &Filter<S>) -> Self {
        Self {
            pids: filter.pids.clone(),
            local_ports: filter.local_ports.clone(),
            remote_ports: filter.remote_ports.clone(),
            local_nets: filter.local_nets.clone(),
            remote_nets: filter.remote_nets.clone(),
            family: filter.family,
            netns: filter.netns.clone(),
            either_state: false,
        }
    }

    /// The setting.
    #[must_use]
    pub fn bits(&self) -> u64 {
        let bit = |is_set: bool, bit: u64| if is_set { bit } else { 0 };
        bit(self.family == Some(Family::V4), filter::IPV4)
            | bit(self.family == Some(Family::V6), filter::IPV6)
            | bit(!self.local_ports.is_empty(), filter::LOCAL_PORT)
            | bit(!self.remote_ports.is_empty(), filter::REMOTE_PORT)
            | bit(!self.netns.is_empty(), filter::NETNS)
            | bit(!self.pids.is_empty(), filter::PID)
            | bit(!self.local_nets.is_empty(), filter::LOCAL_NET)
            | bit(!self.remote_nets.is_empty(), filter::REMOTE_NET)
            | bit(self.either_state, filter::EITHER_STATE)
    }

    /// Writes the values.
    ///
    /// # Errors
    ///
    /// When there are more of them than the maps have room for.
    pub fn write(&self, ebpf: &mut Ebpf) -> Result<()> {
        let mut ports = Array::<_, u64>::try_from(map(ebpf, "PORTS")?)?;
        for (at, word) in words(&self.local_ports).chain(words(&self.remote_ports)).enumerate() {
            if word != 0 {
                ports.set(u32::try_from(at)?, word, 0)?;
            }
        }
        let mut netns = HashMap::<_, u32, u8>::try_from(map(ebpf, "NETNS")?)?;
        for inode in &self.netns {
            netns.insert(inode, 1, 0).context("too many network namespaces")?;
        }
        ask_for(ebpf, &self.pids)?;
        write_nets(map(ebpf, "LOCAL_NETS")?, &self.local_nets).context("too many networks")?;
        write_nets(map(ebpf, "REMOTE_NETS")?, &self.remote_nets).context("too many networks")
    }
}

/// Asks for processes, those that have these pids now: not for later ones that have them again.
///
/// # Errors
///
/// When there are more of them than the map has room for.
pub fn ask_for(ebpf: &mut Ebpf, pids: &[u32]) -> Result<()> {
    let mut map = HashMap::<_, u32, u64>::try_from(map(ebpf, "PIDS")?)?;
    let latest_ns = boot_ns();
    pids.iter().try_for_each(|pid| map.insert(pid, latest_ns, 0).context("too many processes"))
}

/// The clock of `start_boottime`, by which the kernel side tells processes of one pid apart.
fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Writes the cookies of sockets that a process that is asked for holds, and whose opener nobody saw.
///
/// # Errors
///
/// When there are more of them than the map has room for.
pub fn let_through(ebpf: &mut Ebpf, cookies: &HashSet<u64>) -> Result<()> {
    let mut held = HashMap::<_, u64, u8>::try_from(map(ebpf, "HELD")?)?;
    cookies.iter().try_for_each(|cookie| {
        held.insert(cookie, 1, 0).context("the filter's processes hold too many sockets")
    })
}

fn map<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Map> {
    ebpf.map_mut(name).with_context(|| format!("no map {name}"))
}

fn write_nets(map: &mut Map, nets: &[IpNet]) -> Result<()> {
    let mut trie = LpmTrie::<_, [u8; 16], u8>::try_from(map)?;
    nets.iter().try_for_each(|net| {
        let (length, address) = mapped(net);
        Ok(trie.insert(&Key::new(length, address.octets()), 1, 0)?)
    })
}

/// A network as one of IPv6, IPv4 as mapped addresses (RFC 4291, 2.5.5.2).
fn mapped(net: &IpNet) -> (u32, Ipv6Addr) {
    let length = u32::from(net.prefix_len());
    match net.network() {
        IpAddr::V4(address) => (96 + length, address.to_ipv6_mapped()),
        IpAddr::V6(address) => (length, address),
    }
}

/// The ports of some ranges as bits.
fn words(ranges: &[RangeInclusive<u16>]) -> impl Iterator<Item = u64> {
    let mut words = vec![0_u64; filter::PORT_WORDS as usize];
    for port in ranges.iter().cloned().flatten() {
        words[usize::from(port >> 6)] |= 1 << (port & 63);
    }
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_condition_is_no_bit() {
        assert_eq!(KernelFilter::default().bits(), 0);
        let ports = KernelFilter { local_ports: vec![80..=80], ..KernelFilter::default() };
        assert_eq!(ports.bits(), filter::LOCAL_PORT);
    }

    #[test]
    fn ports_are_bits() {
        let words: Vec<u64> = words(&[0..=0, 63..=64, 65535..=65535]).collect();
        assert_eq!((words[0], words[1], words[1023]), (1 | 1 << 63, 1, 1 << 63));
        assert_eq!(words.len(), 1024);
    }

    #[test]
    fn networks_of_ipv4_are_mapped() {
        let (length, address) = mapped(&"10.1.2.3/8".parse().unwrap());
        assert_eq!((length, address), (104, "::ffff:10.0.0.0".parse().unwrap()));
        assert_eq!(mapped(&"2001:db8::/32".parse().unwrap()).0, 32);
    }
}
