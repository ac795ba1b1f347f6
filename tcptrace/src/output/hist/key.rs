//! Keys as words.

use crate::lifecycle::dwell::key::Key;
use crate::output::cell;

/// For people, in a table; `None` where nothing is told apart.
pub fn title(key: &Key) -> Option<String> {
    Some(match key {
        Key::All => return None,
        Key::Comm(Some(comm)) => format!("opened by {}", cell::safe(comm)),
        Key::Comm(None) => "opener not known".to_owned(),
        Key::LocalPort(Some(port)) => format!("local port {port}"),
        Key::LocalPort(None) => "local port not known".to_owned(),
        Key::Outgoing => "outgoing connections".to_owned(),
        Key::Remote(Some(addr)) => format!("remote {addr}"),
        Key::Remote(None) => "remote address not known".to_owned(),
        Key::Other => "(other)".to_owned(),
    })
}

/// For the tag of a log: no blank, no comma, nothing that a terminal could act on.
pub fn tag(key: &Key) -> Option<String> {
    let or_unknown = |what: &str, value: Option<String>| {
        format!("{what}={}", value.unwrap_or_else(|| "-".to_owned()))
    };
    Some(match key {
        Key::All => return None,
        Key::Comm(comm) => or_unknown("comm", comm.as_deref().map(plain)),
        Key::LocalPort(port) => or_unknown("local-port", port.map(|port| port.to_string())),
        Key::Outgoing => "outgoing".to_owned(),
        Key::Remote(addr) => or_unknown("remote", addr.map(|addr| addr.to_string())),
        Key::Other => "other".to_owned(),
    })
}

fn plain(name: &str) -> String {
    cell::safe(name).replace(' ', "\\x20").replace(',', "\\x2c")
}
