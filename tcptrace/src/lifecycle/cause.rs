//! Why a socket leaked: names, sentences.

/// What is wrong with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The peer has closed, this side has not.
    CloseWait,
    /// The connection is over and a descriptor still holds the socket.
    Dead,
}

impl Kind {
    /// Frozen token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::CloseWait => "close-wait",
            Self::Dead => "dead",
        }
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $token:literal, $sentence:literal);+ $(;)?) => {
        /// Why a socket leaked. The first that applies, in this order, is the verdict; the others
        /// that apply are evidence.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Cause { $($(#[$doc])* $name),+ }

        impl Cause {
            /// All causes, in the order of precedence.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Frozen token.
            #[must_use]
            pub fn token(self) -> &'static str {
                match self { $(Self::$name => $token),+ }
            }

            /// One sentence for people.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),+ }
            }
        }
    };
}

causes! {
    /// In a listener's accept queue.
    NeverAccepted = "never-accepted",
        "the process that owns the listener does not call accept(), or not often enough";
    /// Has an inode, and no task has a descriptor for it.
    HeldByKernel = "held-by-kernel",
        "no process has a descriptor: an io_uring fixed file, a descriptor in flight over a unix \
         socket, or a close() that waits for a blocked read()";
    /// End-of-file was read and data is still being sent.
    HalfClose = "half-close",
        "half-closed on purpose: this side still sends";
    /// The opener no longer holds it, another process does that did not read its end.
    HeldByOther = "held-by-other",
        "the process that opened it has let go; another got the descriptor over fork, exec or a \
         unix socket and keeps it open (where that is by design, the evidence says why it leaks)";
    /// Unsent data that does not shrink.
    SendBlocked = "send-blocked",
        "it is still trying to send and the peer does not take it";
    /// Bytes before the FIN were not read.
    DataNotRead = "data-not-read",
        "the application stopped reading before the end, or it is an idle pooled connection whose \
         server said goodbye";
    /// Nothing was read since the FIN.
    EofNotRead = "eof-not-read",
        "the application has not read since the peer closed: it does not poll this socket, the \
         thread that should is stuck, or it is an idle pooled connection";
    /// A read returned 0 and no close followed.
    EofReadNotClosed = "eof-read-not-closed",
        "a read returned end-of-file and the application did not close";
    /// The FIN was consumed, by whom was not seen.
    FinConsumedNotClosed = "fin-consumed-not-closed",
        "the end of the stream was consumed and the application did not close (a last short read \
         may have taken the FIN with it)";
    /// Reset or aborted, descriptor open.
    DeadReset = "dead-reset",
        "the connection was reset or aborted and the descriptor is still open";
    /// Both sides are done, descriptor open.
    DeadClosed = "dead-closed",
        "both sides have closed the connection and the descriptor is still open";
}
