use std::collections::BTreeSet;

use super::*;

mod memory;

fn states() -> impl Iterator<Item = State> {
    State::ALL.into_iter().map(|(_, state, _)| state)
}

fn pairs() -> impl Iterator<Item = (State, State)> {
    states().flat_map(|from| states().map(move |to| (from, to)))
}

fn named(name: &str) -> State {
    let of = |(_, state, own): (u8, State, &str)| (own == name).then_some(state);
    State::ALL.into_iter().find_map(of).unwrap_or_else(|| panic!("no state {name}"))
}

/// `n` normal, `s` special, `.` never; rows are left, columns entered, both in the kernel's order.
const TABLE: &str = "
                ES SS SR F1 F2 TW CL CW LA LI CG NR
    ESTABLISHED .  .  .  n  .  .  n  n  .  .  .  .
    SYN_SENT    n  .  s  .  .  .  n  .  .  .  .  .
    SYN_RECV    n  .  .  s  .  .  s  s  .  .  .  .
    FIN_WAIT1   .  .  .  .  n  .  s  .  .  .  s  .
    FIN_WAIT2   .  .  .  .  .  n  n  .  .  .  .  .
    TIME_WAIT   .  .  .  .  .  .  n  .  .  .  .  .
    CLOSE       .  n  .  .  .  .  .  .  .  n  .  .
    CLOSE_WAIT  .  .  .  .  .  .  n  .  n  .  .  .
    LAST_ACK    .  .  .  .  .  .  n  .  .  .  .  .
    LISTEN      .  .  n  .  .  .  n  .  .  .  .  .
    CLOSING     .  .  .  .  .  s  s  .  .  .  .  .
    NEW_SYN_RECV . .  .  .  .  .  .  .  .  .  .  .
";

#[test]
fn every_pair_is_classified() {
    let mut seen = BTreeSet::new();
    for line in TABLE.lines().map(str::trim).filter(|line| !line.is_empty()).skip(1) {
        let mut words = line.split_whitespace();
        let from = named(words.next().unwrap());
        for (to, mark) in states().zip(words) {
            let class = match Class::of(from, to) {
                Class::Normal(_) => "n",
                Class::Special(_) => "s",
                Class::Never => ".",
            };
            assert_eq!(class, mark, "{from:?} to {to:?}");
            assert_eq!(Class::of(from, to).is_odd(), mark == ".");
            seen.insert((from, to));
        }
    }
    assert_eq!(seen.len(), 144);
}

#[test]
fn every_state_but_a_requests_can_be_reached_and_left() {
    let reach = |start: State, forward: bool| {
        let mut reached = BTreeSet::from([start]);
        loop {
            let step = |&(from, to): &(State, State)| {
                let (near, far) = if forward { (from, to) } else { (to, from) };
                reached.contains(&near) && !reached.contains(&far) && !Class::of(from, to).is_odd()
            };
            match pairs().find(step) {
                Some((from, to)) => reached.insert(if forward { to } else { from }),
                None => return reached,
            };
        }
    };
    let all: BTreeSet<State> = states().filter(|state| *state != State::NewSynRecv).collect();
    assert_eq!(reach(State::Close, true), all);
    assert_eq!(reach(State::Close, false), all);
}

/// Walks a timeline `STATE ──why── STATE …` and says which words are on the way: the first letter
/// of each class.
fn walk(timeline: &str) -> String {
    let stations: Vec<State> =
        timeline.split_whitespace().filter(|word| !word.contains('─')).map(named).collect();
    let class = |pair: &[State]| match Class::of(pair[0], pair[1]) {
        Class::Normal(_) => 'n',
        Class::Special(_) => 's',
        Class::Never => '.',
    };
    stations.windows(2).map(class).collect()
}

#[test]
fn lives_of_healthy_connections_are_normal() {
    for life in [
        // The client, which closes first; then its mini-socket.
        "CLOSE ──connect── SYN_SENT ──SYN+ACK── ESTABLISHED ──close── FIN_WAIT1 ──ACK── FIN_WAIT2 \
         ──FIN── TIME_WAIT ──60s── CLOSE",
        // The same as the full socket sees it.
        "CLOSE ──connect── SYN_SENT ──SYN+ACK── ESTABLISHED ──close── FIN_WAIT1 ──ACK── FIN_WAIT2 \
         ──mini-socket── CLOSE",
        // The server's side of it.
        "LISTEN ──ACK── SYN_RECV ──at-once── ESTABLISHED ──FIN── CLOSE_WAIT ──close── LAST_ACK \
         ──ACK── CLOSE",
        // The listener.
        "CLOSE ──listen── LISTEN ──close── CLOSE",
        // Reset by the peer, before and after its FIN.
        "LISTEN ──ACK── SYN_RECV ──at-once── ESTABLISHED ──RST── CLOSE",
        "LISTEN ──ACK── SYN_RECV ──at-once── ESTABLISHED ──FIN── CLOSE_WAIT ──RST── CLOSE",
        // Refused.
        "CLOSE ──connect── SYN_SENT ──RST── CLOSE",
    ] {
        assert!(walk(life).chars().all(|class| class == 'n'), "{life}: {}", walk(life));
    }
}

#[test]
fn rare_lives_have_a_special_step() {
    for (life, classes) in [
        // Both close at the same time.
        ("ESTABLISHED ──close── FIN_WAIT1 ──FIN── CLOSING ──ACK── TIME_WAIT ──60s── CLOSE", "nssn"),
        ("ESTABLISHED ──close── FIN_WAIT1 ──FIN── CLOSING ──mini-socket── CLOSE", "nss"),
        // Both connect at the same time.
        ("CLOSE ──connect── SYN_SENT ──SYN── SYN_RECV ──ACK── ESTABLISHED", "nsn"),
        // Fast Open: data, and the end, before the handshake is complete.
        ("LISTEN ──SYN── SYN_RECV ──FIN── CLOSE_WAIT ──close── LAST_ACK ──ACK── CLOSE", "nsnn"),
        ("LISTEN ──SYN── SYN_RECV ──close── FIN_WAIT1 ──RST── CLOSE", "nss"),
    ] {
        assert_eq!(walk(life), classes, "{life}");
    }
}

#[test]
fn what_skips_a_step_is_odd() {
    for life in [
        "CLOSE ──?── ESTABLISHED",
        "LISTEN ──?── ESTABLISHED",
        "ESTABLISHED ──?── TIME_WAIT",
        "ESTABLISHED ──?── LAST_ACK",
        "CLOSE_WAIT ──?── FIN_WAIT1",
        "LAST_ACK ──?── TIME_WAIT",
        "FIN_WAIT2 ──?── CLOSING",
        "CLOSE ──?── CLOSE_WAIT",
        "CLOSE ──?── CLOSE",
        "NEW_SYN_RECV ──?── SYN_RECV",
    ] {
        assert_eq!(walk(life), ".", "{life}");
    }
}

#[test]
fn each_reason_is_a_sentence_of_its_own() {
    let reasons: Vec<&str> = pairs()
        .filter_map(|(from, to)| match Class::of(from, to) {
            Class::Normal(why) | Class::Special(why) => Some(why),
            Class::Never => None,
        })
        .collect();
    assert_eq!(reasons.len(), 25);
    assert!(reasons.iter().all(|why| !why.is_empty() && !why.ends_with('.')));
}
