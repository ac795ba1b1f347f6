//! Values as people type them. Each parser's error says what is wrong and what to type.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::lifecycle::cause::Kind;
use crate::lifecycle::filter::NetnsSpec;
use crate::lifecycle::pattern::Pattern;
use crate::lifecycle::socket::State;

/// Names of units, longest first where one starts with another, and their length in ns.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Largest process id that Linux gives.
const PID_MAX: u32 = 1 << 22;
/// Smallest ring buffer: one page.
const RING_MIN: u32 = 4096;
/// Largest ring buffer.
const RING_MAX: u32 = 1 << 30;
/// Most entries of a map: a few GiB of the kernel's memory.
const ENTRIES_MAX: u32 = 1 << 24;

/// `500ms`, `30s`, `5m`, `1h30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    const WRITE: &str = "write for example 500ms, 30s, 5m or 1h30m";
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        if number.is_empty() {
            return Err(format!("not a duration; {WRITE}"));
        }
        let unit_len = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_len);
        if unit.is_empty() && next.is_empty() {
            return Err(format!("a unit is missing; write {text}s, {text}ms or {text}m"));
        }
        let unit_ns = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, ns)| *ns)
            .ok_or_else(|| format!("not a duration; {WRITE}"))?;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ns));
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| "too long; the longest is 213503d".to_owned())?;
        rest = next;
    }
    if text.is_empty() {
        return Err(format!("not a duration; {WRITE}"));
    }
    Ok(Duration::from_nanos(total))
}

/// A duration between two reports, or of a whole run: not zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than 0; write for example 1s".to_owned()),
        duration => Ok(duration),
    }
}

/// A process id.
pub fn pid(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(pid) if (1..=PID_MAX).contains(&pid) => Ok(pid),
        _ => Err("not a process id; write a number such as 4244".to_owned()),
    }
}

/// `443` or `8000-8010`.
pub fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || "not a port; write 443, or a range such as 8000-8010".to_owned();
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(wrong()),
    };
    let (low, high) = match text.split_once('-') {
        Some((low, high)) => (port(low)?, port(high)?),
        None => (port(text)?, port(text)?),
    };
    if low > high {
        return Err(format!("the range is upside down; write {high}-{low}"));
    }
    Ok(low..=high)
}

/// `10.0.0.0/8`, `10.0.0.7`, `2001:db8::/32`. An IPv4-mapped network is IPv4, as addresses are.
pub fn network(text: &str) -> Result<IpNet, String> {
    let net = match text.parse::<IpAddr>() {
        Ok(addr) => IpNet::from(addr),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            "not a network; write for example 10.0.0.0/8, 10.0.0.7 or 2001:db8::/32".to_owned()
        })?,
    };
    Ok(unmapped(net).unwrap_or(net).trunc())
}

/// `::ffff:10.0.0.0/104` → `10.0.0.0/8`.
fn unmapped(net: IpNet) -> Option<IpNet> {
    let IpNet::V6(v6) = net else { return None };
    let addr = v6.addr().to_ipv4_mapped()?;
    IpNet::new(addr.into(), v6.prefix_len().checked_sub(96)?).ok()
}

/// `close-wait`, `CLOSE_WAIT`; `dead`, `close`.
pub fn leak_state(text: &str) -> Result<Kind, String> {
    const ALL: &str = "'leaks' knows close-wait and dead (alias close)";
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "close-wait" => Ok(Kind::CloseWait),
        "close" | "dead" => Ok(Kind::Dead),
        other if is_other_state(other) => {
            Err(format!("a socket in this state is not a leak; {ALL}"))
        }
        _ => Err(format!("not a TCP state; {ALL}")),
    }
}

/// A number of rows: at least one.
pub fn top(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..) => Ok(count),
        _ => Err("not a number of rows; write for example 20".to_owned()),
    }
}

fn is_other_state(lower: &str) -> bool {
    tcp_state(lower).is_ok()
}

