use std::time::Duration;

use super::*;
use crate::commands::plan::{
    Color, Explained, Format, HistPlan, LeaksPlan, OutputPlan, StatesPlan, StreamPlan, Until,
};
use crate::doctor::topic::CLOSE_WAIT;
use crate::lifecycle::by::By;
use crate::lifecycle::cause::Kind;
use crate::lifecycle::census;
use crate::lifecycle::dwell::key as dwell;
use crate::lifecycle::filter::{Family, Filter, NetnsSpec};
use crate::lifecycle::socket::State;
use crate::lifecycle::stream::TimeColumn;
use crate::lifecycle::weight::Weight;

fn typed(line: &str) -> Result<Plan, Exit> {
    parse(std::iter::once("tcptrace").chain(line.split_whitespace()).map(OsString::from))
}

fn leaks(line: &str) -> LeaksPlan {
    match typed(&format!("leaks {line}")) {
        Ok(Plan::Leaks(plan)) => *plan,
        other => panic!("{line}: {other:?}"),
    }
}

fn usage_error(line: &str) -> String {
    let exit = typed(line).unwrap_err();
    assert_eq!((exit.status, exit.stream), (2, Stream::Stderr), "{line}");
    assert!(exit.text.starts_with("tcptrace: "), "{}", exit.text);
    assert_eq!(exit.text.matches('\n').count(), 1, "one line: {:?}", exit.text);
    assert!(exit.text.ends_with('\n'));
    exit.text.trim_end().trim_start_matches("tcptrace: ").to_owned()
}

#[test]
fn clap_finds_nothing_wrong_with_the_definition() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[test]
fn defaults_are_those_of_the_contract() {
    let plan = leaks("");
    assert_eq!(plan.min_age, Duration::from_secs(30));
    assert_eq!(plan.interval, Duration::from_secs(5));
    assert_eq!(plan.until, Until::Interrupted);
    assert_eq!(plan.by, By::Stack);
    assert_eq!(plan.filter, Filter::default());
    assert_eq!(plan.budget.ring_bytes, 1 << 20);
    assert_eq!((plan.exit_code, plan.verbosity), (false, 0));
    assert_eq!((plan.stacks, plan.native, plan.weight), (true, false, Weight::Sockets));
    let output = OutputPlan { format: Format::Table, color: Color::Auto, wide: false };
    assert_eq!(plan.output, output);
}

#[test]
fn every_option_arrives_in_the_plan() {
    let plan = leaks(
        "--min-age 0s --interval 500ms --duration 1h30m --by local-port --exit-code -o json \
         --color never -w -vv --ring-size 4096",
    );
    assert_eq!(plan.min_age, Duration::ZERO);
    assert_eq!(plan.interval, Duration::from_millis(500));
    assert_eq!(plan.until, Until::Elapsed(Duration::from_secs(5400)));
    assert_eq!(plan.by, By::LocalPort);
    assert!(plan.exit_code);
    let output = OutputPlan { format: Format::Json, color: Color::Never, wide: true };
    assert_eq!(plan.output, output);
    assert_eq!((plan.verbosity, plan.budget.ring_bytes), (2, 4096));
    assert_eq!(leaks("--once").until, Until::Once);
    let plan = leaks("-o folded --native --weight seconds");
    assert_eq!((plan.native, plan.weight), (true, Weight::Seconds));
    assert_eq!(plan.output.format, Format::Folded);
    assert_eq!(leaks("-o svg").output.format, Format::Svg);
    assert!(!leaks("--no-stacks").stacks);
}

