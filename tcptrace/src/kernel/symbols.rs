//! Addresses of the kernel's own functions.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

/// What a mini-socket's timer calls (`net/ipv4/inet_timewait_sock.c`; static there, and listed on
/// 5.10, 6.1, 6.12, 6.18 and 7.3).
const MINI_TIMER: &str = "tw_timer_handler";

/// Where that function, `tw_timer_handler`, is; `None` where the kernel does not list it, or hides
/// its addresses (`kernel.kptr_restrict`, no CAP_SYSLOG).
#[must_use]
pub fn mini_timer() -> Option<u64> {
    let list = File::open("/proc/kallsyms").ok()?;
    BufReader::new(list).lines().map_while(Result::ok).find_map(|line| address(&line, MINI_TIMER))
}

/// The address in a line of `/proc/kallsyms` that is about `name`; zeros stand for a hidden one.
#[must_use]
pub fn address(line: &str, name: &str) -> Option<u64> {
    let mut words = line.split(' ');
    let (address, _kind, symbol) = (words.next()?, words.next()?, words.next()?);
    let address = u64::from_str_radix(address, 16).ok()?;
    (symbol == name && address != 0).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_very_symbol_is_taken_and_a_hidden_one_is_not_known() {
        let of = |line| address(line, MINI_TIMER);
        assert_eq!(of("ffffffff820089f0 t tw_timer_handler"), Some(0xffff_ffff_8200_89f0));
        assert_eq!(of("ffffffff820089e0 t __pfx_tw_timer_handler"), None);
        assert_eq!(of("0000000000000000 t tw_timer_handler"), None);
        assert_eq!(of(""), None);
    }
}