/// `close-wait`, `CLOSE_WAIT`, and as `ss` spells them: `estab`, `fin-wait-1`.
pub fn tcp_state(text: &str) -> Result<State, String> {
    let typed = text.to_ascii_lowercase().replace('_', "-");
    let typed = match typed.as_str() {
        "estab" => "established",
        "fin-wait-1" => "fin-wait1",
        "fin-wait-2" => "fin-wait2",
        "syn-rcv" => "syn-recv",
        "closed" => "close",
        other => other,
    };
    let is_typed = |name: &str| name.to_ascii_lowercase().replace('_', "-") == typed;
    let found = State::ALL.iter().find(|(.., name)| is_typed(name));
    found.map(|(_, state, _)| *state).ok_or_else(|| {
        "not a TCP state; write for example established, close-wait or FIN_WAIT2".to_owned()
    })
}

/// How many entries a map of the kernel side may have.
pub fn map_entries(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(entries) if (1..=ENTRIES_MAX).contains(&entries) => Ok(entries),
        _ => Err(format!("not a number from 1 to {ENTRIES_MAX}")),
    }
}

/// `4026531840`, `net:[4026531840]`, `pid:4244`, `/run/netns/blue`, or `blue` as `ip netns` has it.
pub fn netns(text: &str) -> Result<NetnsSpec, String> {
    const WRITE: &str = "write an inode number, a path such as /run/netns/blue, or pid:4244";
    if let Some(number) = text.strip_prefix("pid:") {
        return pid(number).map(NetnsSpec::Pid);
    }
    let number = text.strip_prefix("net:[").and_then(|rest| rest.strip_suffix(']'));
    let number = number.unwrap_or(text);
    if let Ok(inode) = number.parse::<u32>() {
        let known = (inode > 0).then_some(NetnsSpec::Inode(inode));
        return known.ok_or_else(|| format!("0 is no inode; {WRITE}"));
    }
    match text {
        "" | "." | ".." => Err(format!("not a network namespace; {WRITE}")),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => Err(format!("too large; {WRITE}")),
        _ if text.contains('/') => Ok(NetnsSpec::Path(PathBuf::from(text))),
        name => Ok(NetnsSpec::Path(PathBuf::from("/run/netns").join(name))),
    }
}

/// A glob for a process name.
pub fn comm_glob(text: &str) -> Result<Pattern, String> {
    Pattern::parse_comm(text).map_err(|error| error.to_string())
}

/// A glob for a cgroup path.
pub fn cgroup_glob(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|error| error.to_string())
}

/// The beginning of a container id.
pub fn container(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || !text.chars().all(fits) {
        return Err("not a container id; write its first characters, such as 3f2a9c".to_owned());
    }
    Ok(text.to_owned())
}

