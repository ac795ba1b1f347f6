//! Connections that are over while a descriptor is still open. `ss` does not see these.

use tcptrace_tests::case::Expect;
use tcptrace_tests::cases;
use tcptrace_tests::situation::Situation;

cases! {
    rst: Situation::RST => Expect::dead("dead-reset");
    /// The pending error is gone, and no FIN ever came.
    rst_read: Situation::RST_READ => Expect::dead("dead-reset");
    rst_after_fin: Situation::RST_AFTER_FIN => Expect::dead("dead-reset");
    shutdown_keep: Situation::SHUTDOWN_KEEP =>
        Expect { witness: true, ..Expect::dead("dead-closed") };
}
