//! Servers that do nothing wrong.

use anyhow::Result;

use crate::args::Args;
use crate::facts::{now, say, stage};
use crate::{control, net};

/// Reads `--count` connections to their end and closes each.
pub fn serve(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let count: usize = args.need("count")?;
    for _ in 0..count {
        net::drain(&mut listener.accept()?.0)?;
    }
    say("served", count);
    control::keep(Vec::new())
}

/// Accepts one connection and closes it when told to: the client then has the leak.
pub fn close_on_command(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let (stream, _) = listener.accept()?;
    stage("accepted");
    control::expect("finish")?;
    now("closing_at");
    drop(stream);
    now("closed_at");
    control::wait_hangup()
}
