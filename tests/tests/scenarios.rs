//! The scenario programs do what they claim. `ss` and `/proc` are the judges; the tool under
//! test takes no part.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use tcptrace_tests::churn::{Churn, LEAKS};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::process;
use tcptrace_tests::situation::{Family, Situation, Staged};
use tcptrace_tests::ss::{self, Socket};
use tcptrace_tests::wait::until;

/// `TCP_CLOSE`, as TCP_INFO tells it.
const TCP_CLOSE: &str = "7";

/// The situation leads to CLOSE_WAIT with this Recv-Q, a socket inode, and the holders that the
/// programs claim.
fn close_wait(situation: Situation, recv_q: u64) -> Result<()> {
    close_wait_where(situation, |socket| socket.recv_q == recv_q && socket.send_q == 0)
}

fn close_wait_where(situation: Situation, is: impl Fn(&Socket) -> bool) -> Result<()> {
    let pair = NetPair::new()?;
    let staged = situation.stage(&pair)?;
    let sockets = staged.wait_close_wait(|socket| is(socket) && socket.inode != 0)?;
    let claimed: BTreeSet<_> = staged.holders()?.into_iter().collect();
    for socket in &sockets {
        let holders = process::holders(socket.inode)?;
        ensure!(holders == claimed, "{socket:?}: held by {holders:?}, not {claimed:?}");
    }
    check_alone(&staged, sockets.len())
}

/// There is no other socket in CLOSE_WAIT.
fn check_alone(staged: &Staged, count: usize) -> Result<()> {
    let all = ss::close_wait(staged.namespace())?;
    ensure!(all.len() == count, "{count} wanted: {all:?}");
    Ok(())
}

/// The listener's queue holds the sockets, without inode.
fn queued(situation: Situation, recv_q: u64) -> Result<()> {
    let pair = NetPair::new()?;
    let staged = situation.stage(&pair)?;
    let queued = staged.wait_close_wait(|socket| socket.recv_q == recv_q && socket.inode == 0)?;
    check_alone(&staged, queued.len())?;
    let listener = ss::sockets(&pair.a)?.into_iter().find(|socket| socket.state == "LISTEN");
    let listener = listener.context("no listener")?;
    ensure!(listener.recv_q == queued.len() as u64, "{listener:?}");
    let fd: i32 = staged.server.parsed("listener_fd")?;
    ensure!(process::socket_inode(staged.server.pid(), fd)? == Some(listener.inode));
    Ok(())
}

/// The connection is over, `ss` does not know it, and the server still has its descriptor.
fn dead(situation: Situation) -> Result<()> {
    let pair = NetPair::new()?;
    let mut staged = situation.stage(&pair)?;
    let (_, peer) = staged.socket()?;
    until("the socket to be gone from ss", || {
        Ok(ss::by_peer(&pair.a, peer)?.is_none().then_some(()))
    })?;
    staged.server.tell("state")?;
    ensure!(staged.server.fact("tcp_state")? == TCP_CLOSE);
    let (pid, fd) = staged.holders()?[0];
    let inode = process::socket_inode(pid, fd)?.context("not a socket")?;
    ensure!(process::holders(inode)? == BTreeSet::from([(pid, fd)]));
    Ok(())
}

#[test]
fn read_eof_keep() -> Result<()> {
    close_wait(Situation::READ_EOF_KEEP, 0)
}

#[test]
fn read_eof_keep_v6() -> Result<()> {
    close_wait(Situation::READ_EOF_KEEP.over(Family::V6), 0)
}

#[test]
fn read_eof_keep_mapped() -> Result<()> {
    close_wait(Situation::READ_EOF_KEEP.over(Family::Mapped), 0)
}

#[test]
fn never_read() -> Result<()> {
    close_wait(Situation::NEVER_READ, 1)
}

#[test]
fn read_part() -> Result<()> {
    close_wait(Situation::READ_PART, 8)
}

#[test]
fn read_last() -> Result<()> {
    close_wait(Situation::READ_LAST, 0)
}

#[test]
fn peek_eof() -> Result<()> {
    close_wait(Situation::PEEK_EOF, 1)
}

#[test]
fn thread_accept() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::THREAD_ACCEPT.stage(&pair)?;
    let (pid, tid) =
        (staged.server.parsed::<u32>("opener_pid")?, staged.server.fact("opener_tid")?);
    let task = format!("/proc/{pid}/task");
    ensure!(pid == staged.server.pid() && tid != pid.to_string());
    ensure!(staged.server.fact("eof_tid")? == tid);
    ensure!(process::comm(pid)? == "thread-accept", "{task}");
    Ok(())
}

#[test]
fn hostile_comm() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::HOSTILE_COMM.stage(&pair)?;
    let comm = std::fs::read(format!("/proc/{}/comm", staged.server.pid()))?;
    ensure!(comm.contains(&0x1b) && comm.contains(&0xff), "{comm:?}");
    staged.wait_close_wait(|socket| socket.recv_q == 1)?;
    Ok(())
}

#[test]
fn never_accept() -> Result<()> {
    queued(Situation::NEVER_ACCEPT, 6)
}

#[test]
fn stop_accepting() -> Result<()> {
    queued(Situation::STOP_ACCEPTING, 6)
}

