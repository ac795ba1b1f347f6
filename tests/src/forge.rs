//! Records that no program of the tool has written: put into its ring by a program of ours.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use anyhow::{Context as _, Result, ensure};
use aya_obj::generated::{bpf_cmd, bpf_prog_type};

use crate::bpf;
use crate::bpf_call::{attributes, call, load};

/// Puts one word as a record into the ring of this name of a tcptrace that runs.
pub fn put(pid: u32, ring: &str, word: i32) -> Result<()> {
    let ring = bpf::map_of(pid, ring)?;
    let kind = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
    let program = writer(ring.fd().as_fd().as_raw_fd(), word);
    let program = load(&program, |load| load.prog_type = kind).context("load the forger")?;
    let answer = run(&program).context("run the forger")?;
    ensure!(answer == 0, "the ring took nothing: {}", answer.cast_signed());
    Ok(())
}

/// `bpf_ringbuf_output(ring, &word, 8, 0)` in BPF's encoding (RFC 9669).
fn writer(ring: i32, word: i32) -> [u64; 9] {
    let code = |opcode: u64, registers: u64, offset: i16, value: i32| {
        let (offset, value) = (offset.cast_unsigned(), value.cast_unsigned());
        opcode | registers << 8 | u64::from(offset) << 16 | u64::from(value) << 32
    };
    [
        // *(u64 *)(r10 - 8) = word
        code(0x7a, 0xa, -8, word),
        // r1 = ring, in two words
        code(0x18, 0x11, 0, ring),
        0,
        // r2 = r10 - 8
        code(0xbf, 0xa2, 0, 0),
        code(0x07, 0x2, 0, -8),
        // r3 = 8; r4 = 0
        code(0xb7, 0x3, 0, 8),
        code(0xb7, 0x4, 0, 0),
        // bpf_ringbuf_output()
        code(0x85, 0, 0, 130),
        code(0x95, 0, 0, 0),
    ]
}

/// What the program answers.
fn run(program: &OwnedFd) -> io::Result<u32> {
    let mut attr = attributes();
    attr.test.prog_fd = program.as_raw_fd() as u32;
    call(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr)?;
    // SAFETY: the command writes this member.
    Ok(unsafe { attr.test.retval })
}
