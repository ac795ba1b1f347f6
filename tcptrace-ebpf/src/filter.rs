//! Which sockets user space wants to hear of. What is not known meets no condition.

use aya_ebpf::maps::LpmTrie;
use aya_ebpf::maps::lpm_trie::Key;
use tcptrace_common::memory::{SocketMemory, Tuple};
use tcptrace_common::setting::{Setting, filter};
use tcptrace_common::tcp::{AF_INET, AF_INET6};

use crate::config::setting;
use crate::hooks::follow::is_asked_for;
use crate::maps::{HELD, LOCAL_NETS, NETNS, PORTS, REMOTE_NETS};

/// Whether a socket meets all conditions. Its network namespace is known if there is one on that.
#[inline(always)]
pub fn passes(memory: &SocketMemory) -> bool {
    let wanted = setting(Setting::Filter);
    let asks = |condition: u64| wanted & condition != 0;
    let tuple = &memory.tuple;
    if asks(filter::NETNS) && NETNS.get_ptr(memory.netns).is_none() {
        return false;
    }
    if asks(filter::PID) && !is_asked_for(&memory.opener) && !is_held(memory) {
        return false;
    }
    if asks(filter::LOCAL_PORT) && !has_port(0, tuple.local_port) {
        return false;
    }
    if asks(filter::REMOTE_PORT) && !has_port(filter::PORT_WORDS, tuple.remote_port) {
        return false;
    }
    passes_addresses(wanted, tuple)
}

/// Whether nobody saw who opened the socket, and a process that is asked for held it at the start.
#[inline(always)]
fn is_held(memory: &SocketMemory) -> bool {
    memory.opener.pid == 0 && HELD.get_ptr(memory.cookie).is_some()
}

#[inline(always)]
fn passes_addresses(wanted: u64, tuple: &Tuple) -> bool {
    const ADDRESSES: u64 = filter::IPV4 | filter::IPV6 | filter::LOCAL_NET | filter::REMOTE_NET;
    if wanted & ADDRESSES == 0 {
        return true;
    }
    let (local, remote) =
        (mapped(tuple.family, tuple.local_addr), mapped(tuple.family, tuple.remote_addr));
    let family = if is_mapped(remote) { filter::IPV4 } else { filter::IPV6 };
    let families = wanted & (filter::IPV4 | filter::IPV6);
    (families == 0 || families & family != 0)
        && (wanted & filter::LOCAL_NET == 0 || is_in(&LOCAL_NETS, local))
        && (wanted & filter::REMOTE_NET == 0 || is_in(&REMOTE_NETS, remote))
}

/// Port 0 is one not known.
#[inline(always)]
fn has_port(words_before: u32, port: u16) -> bool {
    let Some(word) = PORTS.get(words_before + u32::from(port >> 6)) else { return false };
    port != 0 && word & (1 << (port & 63)) != 0
}

/// An address as IPv6, IPv4 as a mapped one (RFC 4291, 2.5.5.2).
#[inline(always)]
fn mapped(family: u16, address: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, ..] = address;
    match family {
        AF_INET => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d],
        AF_INET6 => address,
        _ => [0; 16],
    }
}

#[inline(always)]
fn is_mapped(address: [u8; 16]) -> bool {
    let words = u128::from_le_bytes(address);
    words as u64 == 0 && (words >> 64) as u32 == 0xffff_0000
}

#[inline(always)]
fn is_in(networks: &LpmTrie<[u8; 16], u8>, address: [u8; 16]) -> bool {
    networks.get(Key::new(128, address)).is_some()
}
