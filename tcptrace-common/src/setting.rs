//! Settings of the kernel side, written into the read-only array `SETTINGS` before loading, so
//! that the verifier removes what is switched off.

/// A setting; the discriminant is its index in `SETTINGS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Setting {
    /// Bit `1 << state`: a transition out of this state is worth a record.
    RecordStates,
    /// Transitions that end a shorter dwell than this many ns, or one of unknown length, are not
    /// worth a record; 0: all are.
    RecordMinDwellNs,
    /// 1: pids are those of the pid namespace in `OBSERVER`, 0: of the initial one.
    TranslatePids,
    /// 1: stacks are wanted.
    Stacks,
    /// 1: mini-sockets are followed, as soon as there is a way to (`MINI_WAY`).
    MiniSockets,
    /// Address of the kernel's `tw_timer_handler`, by which the timers of mini-sockets are told
    /// from all others; 0: it is not known, so timers are no way to follow them.
    MiniTimer,
    /// 1: every transition of every socket is followed. 0: births, and those alone that can begin or
    /// end a leak: four of the ten of a healthy connection.
    Follow,
    /// [`filter`] conditions that a transition has to meet to be worth a record.
    Filter,
    /// Bit `1 << state`: dwells in this state are counted, see [`crate::histogram`].
    HistogramStates,
    /// [`crate::histogram::by`]: what they are told apart by.
    HistogramBy,
    /// Bit `1 << state`: sockets in this state are counted by a census.
    CensusStates,
    /// 1: a census tells what is remembered of each socket.
    CensusMemory,
    /// 1: sockets are remembered near, as long as there is room.
    Near,
}

/// Bits of [`Setting::Filter`]: all that are set have to hold. What is not known holds for none.
pub mod filter {
    /// The socket carries IPv4, perhaps as mapped addresses of IPv6.
    pub const IPV4: u64 = 1;
    /// The socket carries IPv6.
    pub const IPV6: u64 = 2;
    /// The local port is in the map `PORTS`.
    pub const LOCAL_PORT: u64 = 4;
    /// The remote port is in the map `PORTS`.
    pub const REMOTE_PORT: u64 = 8;
    /// The network namespace is in the map `NETNS`.
    pub const NETNS: u64 = 16;
    /// The opener is in the map `PIDS`.
    pub const PID: u64 = 32;
    /// The local address is in one of the networks of `LOCAL_NETS`.
    pub const LOCAL_NET: u64 = 64;
    /// The remote address is in one of the networks of `REMOTE_NETS`.
    pub const REMOTE_NET: u64 = 128;
    /// The state left or the one entered is one of [`super::Setting::RecordStates`]; without this
    /// bit the one that is left is.
    pub const EITHER_STATE: u64 = 256;

    /// Words of the map `PORTS` for local ports, a bit a port; those for remote ports follow.
    pub const PORT_WORDS: u32 = 1 << 10;
}

/// How many settings there are: the length of `SETTINGS`.
pub const COUNT: usize = 13;