/// A size in bytes that a ring buffer can have.
pub fn ring_bytes(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(bytes) if bytes.is_power_of_two() && (RING_MIN..=RING_MAX).contains(&bytes) => Ok(bytes),
        Ok(bytes) => {
            let near = bytes.clamp(RING_MIN, RING_MAX).next_power_of_two();
            Err(format!("not a power of two from {RING_MIN} to {RING_MAX}; write {near}"))
        }
        Err(_) => Err("not a number of bytes; write for example 1048576".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_documented() {
        let ms = |text| duration(text).unwrap().as_millis();
        assert_eq!(ms("500ms"), 500);
        assert_eq!(ms("30s"), 30_000);
        assert_eq!(ms("5m"), 300_000);
        assert_eq!(ms("1h30m"), 5_400_000);
        assert_eq!(ms("0s"), 0);
        assert_eq!(ms("1d2h3m4s5ms"), 93_784_005);
        assert_eq!(duration("7us").unwrap(), Duration::from_micros(7));
    }

    #[test]
    fn a_duration_without_unit_says_what_to_type() {
        assert_eq!(duration("30").unwrap_err(), "a unit is missing; write 30s, 30ms or 30m");
        assert!(duration("1h30").unwrap_err().contains("a unit is missing"));
    }

    #[test]
    fn what_is_no_duration_is_an_error() {
        for text in ["banana", "", "-5s", "1.5s", "s", "5 s", "5x", "5sm", "٣s", "1h-30m"] {
            assert!(duration(text).unwrap_err().contains("not a duration"), "{text}");
        }
        for text in ["99999999999999999999s", "18446744073709551615s", "213503d24h"] {
            assert!(duration(text).unwrap_err().contains("too long"), "{text}");
        }
        assert!(positive_duration("0s").unwrap_err().contains("longer than 0"));
    }

    #[test]
    fn ports_and_ranges() {
        assert_eq!(ports("443"), Ok(443..=443));
        assert_eq!(ports("8000-8010"), Ok(8000..=8010));
        assert_eq!(ports("1-65535"), Ok(1..=65535));
        assert!(ports("8010-8000").unwrap_err().contains("write 8000-8010"));
        for text in ["", "0", "65536", "http", "-80", "80-", "1-2-3", "+80", "0-80"] {
            assert!(ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_cidr_or_one_address() {
        let text = |typed| network(typed).unwrap().to_string();
        assert_eq!(text("10.0.0.0/8"), "10.0.0.0/8");
        assert_eq!(text("10.1.2.3/8"), "10.0.0.0/8");
        assert_eq!(text("10.0.0.7"), "10.0.0.7/32");
        assert_eq!(text("::1"), "::1/128");
        assert_eq!(text("::ffff:10.0.0.0/104"), "10.0.0.0/8");
        assert_eq!(text("::ffff:10.0.0.7"), "10.0.0.7/32");
        assert_eq!(text("::/0"), "::/0");
        for text in ["10.0.0.0/33", "localhost", "", "10.0.0"] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn states_in_both_spellings() {
        for text in ["close-wait", "CLOSE_WAIT", "CLOSE-WAIT", "close_wait"] {
            assert_eq!(leak_state(text), Ok(Kind::CloseWait));
        }
        for text in ["dead", "CLOSE", "close"] {
            assert_eq!(leak_state(text), Ok(Kind::Dead));
        }
        for text in ["ESTABLISHED", "time-wait", "FIN_WAIT2", "fin-wait-2", "estab"] {
            assert!(leak_state(text).unwrap_err().contains("is not a leak"), "{text}");
        }
        assert!(leak_state("half-open").unwrap_err().contains("not a TCP state"));
    }

    #[test]
    fn every_state_in_every_spelling() {
        for (_, state, name) in State::ALL {
            for typed in [name.to_owned(), name.to_lowercase(), name.replace('_', "-")] {
                assert_eq!(tcp_state(&typed), Ok(state), "{typed}");
            }
        }
        assert_eq!(tcp_state("estab"), Ok(State::Established));
        assert_eq!(tcp_state("FIN-WAIT-2"), Ok(State::FinWait2));
        for text in ["", "open", "close-wait-2", "8"] {
            assert!(tcp_state(text).unwrap_err().contains("not a TCP state"), "{text}");
        }
    }

    #[test]
    fn maps_have_at_least_one_entry() {
        assert_eq!(map_entries("1"), Ok(1));
        for text in ["0", "", "x", "16777217", "-1"] {
            assert!(map_entries(text).unwrap_err().contains("from 1 to 16777216"), "{text}");
        }
    }

    #[test]
    fn namespaces_by_inode_path_name_and_process() {
        assert_eq!(netns("4026531840"), Ok(NetnsSpec::Inode(4_026_531_840)));
        assert_eq!(netns("net:[4026531840]"), Ok(NetnsSpec::Inode(4_026_531_840)));
        assert_eq!(netns("pid:42"), Ok(NetnsSpec::Pid(42)));
        assert_eq!(netns("/proc/1/ns/net"), Ok(NetnsSpec::Path("/proc/1/ns/net".into())));
        assert_eq!(netns("blue"), Ok(NetnsSpec::Path("/run/netns/blue".into())));
        for text in ["", "0", "pid:", "pid:x", "99999999999", ".."] {
            assert!(netns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ring_sizes_are_powers_of_two() {
        assert_eq!(ring_bytes("4096"), Ok(4096));
        assert_eq!(ring_bytes("1048576"), Ok(1 << 20));
        assert!(ring_bytes("5000").unwrap_err().contains("write 8192"));
        assert!(ring_bytes("1").unwrap_err().contains("write 4096"));
        assert!(ring_bytes("4294967295").unwrap_err().contains("write 1073741824"));
        assert!(ring_bytes("1M").is_err());
    }

    #[test]
    fn pids_and_containers() {
        assert_eq!(pid("1"), Ok(1));
        for text in ["0", "-1", "4194305", "nginx", ""] {
            assert!(pid(text).is_err(), "{text}");
        }
        assert_eq!(container("3f2a"), Ok("3f2a".to_owned()));
        assert!(container("").is_err() && container("a b").is_err());
    }
}
