//! A server that takes its time to close.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::facts::{say, stage};
use crate::{control, net};

/// Accepts `--count` connections and closes each `--hold-ms` after its peer has. With `--comm` the
/// process has another name.
pub fn close(args: &Args) -> Result<()> {
    let name: String = args.or("comm", String::new())?;
    if !name.is_empty() {
        fs::write("/proc/self/comm", name).context("set the name")?;
    }
    let listener = net::listen(args)?;
    let (count, hold) = (args.need("count")?, Duration::from_millis(args.need("hold-ms")?));
    let mut threads = Vec::new();
    for _ in 0..count {
        let (mut stream, _) = listener.accept()?;
        threads.push(thread::spawn(move || {
            net::drain(&mut stream)?;
            thread::sleep(hold);
            anyhow::Ok(())
        }));
    }
    stage("accepted_all");
    let closed = threads.into_iter().filter_map(|thread| thread.join().ok()?.ok()).count();
    say("closed", closed);
    control::keep(Vec::new())
}
