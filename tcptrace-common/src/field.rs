//! The kernel struct fields that the kernel side reads.
//!
//! Rust eBPF has no CO-RE relocations, so user space looks each field up in the kernel's BTF and
//! writes its byte offset into the read-only array `OFFSETS` before the programs are loaded. The
//! verifier then sees constants. One table serves both sides: add a line here and both know it.

/// Offset of a field that this kernel's BTF does not have.
pub const ABSENT: u32 = u32::MAX;

/// What a field is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The tool can do nothing useful without it.
    Required,
    /// Something stays unknown without it.
    Optional,
    /// There is another way.
    Extra,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $kind:ident $structure:literal . $path:literal),+ $(,)?) => {
        /// A kernel struct field; the discriminant is its index in `OFFSETS`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Field { $($(#[$doc])* $name),+ }

        impl Field {
            /// All fields, in the order of `OFFSETS`.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The struct's name and the member's path in it; members of anonymous structs and
            /// unions count as the struct's own.
            #[must_use]
            pub const fn path(self) -> (&'static str, &'static str) {
                match self { $(Self::$name => ($structure, $path)),+ }
            }

            /// Whether the tool can do nothing useful without it.
            #[must_use]
            pub const fn required(self) -> bool {
                matches!(self.need(), Need::Required)
            }

            /// What it is worth.
            #[must_use]
            pub const fn need(self) -> Need {
                match self { $(Self::$name => fields!(@ $kind)),+ }
            }
        }
    };
    (@ required) => { Need::Required };
    (@ optional) => { Need::Optional };
    (@ extra) => { Need::Extra };
}

