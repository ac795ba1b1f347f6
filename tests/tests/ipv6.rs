//! The same over IPv6, and over IPv4 to an IPv6 listener, which is printed as IPv4.

use anyhow::{Result, ensure};
use tcptrace_tests::case::{Expect, Opener};
use tcptrace_tests::cases;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::situation::{Family, Situation};
use tcptrace_tests::tool::leaks_once;

const READ: Expect = Expect {
    before: "eof-read-not-closed",
    witness: true,
    ..Expect::close_wait("fin-consumed-not-closed")
};

const QUEUED: Expect =
    Expect { opener: Opener::Nobody, unread: Some(5), ..Expect::close_wait("never-accepted") };

cases! {
    read_eof_keep_v6: Situation::READ_EOF_KEEP.over(Family::V6) => READ;
    read_eof_keep_mapped: Situation::READ_EOF_KEEP.over(Family::Mapped) => READ;
    never_accept_v6: Situation::NEVER_ACCEPT.over(Family::V6) => QUEUED;
    rst_v6: Situation::RST.over(Family::V6) => Expect::dead("dead-reset");
    rst_mapped: Situation::RST.over(Family::Mapped) => Expect::dead("dead-reset");
    client_leak_v6: Situation::CLIENT_LEAK.over(Family::V6) =>
        Expect { role: "active", ..Expect::close_wait("eof-not-read") };
}

/// `-4` and `-6` choose, and `family` says which it was.
#[test]
fn family_filters() -> Result<()> {
    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    let four = Situation::NEVER_READ.stage(&pair)?;
    let six = Situation::NEVER_READ.over(Family::V6).stage(&pair)?;
    for staged in [&four, &six] {
        staged.wait_close_wait(|socket| socket.last_ack_ms >= 1000)?;
    }
    for (option, family, staged) in [("-4", "ipv4", &four), ("-6", "ipv6", &six)] {
        let leaks = leaks_once(&["--min-age", "1s", "--netns", &place, option])?.leaks()?;
        ensure!(leaks.len() == 1, "{option}: {leaks:?}");
        ensure!(leaks[0]["family"] == family, "{option}: {leaks:?}");
        ensure!(leaks[0]["remote_port"] == staged.socket()?.1.port(), "{option}: {leaks:?}");
    }
    Ok(())
}
