//! The fields that a JSON object must have, and the tokens that are frozen.

use anyhow::{Result, ensure};
use serde_json::Value;

const LEAK: &[&str] = &[
    "type",
    "v",
    "time",
    "kind",
    "cause",
    "evidence",
    "cookie",
    "netns",
    "family",
    "protocol",
    "local_addr",
    "local_port",
    "remote_addr",
    "remote_port",
    "role",
    "age_ns",
    "age_exact",
    "age_max_ns",
    "unread_bytes",
    "unsent_bytes",
    "keepalive",
    "opener",
    "holders",
    "listener",
    "open_stack",
    "eof",
    "group",
];

const OPENER: &[&str] =
    &["pid", "tid", "comm", "exe", "uid", "start_time_ns", "cgroup", "container"];

const HOLDER: &[&str] =
    &["pid", "comm", "exe", "uid", "fds", "fd_limit", "fd_used", "cgroup", "container"];

const LISTENER: &[&str] = &["local_addr", "local_port", "backlog", "backlog_max", "holders"];

const SUMMARY: &[&str] = &[
    "type",
    "v",
    "command",
    "kernel",
    "traced_ns",
    "leaks",
    "sockets_checked",
    "events",
    "lost",
    "degradations",
    "checked_at",
];

const STATE_COUNT: &[&str] = &["type", "v", "time", "state", "dead", "key", "count"];

const STATES_SUMMARY: &[&str] = &[
    "type",
    "v",
    "command",
    "kernel",
    "by",
    "sockets",
    "keys",
    "keys_shown",
    "shared",
    "mptcp",
    "namespaces",
    "namespaces_unread",
    "took_ns",
    "lost",
    "degradations",
    "checked_at",
];

const STATES: &[&str] = &[
    "LISTEN",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "CLOSING",
    "TIME_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "CLOSE",
];

const CAUSES: &[&str] = &[
    "never-accepted",
    "eof-not-read",
    "data-not-read",
    "eof-read-not-closed",
    "fin-consumed-not-closed",
    "send-blocked",
    "half-close",
    "held-by-other",
    "held-by-kernel",
    "dead-reset",
    "dead-closed",
];

/// Fails where a `leak` lacks a field or has a token that the contract does not know.
pub fn check_leak(leak: &Value) -> Result<()> {
    has_all(leak, LEAK)?;
    one_of(leak, "kind", &["close-wait", "dead"])?;
    one_of(leak, "cause", CAUSES)?;
    one_of(leak, "family", &["ipv4", "ipv6"])?;
    one_of(leak, "protocol", &["tcp", "mptcp"])?;
    one_of(leak, "role", &["active", "passive", "unknown"])?;
    let statuses = ["ok", "truncated", "not-traced", "unwind-failed"];
    one_of(&leak["open_stack"], "status", &statuses)?;
    for list in ["evidence", "holders"] {
        ensure!(leak[list].is_array(), "{list} is not a list: {leak}");
    }
    each(&leak["holders"], HOLDER)?;
    each(&leak["listener"]["holders"], HOLDER)?;
    for (field, known) in [("opener", OPENER), ("listener", LISTENER)] {
        if !leak[field].is_null() {
            has_all(&leak[field], known)?;
        }
    }
    Ok(())
}

/// Fails where a `summary` lacks a field.
pub fn check_summary(summary: &Value) -> Result<()> {
    has_all(summary, SUMMARY)
}

/// Fails where an object of `states` lacks a field or has a token that the contract does not know.
pub fn check_states(object: &Value) -> Result<()> {
    if object["type"] == "summary" {
        return has_all(object, STATES_SUMMARY);
    }
    has_all(object, STATE_COUNT)?;
    one_of(object, "state", STATES)?;
    ensure!(object["dead"] == (object["state"] == "CLOSE"), "dead? in {object}");
    ensure!(object["key"].is_object() && object["count"].is_u64(), "key, count? in {object}");
    Ok(())
}

fn each(list: &Value, fields: &[&str]) -> Result<()> {
    list.as_array().into_iter().flatten().try_for_each(|item| has_all(item, fields))
}

fn has_all(object: &Value, fields: &[&str]) -> Result<()> {
    let missing: Vec<_> = fields.iter().filter(|field| object.get(*field).is_none()).collect();
    ensure!(missing.is_empty(), "missing {missing:?} in {object}");
    Ok(())
}

fn one_of(object: &Value, field: &str, tokens: &[&str]) -> Result<()> {
    let token = object[field].as_str();
    ensure!(token.is_some_and(|token| tokens.contains(&token)), "{field}? in {object}");
    Ok(())
}
