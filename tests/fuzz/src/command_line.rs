//! What is typed: pids, ports, networks, durations, patterns, namespaces.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use tcptrace::cli;
use tcptrace::lifecycle::pattern::Pattern;
use tcptrace::lifecycle::text::from_bytes;

/// Words of a command line, with a NUL behind each.
pub fn cli(bytes: &[u8]) {
    let words = bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    let _ = cli::parse([OsString::from("tcptrace")].into_iter().chain(words));
    let text = from_bytes(bytes);
    if let Some((pattern, name)) = text.split_once('\n') {
        for pattern in [Pattern::parse(pattern), Pattern::parse_comm(pattern)].into_iter().flatten()
        {
            let _ = pattern.matches(name);
        }
    }
}
