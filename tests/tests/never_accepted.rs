//! Sockets that wait in a listener's queue. No process has them; the listener's holder is to
//! blame.

use tcptrace_tests::case::{Expect, Opener};
use tcptrace_tests::cases;
use tcptrace_tests::situation::{Family, Situation};

const QUEUED: Expect =
    Expect { opener: Opener::Nobody, unread: Some(5), ..Expect::close_wait("never-accepted") };

cases! {
    never_accept: Situation::NEVER_ACCEPT => QUEUED;
    never_accept_mapped: Situation::NEVER_ACCEPT.over(Family::Mapped) => QUEUED;
    stop_accepting: Situation::STOP_ACCEPTING => QUEUED;
}