fields! {
    /// Local port in host byte order; 0 once the port was given back.
    SkcNum = required "sock_common"."skc_num",
    /// Local port in network byte order; stays when a dead connection has given its port back.
    InetSport = optional "inet_sock"."inet_sport",
    /// Remote port in network byte order.
    SkcDport = required "sock_common"."skc_dport",
    /// Remote IPv4 address.
    SkcDaddr = required "sock_common"."skc_daddr",
    /// Local IPv4 address.
    SkcRcvSaddr = required "sock_common"."skc_rcv_saddr",
    /// Hash of a connection's endpoints.
    SkcHash = optional "sock_common"."skc_hash",
    /// Place in a chain of the table of connections.
    SkcNullsNode = optional "sock_common"."skc_nulls_node",
    /// Address family.
    SkcFamily = required "sock_common"."skc_family",
    /// TCP state.
    SkcState = required "sock_common"."skc_state",
    /// Network namespace (`possible_net_t`, one pointer).
    SkcNet = required "sock_common"."skc_net",
    /// Remote IPv6 address; absent without `CONFIG_IPV6`.
    SkcV6Daddr = optional "sock_common"."skc_v6_daddr",
    /// Local IPv6 address; absent without `CONFIG_IPV6`.
    SkcV6RcvSaddr = optional "sock_common"."skc_v6_rcv_saddr",
    /// `sk_flags`.
    SkcFlags = required "sock_common"."skc_flags",
    /// Socket cookie, 0 until one is made.
    SkcCookie = required "sock_common"."skc_cookie",
    /// Inode number of a network namespace.
    NetInum = required "net"."ns.inum",
    /// What kind of namespace it is (`netns_operations`).
    NetOps = optional "net"."ns.ops",
    /// Number by which it can be opened; since 6.18.
    NetId = extra "net"."ns.ns_id",
    /// References to it; since 6.18 under another name.
    NetReferences = extra "net"."ns.__ns_ref",
    /// The same before 6.18.
    NetCount = extra "net"."ns.count",
    /// Its place in the list of all network namespaces.
    NetList = optional "net"."list",
    /// Protocol number.
    SkProtocol = required "sock"."sk_protocol",
    /// Type: stream, datagram, raw.
    SkType = required "sock"."sk_type",
    /// The socket, or null for one that was not accepted or has been closed.
    SkSocket = required "sock"."sk_socket",
    /// Pending error.
    SkErr = required "sock"."sk_err",
    /// `RCV_SHUTDOWN`, `SEND_SHUTDOWN`.
    SkShutdown = required "sock"."sk_shutdown",
    /// Connections that wait for accept().
    SkAckBacklog = required "sock"."sk_ack_backlog",
    /// Limit of the accept queue.
    SkMaxAckBacklog = required "sock"."sk_max_ack_backlog",
    /// `socket_state`.
    SocketState = required "socket"."state",
    /// The socket's sock.
    SocketSk = required "socket"."sk",
    /// Inode number of a socket (`SOCK_INODE`).
    SocketInode = required "socket_alloc"."vfs_inode.i_ino",
    /// Head of the accept queue.
    AcceptHead = optional "inet_connection_sock"."icsk_accept_queue.rskq_accept_head",
    /// When data last came, in jiffies.
    LastDataReceived = optional "inet_connection_sock"."icsk_ack.lrcvtime",
    /// Next request in the accept queue.
    RequestNext = optional "request_sock"."dl_next",
    /// The request's child.
    RequestSk = optional "request_sock"."sk",
    /// Next sequence number expected from the peer.
    RcvNxt = required "tcp_sock"."rcv_nxt",
    /// First sequence number that the application has not read.
    CopiedSeq = required "tcp_sock"."copied_seq",
    /// Sequence number behind the last byte written by the application.
    WriteSeq = required "tcp_sock"."write_seq",
    /// First sequence number that the peer has not acknowledged.
    SndUna = required "tcp_sock"."snd_una",
    /// When data was last sent, in jiffies.
    LastDataSent = optional "tcp_sock"."lsndtime",
    /// When an acknowledgement last came, in jiffies.
    LastAckReceived = optional "tcp_sock"."rcv_tstamp",
    /// Silence before keepalive probes, in jiffies; 0: the namespace's default.
    KeepaliveTime = optional "tcp_sock"."keepalive_time",
    /// That default (`net.ipv4.tcp_keepalive_time`), in jiffies.
    NetKeepaliveTime = optional "net"."ipv4.sysctl_tcp_keepalive_time",
    /// Whether this is a subflow of MPTCP; absent without `CONFIG_MPTCP`.
    IsMptcp = optional "tcp_sock"."is_mptcp",
    /// State of the connection that a TIME_WAIT mini-socket carries on: FIN_WAIT2 or TIME_WAIT.
    MiniSubstate = required "inet_timewait_sock"."tw_substate",
    /// Its timer.
    MiniTimer = optional "inet_timewait_sock"."tw_timer",
    /// What a timer calls.
    TimerFunction = optional "timer_list"."function",
    /// When, in jiffies.
    TimerExpires = optional "timer_list"."expires",
    /// Not 0 while the timer waits (`timer_pending()`).
    TimerPending = optional "timer_list"."entry.pprev",
    /// A network namespace's table of connections, its own or that of all.
    NetConnections = optional "net"."ipv4.tcp_death_row.hashinfo",
    /// Its chains.
    ConnectionChains = optional "inet_hashinfo"."ehash",
    /// How many there are, less one.
    ConnectionMask = optional "inet_hashinfo"."ehash_mask",
    /// The first place in a chain, and in a place the next one.
    NullsFirst = optional "hlist_nulls_head"."first",
    /// Thread-group leader.
    GroupLeader = required "task_struct"."group_leader",
    /// Start of the task on the boot clock, in ns.
    StartBoottime = required "task_struct"."start_boottime",
    /// Process id in the initial pid namespace.
    Tgid = required "task_struct"."tgid",
    /// Thread id in the initial pid namespace.
    Tid = required "task_struct"."pid",
    /// Name.
    Comm = required "task_struct"."comm",
    /// `PF_*`.
    TaskFlags = required "task_struct"."flags",
    /// Namespaces.
    NsProxy = optional "task_struct"."nsproxy",
    /// The network namespace among them.
    NetNs = optional "nsproxy"."net_ns",
    /// Open files.
    Files = required "task_struct"."files",
    /// The task's `struct pid`.
    ThreadPid = required "task_struct"."thread_pid",
    /// Depth of the pid's innermost namespace.
    PidLevel = required "pid"."level",
    /// The pid's numbers, one for each level.
    PidNumbers = required "pid"."numbers",
    /// Number in one namespace.
    UpidNr = required "upid"."nr",
    /// That namespace.
    UpidNs = required "upid"."ns",
    /// Descriptor table.
    Fdt = required "files_struct"."fdt",
    /// Array of open files.
    FdtFd = required "fdtable"."fd",
    /// Its length.
    FdtMax = required "fdtable"."max_fds",
    /// For a socket: its `struct socket`.
    FilePrivate = required "file"."private_data",
    /// Inode.
    FileInode = required "file"."f_inode",
    /// Its number.
    InodeNumber = optional "inode"."i_ino",
    /// Its file system.
    InodeSuper = optional "inode"."i_sb",
    /// Which file system that is.
    SuperMagic = optional "super_block"."s_magic",
    /// Type and mode.
    InodeMode = required "inode"."i_mode",
    /// First argument of a system call; x86-64 alone.
    RegsFirstArgument = extra "pt_regs"."di",
    /// First argument of a 32-bit system call; x86-64 alone.
    RegsForeignArgument = extra "pt_regs"."bx",
    /// Number of the system call; x86-64 alone.
    RegsSystemCall = extra "pt_regs"."orig_ax",
    /// Program counter of the user's code; x86-64 alone.
    RegsPc = extra "pt_regs"."ip",
    /// Its stack pointer; x86-64 and aarch64.
    RegsSp = extra "pt_regs"."sp",
    /// Its frame pointer; x86-64 alone.
    RegsBp = extra "pt_regs"."bp",
    /// Its code segment, which tells 32-bit programs; x86-64 alone.
    RegsCs = extra "pt_regs"."cs",
    /// First argument of a system call; aarch64 alone.
    ArmFirstArgument = extra "pt_regs"."orig_x0",
    /// Number of the system call; aarch64 alone.
    ArmSystemCall = extra "pt_regs"."syscallno",
    /// Program counter of the user's code; aarch64 alone.
    ArmPc = extra "pt_regs"."pc",
    /// Its registers `x0` to `x30`; aarch64 alone.
    ArmRegs = extra "pt_regs"."regs",
    /// The state of the CPU, which tells 32-bit programs; aarch64 alone.
    ArmState = extra "pt_regs"."pstate",
    /// Where the thread's own storage lies; x86-64 alone.
    FsBase = extra "task_struct"."thread.fsbase",
    /// File of the program that exec() has loaded; of a script, its interpreter.
    BinprmFile = extra "linux_binprm"."file",
    /// Name entry of an open file.
    FileDentry = extra "file"."f_path.dentry",
    /// Its name, without directories.
    DentryName = extra "dentry"."d_name.name",
    /// What the task has of io_uring; absent without `CONFIG_IO_URING`.
    TaskUring = extra "task_struct"."io_uring",
    /// Memory of the task's process.
    Mm = extra "task_struct"."mm",
    /// Where the program's stack began.
    MmStartStack = extra "mm_struct"."start_stack",
    /// Where the program's own code ends.
    MmEndCode = extra "mm_struct"."end_code",
    /// Operation of an io_uring request.
    UringOpcode = optional "io_kiocb"."opcode",
    /// File that an io_uring request works on.
    UringFile = optional "io_kiocb"."file",
    /// Slot of the fixed-file table that io_uring accepts into, plus one; 0: a normal descriptor.
    UringAcceptSlot = optional "io_accept"."file_slot",
    /// Result of an io_uring request.
    UringResult = optional "io_uring_cqe"."res",
}

/// How many fields there are: the length of `OFFSETS`.
pub const COUNT: usize = Field::ALL.len();
