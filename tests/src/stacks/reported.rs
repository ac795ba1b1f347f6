//! A stack in a report of the tool.

use anyhow::{Context, Result};
use serde_json::Value;

use super::event::Kind;

/// A stack as the tool tells it, without what gdb does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// `ok`, `truncated`, `not-traced` or `unwind-failed`.
    pub status: String,
    /// Why it is not complete.
    pub reason: String,
    /// The addresses of physical frames, innermost first.
    pub addresses: Vec<u64>,
}

impl Reported {
    /// Reads a `stack` object.
    pub fn parse(stack: &Value) -> Result<Self> {
        let status = stack["status"].as_str().with_context(|| format!("no status: {stack}"))?;
        let reason = stack["reason"].as_str().unwrap_or_default().to_owned();
        let frames = stack["frames"].as_array().map_or(&[][..], Vec::as_slice);
        let physical = frames.iter().filter(|frame| is_physical(frame));
        let addresses = physical.map(address).collect::<Result<_>>()?;
        Ok(Self { status: status.to_owned(), reason, addresses })
    }

    /// The stack of a `leak` that tells of this kind of event.
    pub fn of_leak(leak: &Value, kind: Kind) -> Result<Self> {
        let stack = match kind {
            Kind::Listen => &leak["listener"]["stack"],
            Kind::Accept | Kind::Connect => &leak["open_stack"],
            Kind::Eof => &leak["eof"]["stack"],
        };
        Self::parse(stack).with_context(|| format!("stack of {kind:?} in {leak}"))
    }
}

/// Whether gdb has such a frame: not a function of Python, not one that was inlined.
fn is_physical(frame: &Value) -> bool {
    frame["language"] != "python" && frame["inlined"] != true
}

/// A number, or hexadecimal digits after `0x`.
fn address(frame: &Value) -> Result<u64> {
    let address = &frame["address"];
    let digits = || address.as_str().and_then(|text| text.strip_prefix("0x"));
    let hexadecimal = || u64::from_str_radix(digits()?, 16).ok();
    address.as_u64().or_else(hexadecimal).with_context(|| format!("no address: {frame}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn physical_frames_only() {
        let stack = json!({"status": "ok", "reason": null, "frames": [
            {"language": "python", "address": null, "inlined": false},
            {"language": "native", "address": 7, "inlined": true},
            {"language": "native", "address": 7, "inlined": false},
            {"language": "jit", "address": "0x1f", "inlined": false},
        ]});
        let reported = Reported::parse(&stack).unwrap();
        assert_eq!((reported.status.as_str(), reported.addresses), ("ok", vec![7, 31]));
        assert!(Reported::parse(&Value::Null).is_err());
    }
}
