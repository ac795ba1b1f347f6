use super::*;
use crate::lifecycle::event::Dwell;
use crate::lifecycle::filter::Family;
use crate::lifecycle::pattern::Pattern;
use crate::lifecycle::report::Party;
use crate::lifecycle::socket::{Endpoint, Endpoints, Role};

fn end(addr: &str, port: u16) -> Endpoint {
    Endpoint { addr: Some(addr.parse().unwrap()), port: (port > 0).then_some(port) }
}

fn line() -> Line {
    Line {
        time_ns: 0,
        since_start_ns: 0,
        from: State::Established,
        to: State::CloseWait,
        dwell: Dwell::Unknown,
        cookie: Some(1),
        netns: 42,
        ends: Endpoints { local: end("10.0.0.1", 80), remote: end("10.9.0.7", 40000) },
        opener: None,
        role: Role::Passive,
        end: None,
        error: None,
        mini_socket: false,
    }
}

fn party(pid: u32, comm: &str) -> Party {
    Party { pid, comm: comm.into(), ..Party::default() }
}

fn wants() -> Filter<State> {
    Filter::default()
}

#[test]
fn an_empty_filter_matches_all_and_asks_for_nobody() {
    assert!(wants().matches_socket(&line()) && !wants().is_about_processes());
    assert!(wants().matches_party(&Party::default()));
}

#[test]
fn a_state_is_left_or_entered() {
    let wants = |states: &[State]| Filter { states: states.to_vec(), ..wants() };
    assert!(wants(&[State::Established]).matches_socket(&line()));
    assert!(wants(&[State::CloseWait]).matches_socket(&line()));
    assert!(wants(&[State::Listen, State::CloseWait]).matches_socket(&line()));
    assert!(!wants(&[State::Close]).matches_socket(&line()));
}

#[test]
fn places_match_as_for_leaks() {
    let cases = [
        (Filter { local_ports: vec![80..=90], ..wants() }, true),
        (Filter { local_ports: vec![81..=90], ..wants() }, false),
        (Filter { remote_ports: vec![1..=1, 40000..=40000], ..wants() }, true),
        (Filter { local_nets: vec!["10.0.0.0/24".parse().unwrap()], ..wants() }, true),
        (Filter { remote_nets: vec!["10.0.0.0/24".parse().unwrap()], ..wants() }, false),
        (Filter { family: Some(Family::V4), ..wants() }, true),
        (Filter { family: Some(Family::V6), ..wants() }, false),
        (Filter { netns: vec![1, 42], ..wants() }, true),
        (Filter { netns: vec![1], ..wants() }, false),
    ];
    for (filter, matches) in cases {
        assert_eq!(filter.matches_socket(&line()), matches, "{filter:?}");
    }
}

#[test]
fn a_port_that_is_not_chosen_yet_matches_none() {
    let mut connecting = line();
    connecting.ends.local = end("10.0.0.1", 0);
    let filter = Filter { local_ports: vec![1..=65535], ..wants() };
    assert!(!filter.matches_socket(&connecting));
}

#[test]
fn an_opener_matches_by_what_is_known_of_it() {
    let pids = Filter { pids: vec![7, 8], ..wants() };
    assert!(pids.is_about_processes() && !pids.needs_process_details());
    assert!(pids.matches_party(&party(8, "child")));
    assert!(!pids.matches_party(&party(9, "child")));
    let comms = Filter { comms: vec![Pattern::parse_comm("py*").unwrap()], ..wants() };
    assert!(comms.is_about_processes());
    assert!(comms.matches_party(&party(9, "python3")));
    assert!(!comms.matches_party(&party(9, "java")));
    let both = Filter { pids: vec![9], ..comms };
    assert!(both.matches_party(&party(9, "python3")));
    assert!(!both.matches_party(&party(8, "python3")));
}

#[test]
fn a_place_that_is_not_known_matches_none() {
    let cgroups = Filter { cgroups: vec![Pattern::parse("/kube*").unwrap()], ..wants() };
    let containers = Filter { containers: vec!["3f2a".into()], ..wants() };
    let known = Party {
        cgroup: Some("/kubepods/x".into()),
        container: Some("3f2a9c".into()),
        ..party(9, "nginx")
    };
    for filter in [cgroups, containers] {
        assert!(filter.needs_process_details() && filter.is_about_processes());
        assert!(filter.matches_party(&known));
        assert!(!filter.matches_party(&party(9, "nginx")));
    }
}
