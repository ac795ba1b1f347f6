//! libFuzzer over the target that `TCPTRACE_FUZZ` names. One program for all: each takes seconds to
//! link, and they differ in one function.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

/// The name of the target.
static NAME: LazyLock<String> =
    LazyLock::new(|| std::env::var("TCPTRACE_FUZZ").unwrap_or_else(|_| "record".to_owned()));

fuzz_target!(|bytes: &[u8]| tcptrace_fuzz::run(&NAME, bytes));
