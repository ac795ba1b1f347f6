//! What differs between architectures when a stack is walked.

use gimli::{AArch64, Register, Vendor, X86_64};

/// An architecture whose stacks are walked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arch {
    /// x86-64.
    #[default]
    X86_64,
    /// aarch64, little endian.
    Aarch64,
}

/// `mov $__NR_rt_sigreturn, %eax; syscall`, by which debuggers know a signal frame without tables.
const X86_64_SIGRETURN: &[&[u8]] = &[
    &[0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05],
    &[0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05],
];
/// `mov x8, #__NR_rt_sigreturn; svc #0`.
const AARCH64_SIGRETURN: &[&[u8]] = &[&[0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4]];

impl Arch {
    /// This machine's.
    pub const HERE: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// The one that `e_machine` in an ELF file stands for.
    #[must_use]
    pub const fn of_elf(machine: u16) -> Option<Self> {
        match machine {
            62 => Some(Self::X86_64),
            183 => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// What unwind tables call the return address.
    #[must_use]
    pub const fn return_address(self) -> Register {
        match self {
            Self::X86_64 => X86_64::RA,
            Self::Aarch64 => AArch64::X30,
        }
    }

    /// What they call the stack pointer.
    #[must_use]
    pub const fn stack_pointer(self) -> Register {
        match self {
            Self::X86_64 => X86_64::RSP,
            Self::Aarch64 => AArch64::SP,
        }
    }

    /// What they call the frame pointer.
    #[must_use]
    pub const fn frame_pointer(self) -> Register {
        match self {
            Self::X86_64 => X86_64::RBP,
            Self::Aarch64 => AArch64::X29,
        }
    }

    /// Whose instructions they may hold.
    #[must_use]
    pub const fn vendor(self) -> Vendor {
        match self {
            Self::X86_64 => Vendor::Default,
            Self::Aarch64 => Vendor::AArch64,
        }
    }

    /// Code that a signal handler returns to, where no table describes it.
    #[must_use]
    pub const fn sigreturn(self) -> &'static [&'static [u8]] {
        match self {
            Self::X86_64 => X86_64_SIGRETURN,
            Self::Aarch64 => AARCH64_SIGRETURN,
        }
    }

    /// Where the program counter, the stack pointer and the frame pointer lie in `struct
    /// rt_sigframe`, seen from the stack pointer in the code that a signal handler returns to.
    ///
    /// x86-64 (`arch/x86/include/asm/sigframe.h`): behind the return address `uc.uc_mcontext`
    /// begins at 40, and `struct sigcontext_64` has `bp` at 80, `sp` at 120, `ip` at 128. aarch64
    /// (`arch/arm64/kernel/signal.c`, `uapi/asm/sigcontext.h`): behind 128 bytes of `siginfo`
    /// `uc_mcontext` begins at 176, and has `x0` at 8, `x29` and what follows it at 240.
    #[must_use]
    pub const fn signal_frame(self) -> (i32, i32, i32) {
        match self {
            Self::X86_64 => (40 + 128, 40 + 120, 40 + 80),
            Self::Aarch64 => (128 + 176 + 264, 128 + 176 + 256, 128 + 176 + 240),
        }
    }
}
