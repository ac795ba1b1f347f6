use super::*;

const MINI: u8 = transition_flag::MINI_SOCKET;
const EXPIRED: u8 = transition_flag::EXPIRED;
const ORPHAN: u8 = transition_flag::ORPHAN;

fn close_from(from: State) -> Circumstances {
    Circumstances {
        from,
        to: State::Close,
        error: 0,
        flags: 0,
        role: Role::Passive,
        has_opener: true,
    }
}

fn states() -> impl Iterator<Item = State> {
    State::ALL.into_iter().map(|(_, state, _)| state)
}

#[test]
fn only_what_enters_close_ends() {
    for (from, to) in states().flat_map(|from| states().map(move |to| (from, to))) {
        for (error, flags) in [(0, 0), (104, 0), (0, MINI | EXPIRED), (110, ORPHAN)] {
            let end = End::of(&Circumstances { to, error, flags, ..close_from(from) });
            assert_eq!(end.is_some(), to == State::Close, "{from:?} {to:?}");
        }
    }
}

#[test]
fn without_an_error_the_state_tells() {
    use State::*;
    let expected = |from| match from {
        LastAck => End::PeerClose,
        FinWait2 | TimeWait | Closing | Listen | SynSent | Close => End::LocalClose,
        Established | CloseWait | FinWait1 | SynRecv | NewSynRecv => End::LocalReset,
    };
    for from in states() {
        assert_eq!(End::of(&close_from(from)), Some(expected(from)), "{from:?}");
        // An orphan that was opened by somebody has been closed by them.
        let orphan = Circumstances { flags: ORPHAN, ..close_from(from) };
        assert_eq!(End::of(&orphan), Some(expected(from)), "{from:?} orphan");
    }
}

#[test]
fn an_error_tells_whatever_the_state() {
    let table = [
        (104, End::PeerReset),
        (111, End::Refused),
        (110, End::Timeout),
        (113, End::Unreachable),
        (101, End::Unreachable),
        (103, End::Aborted),
        (71, End::Error),
        (1, End::Error),
        (-104, End::Error),
        (i32::MIN, End::Error),
    ];
    for (from, (error, end)) in states().flat_map(|from| table.map(|row| (from, row))) {
        for flags in [0, ORPHAN, MINI, MINI | EXPIRED] {
            let what = Circumstances { error, flags, ..close_from(from) };
            assert_eq!(End::of(&what), Some(end), "{from:?} {error} {flags}");
        }
    }
}

#[test]
fn a_broken_pipe_is_a_reset_only_after_the_peers_fin() {
    for from in states() {
        let end = if from == State::CloseWait { End::PeerReset } else { End::Error };
        assert_eq!(End::of(&Circumstances { error: 32, ..close_from(from) }), Some(end));
    }
}

#[test]
fn who_was_never_accepted_goes_with_the_listener() {
    for from in states() {
        let queued = Circumstances { flags: ORPHAN, has_opener: false, ..close_from(from) };
        let is = End::of(&queued) == Some(End::ListenerClosed);
        let can_wait = matches!(
            from,
            State::Established | State::CloseWait | State::SynRecv | State::NewSynRecv
        );
        assert_eq!(is, can_wait, "{from:?}");
        for other in [
            Circumstances { flags: 0, ..queued },
            Circumstances { role: Role::Active, ..queued },
            Circumstances { role: Role::Unknown, ..queued },
            Circumstances { has_opener: true, ..queued },
            Circumstances { error: 104, ..queued },
        ] {
            assert_ne!(End::of(&other), Some(End::ListenerClosed), "{from:?}");
        }
    }
}

#[test]
fn mini_sockets_end_by_time_or_are_killed() {
    let mini = |from, flags| End::of(&Circumstances { flags: MINI | flags, ..close_from(from) });
    assert_eq!(mini(State::FinWait2, EXPIRED), Some(End::Timeout));
    assert_eq!(mini(State::FinWait2, 0), Some(End::LocalClose));
    assert_eq!(mini(State::TimeWait, EXPIRED), Some(End::LocalClose));
    assert_eq!(mini(State::TimeWait, 0), Some(End::LocalClose));
    // The timer of a full socket is another one.
    let full = Circumstances { flags: EXPIRED, ..close_from(State::FinWait2) };
    assert_eq!(End::of(&full), Some(End::LocalClose));
}

#[test]
fn tokens_are_frozen_and_distinct() {
    let tokens = End::ALL.map(End::token);
    let frozen = [
        "peer-close",
        "local-close",
        "peer-reset",
        "refused",
        "timeout",
        "unreachable",
        "aborted",
        "local-reset",
        "listener-closed",
        "error",
    ];
    assert_eq!(tokens, frozen);
}
