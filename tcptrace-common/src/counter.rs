//! Counters that the kernel side keeps, one slot each in the per-CPU array `COUNTERS`.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $token:literal $kind:ident),+ $(,)?) => {
        /// A counter; the discriminant is its index in `COUNTERS`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Counter { $($(#[$doc])* $name),+ }

        impl Counter {
            /// All counters, in the order of `COUNTERS`.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Frozen token in machine output.
            #[must_use]
            pub const fn token(self) -> &'static str {
                match self { $(Self::$name => $token),+ }
            }

            /// Whether it counts something that was lost.
            #[must_use]
            pub const fn is_loss(self) -> bool {
                match self { $(Self::$name => counters!(@ $kind)),+ }
            }
        }
    };
    (@ loss) => { true };
    (@ seen) => { false };
}

counters! {
    /// State transitions of TCP sockets.
    Transitions = "transitions" seen,
    /// State transitions that mini-sockets made.
    MiniTransitions = "mini_transitions" seen,
    /// Opened sockets whose opener was captured.
    Openers = "openers" seen,
    /// Reads that delivered end-of-file.
    EofReads = "eof_reads" seen,
    /// Records that did not fit into the ring buffer.
    RingFull = "ring_full" loss,
    /// Transitions, accepts and ends of file of sockets that could not be remembered: the map was
    /// full or memory was short.
    MemoryFull = "memory_full" loss,
    /// Memories of an earlier socket at the same address, thrown away: its end was missed.
    MemoryStale = "memory_stale" loss,
    /// Transitions from a state other than the remembered one: one in between was missed.
    TransitionMissed = "transition_missed" loss,
    /// Stacks that were taken.
    Stacks = "stacks" seen,
    /// Stacks that user space was asked to finish.
    StackMisses = "stack_misses" seen,
    /// Stacks that did not fit into the ring buffer.
    StackLost = "stack_lost" loss,
    /// Accept queues that were not walked to their end; the rest is matched by address.
    QueueCut = "queue_cut" loss,
    /// Dwells that were counted without their key: the map of keys was full. None is lost.
    HistogramOther = "histogram_other" seen,
    /// Stacks that were word for word those of an earlier walk, so that none was needed.
    StackTrails = "stack_trails" seen,
    /// State transitions that were seen in the midst of another one.
    NestedTransitions = "nested_transitions" seen,
    /// Children of processes that are asked for that could not be noted, so that they are not followed.
    ChildrenFull = "children_full" loss,
}

/// How many counters there are: the length of `COUNTERS`.
pub const COUNT: usize = Counter::ALL.len();
