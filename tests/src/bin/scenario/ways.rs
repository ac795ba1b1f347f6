//! Ways to open a connection that are not a plain connect() or accept(), one function for each: its
//! name is to be found in the stack.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail, ensure};
use io_uring::{IoUring, opcode, types};
use socket2::{Domain, MsgHdr, Protocol, SockAddr, Socket, Type};

use crate::puppet;

/// Connects in the way with this name.
pub fn open(way: &str, to: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    let to = SockAddr::from(to);
    match way {
        "connect" => socket.connect(&to)?,
        "sendto" => by_sendto(&socket, &to)?,
        "sendmsg" => by_sendmsg(&socket, &to)?,
        "without-waiting" => without_waiting(&socket, &to)?,
        "put-off" => put_off(&socket, &to)?,
        "ring" => through_a_ring(&socket, &to)?,
        "ring-worker" => through_a_worker(&socket, &to)?,
        "32-bit" => compat::connect_as_32_bit(&socket, &to)?,
        unknown => bail!("no way called {unknown}"),
    }
    Ok(socket)
}

/// TCP Fast Open: what is sent travels with the SYN.
#[inline(never)]
fn by_sendto(socket: &Socket, to: &SockAddr) -> Result<()> {
    let sent = socket.send_to_with_flags(b"hello", to, libc::MSG_FASTOPEN)?;
    ensure!(sent == 5);
    Ok(())
}

/// The same by the call for messages.
#[inline(never)]
fn by_sendmsg(socket: &Socket, to: &SockAddr) -> Result<()> {
    let pieces = [io::IoSlice::new(b"hello")];
    let message = MsgHdr::new().with_addr(to).with_buffers(&pieces);
    let sent = socket.sendmsg(&message, libc::MSG_FASTOPEN)?;
    ensure!(sent == 5);
    Ok(())
}

#[inline(never)]
fn without_waiting(socket: &Socket, to: &SockAddr) -> Result<()> {
    socket.set_nonblocking(true)?;
    let begun = socket.connect(to);
    socket.set_nonblocking(false)?;
    match begun {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        other => bail!("a connect() that does not wait: {other:?}"),
    }
}

/// TCP Fast Open by an option: connect() sends nothing, and the SYN goes with the first bytes.
#[inline(never)]
fn put_off(socket: &Socket, to: &SockAddr) -> Result<()> {
    puppet::set(socket, libc::TCP_FASTOPEN_CONNECT, 1)?;
    connect_later(socket, to)?;
    // connect() would have waited for this.
    ensure!(socket.peer_addr().is_err(), "nothing was put off");
    let sent = socket.send(b"hello")?;
    ensure!(sent == 5);
    Ok(())
}

#[inline(never)]
fn connect_later(socket: &Socket, to: &SockAddr) -> io::Result<()> {
    let begun = socket.connect(to);
    std::hint::black_box(&begun);
    begun
}

/// The submitter itself connects, within the call that submits.
#[inline(never)]
fn through_a_ring(socket: &Socket, to: &SockAddr) -> Result<()> {
    let flags = io_uring::squeue::Flags::empty();
    connect_in_a_ring(socket, to, flags)
}

/// A worker of the kernel's connects, which is a thread of this process without a stack.
#[inline(never)]
fn through_a_worker(socket: &Socket, to: &SockAddr) -> Result<()> {
    let flags = io_uring::squeue::Flags::ASYNC;
    connect_in_a_ring(socket, to, flags)
}

#[inline(always)]
fn connect_in_a_ring(socket: &Socket, to: &SockAddr, flags: io_uring::squeue::Flags) -> Result<()> {
    let mut ring = IoUring::new(8)?;
    let fd = types::Fd(socket.as_raw_fd());
    let request = opcode::Connect::new(fd, to.as_ptr().cast(), to.len()).build().flags(flags);
    // SAFETY: the address outlives the ring, which is gone at the end of this function.
    unsafe { ring.submission().push(&request) }?;
    ring.submit_and_wait(1)?;
    let result = ring.completion().next().context("no completion")?.result();
    ensure!(result == 0, "connect: {}", io::Error::from_raw_os_error(-result));
    Ok(())
}

/// Accepts as a 32-bit program does.
pub fn accept_as_32_bit(listener: &Socket) -> Result<Socket> {
    compat::accept_as_32_bit(listener)
}

/// System calls of 32-bit programs, which a 64-bit one may make too. The kernel's tracepoints of
/// system calls do not tell of them.
#[cfg(target_arch = "x86_64")]
mod compat {
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::{arch::asm, io, ptr};

    use anyhow::{Result, ensure};
    use socket2::{SockAddr, Socket};

    /// Numbers of `arch/x86/entry/syscalls/syscall_32.tbl`.
    const CONNECT: u32 = 362;
    const ACCEPT4: u32 = 364;

    #[inline(never)]
    pub fn connect_as_32_bit(socket: &Socket, to: &SockAddr) -> Result<()> {
        let address = low(to)?;
        let result = call(CONNECT, socket.as_raw_fd() as u32, address, to.len());
        ensure!(result == 0, "connect: {}", io::Error::from_raw_os_error(-result));
        Ok(())
    }

    #[inline(never)]
    pub fn accept_as_32_bit(listener: &Socket) -> Result<Socket> {
        let result = call(ACCEPT4, listener.as_raw_fd() as u32, 0, 0);
        ensure!(result >= 0, "accept: {}", io::Error::from_raw_os_error(-result));
        // SAFETY: the kernel has just returned it as a new descriptor.
        Ok(unsafe { Socket::from_raw_fd(result) })
    }

    /// A copy where 32 bits reach, for as long as the process lives.
    fn low(address: &SockAddr) -> Result<u32> {
        let (rights, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping of a page, which replaces nothing.
        let page =
            unsafe { libc::mmap(ptr::null_mut(), 4096, rights, kind | libc::MAP_32BIT, -1, 0) };
        ensure!(page != libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
        // SAFETY: an address is much shorter than the page, which nobody else knows.
        unsafe {
            ptr::copy_nonoverlapping(
                address.as_ptr().cast::<u8>(),
                page.cast::<u8>(),
                address.len() as usize,
            );
        }
        Ok(u32::try_from(page as usize)?)
    }

    /// With a fourth argument of 0.
    #[inline(always)]
    fn call(number: u32, first: u32, second: u32, third: u32) -> i32 {
        let result: i32;
        // SAFETY: the call takes integers, and addresses of memory that lives as long as the
        // process. The compiler keeps `rbx` for itself, so it is put back.
        unsafe {
            asm!(
                "xchg {first:r}, rbx",
                "int 0x80",
                "xchg {first:r}, rbx",
                first = inout(reg) u64::from(first) => _,
                inlateout("eax") number => result,
                in("ecx") second,
                in("edx") third,
                in("esi") 0,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        result
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod compat {
    use anyhow::{Result, bail};
    use socket2::{SockAddr, Socket};

    pub fn connect_as_32_bit(_: &Socket, _: &SockAddr) -> Result<()> {
        bail!("only x86-64 programs can call as 32-bit ones do")
    }

    pub fn accept_as_32_bit(_: &Socket) -> Result<Socket> {
        bail!("only x86-64 programs can call as 32-bit ones do")
    }
}
