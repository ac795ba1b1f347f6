//! Sockets in CLOSE_WAIT whose process is to blame, one for each cause.

use tcptrace_tests::case::{Bounds, Expect};
use tcptrace_tests::cases;
use tcptrace_tests::situation::Situation;

const CLIENT: Expect = Expect { role: "active", ..Expect::close_wait("eof-not-read") };

/// Told of the end, and did not close.
const READ: Expect = Expect {
    before: "eof-read-not-closed",
    witness: true,
    ..Expect::close_wait("fin-consumed-not-closed")
};

cases! {
    read_eof_keep: Situation::READ_EOF_KEEP => READ;
    never_read: Situation::NEVER_READ => Expect::close_wait("eof-not-read");
    read_part: Situation::READ_PART =>
        Expect { unread: Some(7), ..Expect::close_wait("data-not-read") };
    /// No read ever returned 0, so nobody may claim that one did.
    read_last: Situation::READ_LAST => Expect::close_wait("fin-consumed-not-closed");
    /// A peek that returned 0 consumed nothing.
    peek_eof: Situation::PEEK_EOF => Expect::close_wait("eof-not-read");
    half_close: Situation::HALF_CLOSE => Expect {
        witness: true,
        bounds: Bounds::Loose,
        min_age_after: "0s",
        ..Expect::close_wait("half-close")
    };
    send_blocked: Situation::SEND_BLOCKED => Expect {
        bounds: Bounds::Loose,
        min_age_after: "0s",
        ..Expect::close_wait("send-blocked")
    };
    client_leak: Situation::CLIENT_LEAK => CLIENT;
    client_nonblocking: Situation::CLIENT_NONBLOCKING => CLIENT;
    client_read: Situation::CLIENT_READ => Expect { role: "active", ..READ };
}