#[test]
fn child_inherits() -> Result<()> {
    close_wait(Situation::CHILD_INHERITS, 1)
}

#[test]
fn pass_fd() -> Result<()> {
    close_wait(Situation::PASS_FD, 1)
}

#[test]
fn fd_in_flight() -> Result<()> {
    close_wait(Situation::FD_IN_FLIGHT, 1)
}

#[test]
fn exit_opener() -> Result<()> {
    close_wait(Situation::EXIT_OPENER, 1)
}

#[test]
fn pid_reuse() -> Result<()> {
    close_wait(Situation::PID_REUSE, 1)
}

#[test]
fn pid_reuse_heir() -> Result<()> {
    close_wait(Situation::PID_REUSE_HEIR, 1)?;
    let pair = NetPair::new()?;
    let staged = Situation::PID_REUSE_HEIR.stage(&pair)?;
    let opener: u32 = staged.server.parsed("opener_pid")?;
    ensure!(staged.holders()?[0].0 == opener, "the heir has another pid");
    let start: u64 = staged.server.parsed("opener_start")?;
    ensure!(start < process::start_ticks(opener)?, "the opener is still there");
    Ok(())
}

#[test]
fn uring_accept() -> Result<()> {
    close_wait(Situation::URING_ACCEPT, 1)
}

#[test]
fn uring_multishot() -> Result<()> {
    close_wait(Situation::URING_MULTISHOT, 1)
}

#[test]
fn uring_fixed() -> Result<()> {
    close_wait(Situation::URING_FIXED, 1)
}

#[test]
fn rst() -> Result<()> {
    dead(Situation::RST)
}

#[test]
fn rst_read() -> Result<()> {
    dead(Situation::RST_READ)
}

#[test]
fn rst_after_fin() -> Result<()> {
    dead(Situation::RST_AFTER_FIN)
}

#[test]
fn shutdown_keep() -> Result<()> {
    dead(Situation::SHUTDOWN_KEEP)
}

#[test]
fn half_close() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::HALF_CLOSE.stage(&pair)?;
    staged.wait_close_wait(|socket| socket.recv_q == 0)?;
    // An ACK for each trickle that the peer takes.
    staged.wait_close_wait(|socket| socket.last_ack_ms > 60)?;
    staged.wait_close_wait(|socket| socket.last_ack_ms < 60 && socket.send_q == 0)?;
    Ok(())
}

#[test]
fn send_blocked() -> Result<()> {
    close_wait_where(Situation::SEND_BLOCKED, |socket| socket.send_q > 10_000)
}

#[test]
fn close_while_send() -> Result<()> {
    close_wait_where(Situation::CLOSE_WHILE_SEND, |socket| socket.send_q > 10_000)
}

#[test]
fn close_while_read() -> Result<()> {
    let pair = NetPair::new()?;
    let mut staged = Situation::CLOSE_WHILE_READ.connect(&pair)?;
    let (_, peer) = staged.socket()?;
    let socket = ss::by_peer(&pair.a, peer)?.context("no socket")?;
    ensure!(socket.state == "ESTAB" && process::holders(socket.inode)?.is_empty(), "{socket:?}");
    staged.finish()?;
    staged.server.fact("read_returned_at")?;
    until("the socket to go", || Ok(ss::by_peer(&pair.a, peer)?.is_none().then_some(())))
}

#[test]
fn client_leak() -> Result<()> {
    close_wait(Situation::CLIENT_LEAK, 1)
}

#[test]
fn client_read() -> Result<()> {
    close_wait(Situation::CLIENT_READ, 0)
}

#[test]
fn client_nonblocking() -> Result<()> {
    close_wait(Situation::CLIENT_NONBLOCKING, 1)
}

#[test]
fn healthy() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::HEALTHY.stage(&pair)?;
    ensure!(staged.server.fact("served")? == "5");
    for ns in pair.both() {
        ensure!(ss::close_wait(ns)?.is_empty());
    }
    Ok(())
}

#[test]
fn churn() -> Result<()> {
    let pair = NetPair::new()?;
    let mut churn = Churn::prepare(&pair)?;
    churn.start()?;
    ensure!(churn.leaked()? == LEAKS);
    let left = ss::close_wait(&pair.a)?;
    ensure!(left.len() == LEAKS, "{} in CLOSE_WAIT", left.len());
    let sources: BTreeSet<_> = left.values().filter_map(|s| Some(s.peer?.ip())).collect();
    ensure!(sources.len() > 10, "too few sources: {sources:?}");
    ensure!(ss::close_wait(&pair.b)?.is_empty());
    Ok(())
}

#[test]
fn nothing_is_left_behind() -> Result<()> {
    let pair = NetPair::new()?;
    let pids = {
        let staged = Situation::CHILD_INHERITS.stage(&pair)?;
        [staged.server.pid(), staged.client.pid(), staged.holders()?[0].0]
    };
    for pid in pids {
        until(&format!("{pid} to end"), || Ok((!process::runs(pid)).then_some(())))?;
    }
    let names = pair.both().map(|ns| ns.path());
    drop(pair);
    ensure!(names.iter().all(|name| !name.exists()), "{names:?}");
    Ok(())
}