#[test]
fn every_filter_arrives_in_the_plan() {
    let plan = leaks(
        "-p 1,2 -p 3 -c java -c py* -L 80,443,8000-8010 -D 5432 --local 10.0.0.0/8,::1 \
         --remote 192.0.2.7 -6 -s close-wait,CLOSE --netns pid:7,4026531840 --cgroup /kube* \
         --container 3f2a",
    );
    let filter = plan.filter;
    assert_eq!(filter.pids, [1, 2, 3]);
    assert_eq!(filter.comms.len(), 2);
    assert!(filter.comms[1].matches("python3"));
    assert_eq!(filter.local_ports, [80..=80, 443..=443, 8000..=8010]);
    assert_eq!(filter.remote_ports, [5432..=5432]);
    assert_eq!(filter.local_nets.len(), 2);
    assert_eq!(filter.remote_nets[0].to_string(), "192.0.2.7/32");
    assert_eq!(filter.family, Some(Family::V6));
    assert_eq!(filter.states, [Kind::CloseWait, Kind::Dead]);
    assert!(filter.cgroups[0].matches("/kubepods/x"));
    assert_eq!(filter.containers, ["3f2a"]);
    assert_eq!(plan.netns, [NetnsSpec::Pid(7), NetnsSpec::Inode(4_026_531_840)]);
    assert!(filter.netns.is_empty(), "not resolved here");
}

