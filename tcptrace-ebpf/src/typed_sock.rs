//! The sock that a hook is called with. The verifier knows its type, so its fields are loaded
//! directly, at a tenth of what a copy through a helper costs.

use core::ffi::c_void;

use tcptrace_common::field::Field;
use tcptrace_common::memory::Tuple;
use tcptrace_common::tcp::{AF_INET6, IPPROTO_TCP};

use crate::config::{has, load, load_part};
use crate::emit::InNetns;
use crate::opaque::number;
use crate::sock::Sock;
use crate::words::bytes;

/// Size of a chain's head: a pointer (`struct inet_ehash_bucket`, `include/net/inet_hashtables.h`).
const CHAIN: u64 = 8;

/// A `struct sock` of a known type.
#[derive(Clone, Copy)]
pub struct TypedSock(*const c_void);

impl TypedSock {
    /// An argument of a hook.
    ///
    /// # Safety
    ///
    /// It is a `struct sock *` that is never null.
    #[inline(always)]
    pub unsafe fn new(argument: *const c_void) -> Self {
        Self(argument)
    }

    /// The same as one of which only the address is known.
    #[inline(always)]
    pub fn untyped(self) -> Sock {
        Sock::new(self.0)
    }

    #[inline(always)]
    fn get<T: Copy>(self, field: Field) -> T {
        // SAFETY: the type is known (contract of the constructor), and what is asked for here is
        // in `struct sock` with the types that are asked for; the verifier checks both.
        unsafe { load(self.0, field) }
    }

    /// Whether it is of TCP: `inet_sock_set_state` also fires for MPTCP, SCTP and DCCP, with state
    /// numbers that mean other things.
    #[inline(always)]
    pub fn is_tcp(self) -> bool {
        self.get::<u16>(Field::SkProtocol) == IPPROTO_TCP
    }

    /// The cookie, made now if the socket has none yet.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        match self.get(Field::SkcCookie) {
            // SAFETY: the type is known.
            0 => unsafe { self.untyped().cookie() },
            cookie => cookie,
        }
    }

    /// Where the kernel's table of connections has the chain in which it is, or was.
    #[inline(always)]
    pub fn chain(self) -> u64 {
        let net = self.get::<*const c_void>(Field::SkcNet);
        // SAFETY: the verifier knows the type of a pointer that was loaded from a known one, and
        // lets the kernel answer a load from a bad one with 0.
        let (chains, mask) = unsafe {
            let table = load::<*const c_void>(net, Field::NetConnections);
            (load::<u64>(table, Field::ConnectionChains), load::<u32>(table, Field::ConnectionMask))
        };
        let bucket = self.get::<u32>(Field::SkcHash) & mask;
        number(chains) + u64::from(bucket) * CHAIN
    }

    /// Pending error.
    #[inline(always)]
    pub fn error(self) -> i32 {
        self.get(Field::SkErr)
    }

    /// Whether no `struct socket` is attached.
    #[inline(always)]
    pub fn is_orphan(self) -> bool {
        self.get::<u64>(Field::SkSocket) == 0
    }

    /// Endpoints as they are now.
    #[inline(always)]
    pub fn tuple(self, tuple: &mut Tuple) {
        tuple.family = self.get(Field::SkcFamily);
        tuple.remote_port = u16::from_be(self.get(Field::SkcDport));
        tuple.local_port = match self.get(Field::SkcNum) {
            0 => self.untyped().local_port(),
            port => port,
        };
        if tuple.family == AF_INET6 {
            if has(Field::SkcV6RcvSaddr) && has(Field::SkcV6Daddr) {
                tuple.local_addr = self.address_of_16(Field::SkcV6RcvSaddr);
                tuple.remote_addr = self.address_of_16(Field::SkcV6Daddr);
            }
        } else {
            tuple.local_addr = self.address_of_4(Field::SkcRcvSaddr);
            tuple.remote_addr = self.address_of_4(Field::SkcDaddr);
        }
    }

    #[inline(always)]
    fn address_of_4(self, field: Field) -> [u8; 16] {
        bytes([u64::from(self.get::<u32>(field)).to_le(), 0])
    }

    #[inline(always)]
    fn address_of_16(self, field: Field) -> [u8; 16] {
        // SAFETY: as in `get`; both halves lie within an address of 16 bytes.
        unsafe { bytes([load_part(self.0, field, 0), load_part(self.0, field, 8)]) }
    }
}

impl InNetns for TypedSock {
    #[inline(always)]
    fn netns(self) -> u32 {
        let net = self.get::<*const c_void>(Field::SkcNet);
        // SAFETY: the verifier knows the type of a pointer that was loaded from a known one, and
        // lets the kernel answer a load from a bad one with 0.
        unsafe { load(net, Field::NetInum) }
    }
}
