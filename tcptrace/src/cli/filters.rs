//! The filters that mean the same with every command.

use std::ops::RangeInclusive;

use clap::Args;
use ipnet::IpNet;

use super::state::FilterState;
use super::value;
use crate::lifecycle::filter::{Family, Filter, NetnsSpec};
use crate::lifecycle::pattern::Pattern;

/// Filters over process, address, state and place; each command has its own states, and its own
/// processes that a socket belongs to.
#[derive(Args, Debug)]
#[command(next_help_heading = "Filters (lists: one of them; all that are given have to hold)")]
pub struct FilterArgs<S: FilterState> {
    #[arg(help = format!("Process ids of {}: 4244,4245", S::PROCESS))]
    #[arg(short, long, value_delimiter = ',', value_parser = value::pid, value_name = "PID")]
    pid: Vec<u32>,
    #[arg(help = format!("Names of {}, a glob: 'java', 'python*'", S::PROCESS))]
    #[arg(short, long, value_parser = value::comm_glob, value_name = "GLOB")]
    comm: Vec<Pattern>,
    /// Local ports: 80,443,8000-8010
    #[arg(short = 'L', long, value_delimiter = ',', value_parser = value::ports)]
    #[arg(value_name = "PORTS")]
    local_port: Vec<RangeInclusive<u16>>,
    /// Remote ports: 80,443,8000-8010
    #[arg(short = 'D', long, value_delimiter = ',', value_parser = value::ports)]
    #[arg(value_name = "PORTS")]
    remote_port: Vec<RangeInclusive<u16>>,
    /// Networks of the local address: 10.0.0.0/8,2001:db8::/32
    #[arg(long, value_delimiter = ',', value_parser = value::network, value_name = "CIDR")]
    local: Vec<IpNet>,
    /// Networks of the remote address
    #[arg(long, value_delimiter = ',', value_parser = value::network, value_name = "CIDR")]
    remote: Vec<IpNet>,
    /// IPv4, also where an IPv6 socket carries it
    #[arg(short = '4', long)]
    ipv4: bool,
    /// IPv6
    #[arg(short = '6', long)]
    ipv6: bool,
    #[arg(help = S::HELP)]
    #[arg(short, long, value_delimiter = ',', value_parser = S::parse)]
    #[arg(value_name = "STATE")]
    state: Vec<S>,
    /// Network namespaces: inode number, path, name or pid:4244
    #[arg(long, value_delimiter = ',', value_parser = value::netns, value_name = "NETNS")]
    netns: Vec<NetnsSpec>,
    #[arg(help = format!("cgroup path of {}, a glob: '/kubepods*'", S::PROCESS))]
    #[arg(long, value_parser = value::cgroup_glob, value_name = "GLOB")]
    cgroup: Vec<Pattern>,
    #[arg(help = format!("Beginning of the container id of {}", S::PROCESS))]
    #[arg(long, value_delimiter = ',', value_parser = value::container, value_name = "ID")]
    container: Vec<String>,
}

impl<S: FilterState> FilterArgs<S> {
    /// The filter, and the namespaces that are still to be resolved to inodes.
    pub fn plan(self) -> (Filter<S>, Vec<NetnsSpec>) {
        let family = match (self.ipv4, self.ipv6) {
            (true, false) => Some(Family::V4),
            (false, true) => Some(Family::V6),
            _ => None,
        };
        let filter = Filter {
            pids: self.pid,
            comms: self.comm,
            cgroups: self.cgroup,
            containers: self.container,
            local_ports: self.local_port,
            remote_ports: self.remote_port,
            local_nets: self.local,
            remote_nets: self.remote,
            family,
            states: self.state,
            netns: Vec::new(),
        };
        (filter, self.netns)
    }
}
