//! Programs that misbehave on purpose, one subcommand for each way.
//!
//! Each prints facts as `key=value` lines, obeys commands on standard input and ends when
//! standard input ends, whatever it is doing, and after two minutes at the latest.

mod actor;
mod args;
mod churn;
mod client;
mod control;
mod crowd;
mod dead;
mod facts;
mod fork;
mod healthy;
mod hidden;
mod net;
mod preempt;
mod puppet;
mod queue;
mod reading;
mod reuse;
mod sending;
mod sharing;
mod slow;
mod uring;
mod ways;

use anyhow::{Result, bail};

use crate::args::Args;

fn main() -> Result<()> {
    let args = Args::from_env()?;
    control::limit_life();
    control::end_with_input()?;
    facts::start(&args.name)?;
    match args.name.as_str() {
        "read-eof-keep" => reading::read_eof_keep(&args),
        "never-read" => reading::never_read(&args),
        "read-part" => reading::read_part(&args),
        "read-last" => reading::read_last(&args),
        "peek-eof" => reading::peek_eof(&args),
        "thread-accept" => reading::thread_accept(&args),
        "hostile-comm" => reading::hostile_comm(&args),
        "never-accept" => queue::never_accept(&args),
        "stop-accepting" => queue::stop_accepting(&args),
        "child-inherits" => sharing::child_inherits(&args),
        "pass-fd" => sharing::pass_fd(&args),
        "fd-in-flight" => sharing::fd_in_flight(&args),
        "juggle" => sharing::juggle(&args),
        "hidden-namespace" => hidden::hidden_namespace(&args),
        "exit-opener" => sharing::exit_opener(&args),
        "pid-reuse" => reuse::pid_reuse(&args),
        "uring-accept" => uring::accept(&args),
        "uring-fixed" => uring::accept_fixed(&args),
        "rst-read" => dead::rst_read(&args),
        "shutdown-keep" => dead::shutdown_keep(&args),
        "half-close" => sending::half_close(&args),
        "send-blocked" => sending::send_blocked(&args),
        "close-while-send" => sending::close_while_send(&args),
        "close-while-read" => sending::close_while_read(&args),
        "healthy" => healthy::serve(&args),
        "close-on-command" => healthy::close_on_command(&args),
        "slow-close" => slow::close(&args),
        "churn-server" => churn::server(&args),
        "churn-client" => churn::client(&args),
        "crowd" => crowd::crowd(&args),
        "actor" => actor::actor(),
        "connect" => client::connect(&args),
        "accept-many" => preempt::accept_many(&args),
        "intrude" => preempt::intrude(&args),
        "puppet" => puppet::obey(&args),
        "client-leak" => client::leak(&args),
        unknown => bail!("no scenario called {unknown}"),
    }
}
