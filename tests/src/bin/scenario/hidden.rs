//! Sockets where a look at processes and mounts does not lead.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CloneFlags, unshare};

use crate::args::Args;
use crate::facts::say;
use crate::{control, fork};

/// A socket in flight in a network namespace that no process is in and no mount shows: it lives by
/// that socket alone, or, with `--stream true`, also by connections of this process, which is
/// elsewhere.
pub fn hidden_namespace(args: &Args) -> Result<()> {
    let streams = args.or("stream", false)?;
    let thread = thread::spawn(move || in_hidden_namespace(streams));
    let kept = thread.join().map_err(|_| anyhow!("the thread panicked"))??;
    control::keep(kept)
}

/// Runs in a thread that is gone afterwards, and with it all that leads to the namespace.
fn in_hidden_namespace(streams: bool) -> Result<Vec<OwnedFd>> {
    unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("ip")?;
    ensure!(up.success(), "cannot bring lo up");
    let link = fs::read_link("/proc/thread-self/ns/net")?;
    say("netns", link.to_string_lossy().trim_start_matches("net:[").trim_end_matches(']'));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (client, leaked) = connection(&listener)?;
    say("remote_port", client.local_addr()?.port());
    drop(client);
    control::wait_peer_close(&leaked)?;
    let (one, other) = fork::pair()?;
    fork::send_fd(&one, leaked.as_fd())?;
    let mut kept = vec![one, other];
    if streams {
        let (client, mut server) = connection(&listener)?;
        server.write_all(b"well")?;
        kept.extend([client.into(), server.into()]);
    }
    Ok(kept)
}

fn connection(listener: &TcpListener) -> Result<(TcpStream, TcpStream)> {
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}