fn stream(line: &str) -> StreamPlan {
    match typed(&format!("stream {line}")) {
        Ok(Plan::Stream(plan)) => *plan,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn stream_has_the_shared_filters_and_its_own_states() {
    let plan = stream("");
    assert_eq!((plan.filter, plan.children), (Filter::default(), false));
    assert_eq!((plan.until, plan.time), (Until::Interrupted, TimeColumn::Wall));
    assert_eq!((plan.budget.ring_bytes, plan.output.format), (32 << 20, Format::Table));
    let plan = stream(
        "-p 7 --children -c curl -L 80 -D 443 --local ::1 --remote 10.0.0.0/8 -6 --netns pid:7 \
         -s close-wait,FIN_WAIT2,estab --cgroup /a* --container 3f --time relative -w -o json \
         --duration 5s --ring-size 8192 -v",
    );
    assert_eq!((plan.filter.pids.as_slice(), plan.children), (&[7][..], true));
    let states = [State::CloseWait, State::FinWait2, State::Established];
    assert_eq!(plan.filter.states, states);
    assert_eq!(plan.netns, [NetnsSpec::Pid(7)]);
    assert_eq!((plan.time, plan.budget.ring_bytes), (TimeColumn::Relative, 8192));
    assert_eq!(plan.until, Until::Elapsed(Duration::from_secs(5)));
    assert_eq!((plan.output.wide, plan.verbosity), (true, 1));
    assert_eq!(stream("--time none").time, TimeColumn::None);
}

#[test]
fn both_families_are_no_condition() {
    assert_eq!(leaks("-4").filter.family, Some(Family::V4));
    assert_eq!(leaks("-4 -6").filter.family, None);
}

fn states(line: &str) -> StatesPlan {
    match typed(&format!("states {line}")) {
        Ok(Plan::States(plan)) => *plan,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn states_counts_once_unless_it_watches() {
    let plan = states("");
    assert_eq!((plan.until, plan.by, plan.top), (Until::Once, census::By::State, Some(20)));
    assert!(plan.states.is_empty() && plan.filter == Filter::default());
    let plan = states("--watch");
    assert_eq!((plan.until, plan.interval), (Until::Interrupted, Duration::from_secs(2)));
    let plan = states("--watch --interval 500ms --duration 1m");
    assert_eq!(plan.until, Until::Elapsed(Duration::from_secs(60)));
    assert_eq!(plan.interval, Duration::from_millis(500));
}

#[test]
fn doctor_explains_what_it_knows_and_nothing_else() {
    let doctor = |line: &str| match typed(&format!("doctor {line}")) {
        Ok(Plan::Doctor(plan)) => *plan,
        other => panic!("{line}: {other:?}"),
    };
    let plan = doctor("");
    assert_eq!((plan.window, plan.min_age), (Duration::from_secs(1), Duration::from_secs(30)));
    assert_eq!((plan.explain, plan.sysctl_file, plan.exit_code), (None, None, false));
    let reuse = Some(Explained::Setting("net.ipv4.tcp_tw_reuse"));
    for name in ["tcp_tw_reuse", "net.ipv4.tcp_tw_reuse", "/proc/sys/net/ipv4/tcp_tw_reuse"] {
        assert_eq!(doctor(&format!("--explain {name}")).explain, reuse, "{name}");
    }
    for name in ["close-wait", "CLOSE_WAIT"] {
        assert_eq!(
            doctor(&format!("--explain {name}")).explain,
            Some(Explained::Topic(&CLOSE_WAIT))
        );
    }
    assert!(usage_error("doctor --explain magic").contains("time-wait-buckets"));
    assert!(usage_error("doctor --duration 0s").contains("longer than 0"));
}

#[test]
fn states_leaves_out_rows_in_the_table_alone_unless_asked_to() {
    for (line, top) in [
        ("--by remote", Some(20)),
        ("--by remote -w", None),
        ("--by remote -o json", None),
        ("--by process -o json --top 3", Some(3)),
        ("--by process -w --top 5", Some(5)),
    ] {
        assert_eq!(states(line).top, top, "{line}");
    }
}

#[test]
fn states_takes_the_filters_and_every_state() {
    let plan = states("-s close-wait,SYN_RECV,dead -p 7 -L 80 --remote 10.0.0.0/8 --netns pid:7");
    assert_eq!(plan.states, [State::CloseWait, State::SynRecv, State::Close]);
    assert_eq!((plan.filter.pids, plan.filter.local_ports), (vec![7], vec![80..=80]));
    assert_eq!(plan.netns, [NetnsSpec::Pid(7)]);
    assert_eq!(usage_error("states --interval 1s"), "--watch is missing; see tcptrace --help");
}

#[test]
fn check_takes_the_output_options() {
    let Ok(Plan::Check(plan)) = typed("check -o json -v") else { panic!() };
    assert_eq!((plan.output.format, plan.verbosity), (Format::Json, 1));
}

fn hist(line: &str) -> HistPlan {
    match typed(&format!("hist {line}")) {
        Ok(Plan::Hist(plan)) => *plan,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn hist_runs_until_it_is_stopped_and_counts_by_state() {
    let plan = hist("");
    assert_eq!((plan.by, plan.until, plan.interval), (dwell::By::State, Until::Interrupted, None));
    assert_eq!((plan.exact, plan.hdr_log, plan.top), (false, None, Some(10)));
    assert_eq!(plan.filter, Filter::default());
    assert_eq!((plan.key_buckets, plan.budget.ring_bytes), (1 << 18, 1 << 23));
}

#[test]
fn every_option_of_hist_arrives_in_the_plan() {
    let plan = hist(
        "--by local-port --interval 10s --duration 1m --exact --hdr-log out.hlog --top 3 \
         -s close-wait,FIN_WAIT2 -L 443 --netns pid:7 --key-buckets 1 --ring-size 4096 -v",
    );
    assert_eq!(plan.by, dwell::By::LocalPort);
    assert_eq!(plan.interval, Some(Duration::from_secs(10)));
    assert_eq!(plan.until, Until::Elapsed(Duration::from_secs(60)));
    assert!(plan.exact);
    assert_eq!(plan.hdr_log, Some("out.hlog".into()));
    assert_eq!((plan.top, hist("-w").top), (Some(3), None));
    assert_eq!(plan.filter.states, [State::CloseWait, State::FinWait2]);
    assert_eq!(plan.filter.local_ports, [443..=443]);
    assert_eq!(plan.netns, [NetnsSpec::Pid(7)]);
    assert_eq!((plan.key_buckets, plan.budget.ring_bytes, plan.verbosity), (1, 4096, 1));
    for (typed, by) in [("comm", dwell::By::Comm), ("remote", dwell::By::Remote)] {
        assert_eq!(hist(&format!("--by {typed}")).by, by);
    }
}

#[test]
fn a_usage_error_is_one_line_that_says_what_to_do() {
    let cases = [
        ("leaks --min-age 30", "--min-age 30: a unit is missing; write 30s, 30ms or 30m"),
        (
            "leaks --min-age banana",
            "--min-age banana: not a duration; write for example 500ms, 30s, 5m or 1h30m",
        ),
        ("leaks --min-age", "--min-age needs a value; see tcptrace --help"),
        ("leaks --interval 0s", "--interval 0s: must be longer than 0; write for example 1s"),
        ("leaks -o yaml", "--output yaml: not one of table, json, folded, svg"),
        ("check -o svg", "--output svg: not one of table, json"),
        (
            "leaks --native --no-stacks",
            "--native and --no-stacks exclude each other; give one of them",
        ),
        ("leaks --weight bytes", "--weight bytes: not one of sockets, seconds"),
        (
            "leaks --by peer",
            "--by peer: not one of stack, process, remote, local-port, cgroup, none",
        ),
        (
            "leaks --once --duration 5s",
            "--once and --duration exclude each other; give one of them",
        ),
        ("leaks --once --once", "--once is given twice; give it once"),
        (
            "leaks --min-aeg 5s",
            "unknown option '--min-aeg', perhaps --min-age; see tcptrace --help",
        ),
        ("leaks 4244", "unexpected argument '4244'; see tcptrace --help"),
        ("leak", "unknown command 'leak', perhaps leaks; see tcptrace --help"),
        ("", "no command given; try 'tcptrace leaks', or see tcptrace --help"),
        (
            "stream -s banana",
            "--state banana: not a TCP state; write for example established, close-wait or \
             FIN_WAIT2",
        ),
        ("stream --time utc", "--time utc: not one of wall, relative, none"),
        ("stream --once", "unknown option '--once'; see tcptrace --help"),
        ("stream --children", "--pid <PID> is missing; see tcptrace --help"),
        (
            "hist --cgroup /kube*",
            "--cgroup: hist knows who opened a socket by pid and name alone; use --pid or --comm",
        ),
        (
            "hist --container 3f2a",
            "--container: hist knows who opened a socket by pid and name alone; use --pid or --comm",
        ),
        ("hist --by process", "--by process: not one of state, comm, local-port, remote"),
        ("hist -o folded", "--output folded: not one of table, json"),
        (
            "hist -s half-open",
            "--state half-open: not a TCP state; write for example established, close-wait or \
             FIN_WAIT2",
        ),
        ("hist --key-buckets 0", "--key-buckets 0: not a number from 1 to 16777216"),
        ("leaks -p nginx", "--pid nginx: not a process id; write a number such as 4244"),
        ("leaks -p 1,x", "--pid x: not a process id; write a number such as 4244"),
        (
            "leaks -s established",
            "--state established: a socket in this state is not a leak; 'leaks' knows close-wait \
             and dead (alias close)",
        ),
        (
            "leaks -L 80-http",
            "--local-port 80-http: not a port; write 443, or a range such as 8000-8010",
        ),
        (
            "leaks --ring-size 5000",
            "--ring-size 5000: not a power of two from 4096 to 1073741824; write 8192",
        ),
    ];
    for (line, message) in cases {
        assert_eq!(usage_error(line), message, "{line}");
    }
}

#[test]
fn what_was_typed_reaches_the_terminal_harmless() {
    let args = ["tcptrace", "leaks", "--min-age", "\x1b[2J\n5"];
    let exit = parse(args.into_iter().map(OsString::from)).unwrap_err();
    assert!(exit.text.contains("\\x1b[2J"), "{}", exit.text);
    assert_eq!(exit.text.matches('\n').count(), 1);
}

#[test]
fn an_argument_that_is_not_utf8_is_a_usage_error() {
    use std::os::unix::ffi::OsStringExt as _;
    let bad = OsString::from_vec(vec![0xff, 0xfe]);
    let exit = parse(["tcptrace".into(), "leaks".into(), "--min-age".into(), bad].into_iter());
    assert_eq!(exit.unwrap_err().status, 2);
}

#[test]
fn help_and_version_go_to_standard_output() {
    let commands = ["leaks", "stream", "hist", "states", "doctor", "check"];
    let helps = commands.iter().flat_map(|own| [format!("{own} --help"), format!("{own} -h")]);
    for line in helps.chain(["--help".to_owned(), "--version".to_owned()]) {
        let exit = typed(&line).unwrap_err();
        assert_eq!((exit.status, exit.stream), (0, Stream::Stdout), "{line}");
        let widest = exit.text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{line}: {}", exit.text);
    }
    assert_eq!(
        typed("--version").unwrap_err().text,
        concat!("tcptrace ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn help_says_how_to_stop_and_shows_examples() {
    let text = typed("leaks --help").unwrap_err().text;
    for part in ["Ctrl-C", "Examples:", "--ring-size", "--exit-code"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!typed("leaks -h").unwrap_err().text.contains("--ring-size"));
}
