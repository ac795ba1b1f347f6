//! Names of functions: perf maps, the kernel's types and symbols.

use tcptrace::kernel::btf::Btf;
use tcptrace::kernel::symbols::address;
use tcptrace::lifecycle::text::from_bytes;
use tcptrace::stacks::perfmap::{PerfMap, jit_name};

/// A perf map.
pub fn perf_map(bytes: &[u8]) {
    let map = PerfMap::parse(bytes.to_vec());
    for address in
        (0..64).map(|shift| 1_u64 << shift).chain([0, 0x1000, 0x7f00_0000_1000, u64::MAX])
    {
        if let Some(name) = map.find(address) {
            let _ = jit_name(&from_bytes(name));
        }
    }
    let _ = jit_name(&from_bytes(bytes));
}

/// The kernel's description of its types.
pub fn btf(bytes: &[u8]) {
    let Ok(btf) = Btf::parse(bytes) else { return };
    for (structure, path) in
        [("sock_common", "skc_daddr"), ("sock", "__sk_common.skc_state"), ("outer", "b.y")]
    {
        let _ = btf.member_offset(structure, path);
    }
    let _ =
        (btf.function_arguments("tcp_recvmsg"), btf.tracepoint_arguments("inet_sock_set_state"));
}

/// Lines of `/proc/kallsyms`.
pub fn kallsyms(bytes: &[u8]) {
    for line in from_bytes(bytes).lines() {
        let _ = address(line, "tw_timer_handler");
    }
}
