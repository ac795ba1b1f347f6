//! A pid that means another process than it did when the socket was opened.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use tcptrace_tests::clock::{MILLI, monotonic_ns};
use tcptrace_tests::{process, wait};

use crate::args::Args;
use crate::{control, facts, fork, net};

/// The opener exits, and a new process gets its pid. With `--heir true` the new process holds
/// the socket; else a third one does and the new process is a bystander.
pub fn pid_reuse(args: &Args) -> Result<()> {
    let (ours, theirs) = fork::pair()?;
    let listener = net::listen(args)?;
    let opener = fork::child("opener", || {
        let stream = net::accept_opened(&listener)?;
        fork::send_fd(&theirs, stream.as_fd())
    })?;
    let socket = fork::receive_fd(&ours)?;
    let status = waitpid(opener, None)?;
    ensure!(matches!(status, WaitStatus::Exited(_, 0)), "the opener ended with {status:?}");
    wait_next_tick()?;
    if args.or("heir", false)? { give(socket, opener) } else { keep_beside(socket, opener) }
}

/// `/proc` counts start times in ticks; the two processes must differ there too.
fn wait_next_tick() -> Result<()> {
    let ended = monotonic_ns();
    wait::until("the clock to tick", || Ok((monotonic_ns() > ended + 20 * MILLI).then_some(())))
}

fn give(socket: OwnedFd, pid: Pid) -> Result<()> {
    start_as(pid, control::wait_hangup)?;
    facts::holder_of(pid.as_raw() as u32, socket.as_fd())?;
    drop(socket);
    facts::stage("accepted");
    control::keep(Vec::new())
}

fn keep_beside(socket: OwnedFd, pid: Pid) -> Result<()> {
    facts::holder(socket.as_fd())?;
    let (ours, theirs) = fork::pair()?;
    let mut only_ours = Some(socket);
    start_as(pid, || {
        drop(only_ours.take());
        nix::unistd::write(&theirs, b"closed")?;
        control::wait_hangup()
    })?;
    nix::unistd::read(&ours, &mut [0; 16])?;
    facts::stage("accepted");
    control::keep(only_ours.into_iter().collect())
}

/// Forks a child whose pid is this one, which is free.
fn start_as(pid: Pid, job: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = [pid.as_raw()];
    let mut request = fork_request(&wanted);
    // SAFETY: without CLONE_VM this is fork(2): the child has a copy of all memory and continues
    // here; the process has one thread; `request` and `wanted` outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut request, size_of_val(&request)) };
    match result {
        0 => fork::be_child("impostor", job),
        -1 => Err(io::Error::last_os_error()).with_context(|| format!("take pid {pid} again")),
        got => {
            ensure!(got == libc::c_long::from(pid.as_raw()), "got pid {got}, not {pid}");
            facts::say("impostor_start", process::start_ticks(got as u32)?);
            Ok(())
        }
    }
}

fn fork_request(wanted: &[libc::pid_t; 1]) -> libc::clone_args {
    libc::clone_args {
        flags: 0,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: wanted.as_ptr() as u64,
        set_tid_size: 1,
        cgroup: 0,
    }
}
