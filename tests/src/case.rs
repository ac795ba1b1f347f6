//! One misbehaviour, and what the tool must say about it: started before, and started after.

use anyhow::{Result, bail};

use crate::netns::NetPair;
use crate::situation::{Side, Situation, Staged};
use crate::tool::{Running, leaks_once};
use crate::view::{View, When};
use crate::wait::until;
use crate::{host, schema, ss};

/// Whom the tool must name as opener when it watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// The process and thread that say so.
    Told,
    /// Nobody: the socket was never accepted.
    Nobody,
    /// The one that says so, or nobody, but never anybody else.
    ToldOrNobody,
}

/// How well the age of a socket from before the trace can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// No ACK came since the FIN: the lower bound is the truth.
    Tight,
    /// ACKs still come, so the lower bound may be anything down to 0.
    Loose,
    /// The connection is over: no bound is promised, but a wrong one is a lie.
    Optional,
}

/// What a report must say.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// `close-wait` or `dead`.
    pub kind: &'static str,
    /// The cause when the tool was there from the start.
    pub before: &'static str,
    /// The cause when the tool came later.
    pub after: &'static str,
    /// `passive` for accepted, `active` for connected sockets.
    pub role: &'static str,
    /// The opener when the tool was there from the start.
    pub opener: Opener,
    /// A read that returned 0 was witnessed.
    pub witness: bool,
    /// Bytes that wait to be read, the FIN not counted. `None`: not looked at.
    pub unread: Option<u64>,
    /// What the age bounds are worth when the tool came later.
    pub bounds: Bounds,
    /// `--min-age` of the later run, where the lower bound stays small.
    pub min_age_after: &'static str,
}

impl Expect {
    /// An accepted socket in CLOSE_WAIT with this cause in both runs.
    pub const fn close_wait(cause: &'static str) -> Self {
        Self {
            kind: "close-wait",
            before: cause,
            after: cause,
            role: "passive",
            opener: Opener::Told,
            witness: false,
            unread: Some(0),
            bounds: Bounds::Tight,
            min_age_after: "1s",
        }
    }

    /// An accepted socket whose connection is over.
    pub const fn dead(cause: &'static str) -> Self {
        let base = Self::close_wait(cause);
        Self { kind: "dead", unread: None, bounds: Bounds::Optional, min_age_after: "0s", ..base }
    }
}

impl Expect {
    /// What must be said on this kernel: where nobody sees a read return 0 (before 6.3, unless functions
    /// can be hooked), the tool must not claim that one did.
    ///
    /// # Errors
    ///
    /// Where the kernel does not describe its types.
    pub fn here(self) -> Result<Self> {
        if !self.witness || host::sees_eof()? {
            return Ok(self);
        }
        let unseen = self.before == "eof-read-not-closed";
        let before = if unseen { "fin-consumed-not-closed" } else { self.before };
        Ok(Self { witness: false, before, ..self })
    }
}

/// A situation with what must be said of it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What happens.
    pub situation: Situation,
    /// What must be said.
    pub expect: Expect,
}

impl Case {
    /// The tool runs first, then it happens.
    pub fn before(self) -> Result<()> {
        let expect = self.expect.here()?;
        let pair = NetPair::new()?;
        let place = self.netns_of_leaker(&pair);
        let mut running = Running::leaks(&["--netns", &place])?;
        let staged = self.situation.stage(&pair)?;
        let view = View::new(&staged, expect, When::Before)?;
        let sockets = staged.sockets()?;
        let mut told = Vec::new();
        for &socket in &sockets {
            let what = format!("a report of {socket:?} as {}", expect.before);
            told.push(running.wait_leak(&what, |leak| {
                let right = view.is_about(leak, socket) && leak["cause"] == expect.before;
                right.then(|| leak.clone())
            })?);
        }
        let finished = running.interrupt()?.expect_code(0)?;
        let view = view.of_run(&finished.summary()?);
        for (leak, socket) in told.iter().zip(sockets) {
            view.check(leak, socket)?;
        }
        view.check_no_other(&finished.leaks()?)
    }

    /// It happens first, then the tool runs once, over the whole host.
    pub fn after(self) -> Result<()> {
        let pair = NetPair::new()?;
        let staged = self.situation.stage(&pair)?;
        let view = View::new(&staged, self.expect, When::After)?;
        self.wait_old_enough(&staged)?;
        let finished = leaks_once(&["--min-age", self.expect.min_age_after])?.expect_code(0)?;
        schema::check_summary(&finished.summary()?)?;
        let leaks = finished.leaks()?;
        for socket in staged.sockets()? {
            let mine: Vec<_> = leaks.iter().filter(|leak| view.is_about(leak, socket)).collect();
            match mine[..] {
                [leak] => view.check(leak, socket)?,
                [] => bail!("missed {socket:?} in {}", view.netns),
                _ => bail!("{socket:?} was reported {} times: {mine:?}", mine.len()),
            }
        }
        view.check_no_other(&leaks)
    }

    fn netns_of_leaker(self, pair: &NetPair) -> String {
        let ns = match self.situation.leaker {
            Side::Server => &pair.a,
            Side::Client => &pair.b,
        };
        ns.path().display().to_string()
    }

    /// The tool decides by the time since the last ACK, and so does this.
    fn wait_old_enough(self, staged: &Staged) -> Result<()> {
        if self.expect.kind == "dead" {
            return until("the socket to be gone from ss", || {
                let (_, peer) = staged.socket()?;
                Ok(ss::by_peer(staged.namespace(), peer)?.is_none().then_some(()))
            });
        }
        let enough = if self.expect.min_age_after == "1s" { 1000 } else { 0 };
        staged.wait_close_wait(|socket| socket.last_ack_ms >= enough)?;
        Ok(())
    }
}

/// Two tests for each line `name: situation => expectation`: `name::before` and `name::after`.
#[macro_export]
macro_rules! cases {
    ($($(#[$doc:meta])* $name:ident: $situation:expr => $expect:expr;)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            const CASE: $crate::case::Case =
                $crate::case::Case { situation: $situation, expect: $expect };

            #[test]
            fn before() -> anyhow::Result<()> {
                CASE.before()
            }

            #[test]
            fn after() -> anyhow::Result<()> {
                CASE.after()
            }
        }
    )*};
}
