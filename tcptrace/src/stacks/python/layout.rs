//! Where CPython keeps things, by version.
//!
//! 3.11 and 3.12: a table of what the headers of 3.11.7 and 3.12.1 say on x86-64
//! (`pycore_runtime.h`, `pycore_interp.h`, `cpython/pystate.h`, `pycore_frame.h`,
//! `cpython/code.h`); these structs do not change within a minor version. From 3.13 on
//! `_PyRuntime` begins with a table of its own, `_Py_DebugOffsets` (`pycore_runtime.h`, in 3.14
//! `pycore_debug_offsets.h`); each minor version has another order of its entries.

use std::fmt;

use tcptrace_common::python::is_walkable;
use tcptrace_common::stack::{NO_CFRAME, PythonLayout};

/// Words of `_Py_DebugOffsets` that are needed of any version.
pub const DEBUG_WORDS: usize = 49;
const COOKIE: u64 = u64::from_le_bytes(*b"xdebugpy");
/// `FRAME_OWNED_BY_CSTACK` of 3.12 and 3.13, `FRAME_OWNED_BY_INTERPRETER` of 3.14, where larger
/// ones stand for C code too. 3.11 has none.
const SHIM: u8 = 3;
/// Larger than the offset of anything that is read.
const MAX_RUNTIME_OFFSET: u64 = 4 << 20;
const MAX_OBJECT_OFFSET: u64 = 2048;

/// `PY_VERSION_HEX`: major, minor, micro, release level and serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

impl Version {
    /// Major and minor version.
    #[must_use]
    pub const fn minor(self) -> (u8, u8) {
        ((self.0 >> 24) as u8, (self.0 >> 16) as u8)
    }

    /// Alphas and betas may still move things.
    const fn is_settled(self) -> bool {
        const CANDIDATE: u32 = 0xc;
        (self.0 >> 4) & 0xf >= CANDIDATE
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.minor();
        write!(out, "{major}.{minor}.{}", (self.0 >> 8) as u8)
    }
}

/// The way from `_PyRuntime` to the threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadOffsets {
    /// `interpreters.head` in `_PyRuntimeState`.
    pub interpreters: u64,
    /// `next` in `PyInterpreterState`.
    pub next_interpreter: u64,
    /// `threads.head` in `PyInterpreterState`.
    pub threads: u64,
    /// `next` in `PyThreadState`.
    pub next_thread: u64,
    /// `thread_id` in `PyThreadState`: what `pthread_self()` gave.
    pub thread_id: u64,
}

/// Members of `PyCodeObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeOffsets {
    /// `co_filename`.
    pub filename: u64,
    /// `co_qualname`.
    pub qualname: u64,
    /// `co_linetable`.
    pub line_table: u64,
    /// `co_firstlineno`.
    pub first_line: u64,
    /// `co_code_adaptive`: the instructions themselves.
    pub instructions: u64,
}

/// Everything that depends on the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// How to walk frames; its slot is still to be found.
    pub frames: PythonLayout,
    /// How to find threads.
    pub threads: ThreadOffsets,
    /// How to read code objects.
    pub code: CodeOffsets,
    /// Size of `PyASCIIObject`: where the text of an ASCII string begins.
    pub ascii_text: u64,
    /// Size of `PyCompactUnicodeObject`: where that of others begins.
    pub wide_text: u64,
}

/// The offsets of a version. `debug` holds the first words of `_PyRuntime`. Where it is none that
/// is known, the reason, for people.
pub fn of(version: Version, debug: &[u64]) -> Result<Offsets, String> {
    if !version.is_settled() {
        return Err(format!("CPython {version} is a pre-release: its frames are not known"));
    }
    match version.minor() {
        (3, 11) => Ok(V3_11),
        (3, 12) => Ok(V3_12),
        (3, 13) => from_debug(version, debug, &INDEXES_3_13),
        (3, 14) => from_debug(version, debug, &INDEXES_3_14),
        (major, minor) if (major, minor) < (3, 11) => Err(too_old(&format!("{major}.{minor}"))),
        (major, minor) => Err(format!("CPython {major}.{minor}: its frames are not known yet")),
    }
}

/// Why nothing is said about a CPython of this version.
#[must_use]
pub fn too_old(version: &str) -> String {
    format!("CPython {version}: Python frames need 3.11 or newer")
}

const V3_11: Offsets = Offsets {
    frames: PythonLayout {
        slot: 0,
        thread_frame: 56,
        cframe_frame: 8,
        code: 32,
        previous: 48,
        instruction: 56,
        owner: 69,
        shim: SHIM,
        pad: [0; 3],
    },
    threads: ThreadOffsets {
        interpreters: 40,
        next_interpreter: 0,
        threads: 16,
        next_thread: 8,
        thread_id: 152,
    },
    code: CodeOffsets {
        filename: 112,
        qualname: 128,
        line_table: 136,
        first_line: 72,
        instructions: 184,
    },
    ascii_text: 48,
    wide_text: 72,
};

const V3_12: Offsets = Offsets {
    frames: PythonLayout {
        slot: 0,
        thread_frame: 56,
        cframe_frame: 0,
        code: 0,
        previous: 8,
        instruction: 56,
        owner: 70,
        shim: SHIM,
        pad: [0; 3],
    },
    threads: ThreadOffsets {
        interpreters: 40,
        next_interpreter: 0,
        threads: 72,
        next_thread: 8,
        thread_id: 136,
    },
    code: CodeOffsets {
        filename: 112,
        qualname: 128,
        line_table: 136,
        first_line: 68,
        instructions: 192,
    },
    ascii_text: 40,
    wide_text: 56,
};

/// Places of entries in `_Py_DebugOffsets`, in words; the first eight are the same in all.
struct Indexes {
    threads: usize,
    thread_next: usize,
    thread_frame: usize,
    thread_id: usize,
    /// `interpreter_frame.previous`; `executable` and `instr_ptr` follow.
    previous: usize,
    owner: usize,
    /// `code_object.filename`; `name`, `qualname`, `linetable`, `firstlineno` follow.
    filename: usize,
    instructions: usize,
}

const VERSION: usize = 1;
const FREE_THREADED: usize = 2;
const INTERPRETERS: usize = 5;
const NEXT_INTERPRETER: usize = 8;

const INDEXES_3_13: Indexes = Indexes {
    threads: 9,
    thread_next: 21,
    thread_frame: 23,
    thread_id: 24,
    previous: 29,
    owner: 33,
    filename: 35,
    instructions: 43,
};

/// 3.14 has three more entries for interpreters and two more for frames.
const INDEXES_3_14: Indexes = Indexes {
    threads: 9,
    thread_next: 24,
    thread_frame: 26,
    thread_id: 27,
    previous: 32,
    owner: 36,
    filename: 40,
    instructions: 48,
};

fn from_debug(version: Version, debug: &[u64], at: &Indexes) -> Result<Offsets, String> {
    let unusable = || format!("CPython {version}: its _Py_DebugOffsets make no sense");
    let word = |index: usize| debug.get(index).copied().ok_or_else(unusable);
    if word(0)? != COOKIE || word(VERSION)? != u64::from(version.0) {
        return Err(unusable());
    }
    if word(FREE_THREADED)? != 0 {
        return Err(format!("CPython {version} is free-threaded: its frames are not known"));
    }
    checked(debug, at).ok_or_else(unusable)
}

fn checked(debug: &[u64], at: &Indexes) -> Option<Offsets> {
    let below = |index: usize, limit: u64| debug.get(index).copied().filter(|word| *word < limit);
    let runtime = |index| below(index, MAX_RUNTIME_OFFSET).filter(|word| word % 8 == 0);
    let object = |index| below(index, MAX_OBJECT_OFFSET).filter(|word| word % 4 == 0);
    let byte = |index| below(index, 256).and_then(|word| u8::try_from(word).ok());
    let frames = PythonLayout {
        slot: 0,
        thread_frame: u16::try_from(object(at.thread_frame)?).ok()?,
        cframe_frame: NO_CFRAME,
        code: byte(at.previous + 1)?,
        previous: byte(at.previous)?,
        instruction: byte(at.previous + 2)?,
        owner: byte(at.owner)?,
        shim: SHIM,
        pad: [0; 3],
    };
    let threads = ThreadOffsets {
        interpreters: runtime(INTERPRETERS)?,
        next_interpreter: runtime(NEXT_INTERPRETER)?,
        threads: runtime(at.threads)?,
        next_thread: object(at.thread_next)?,
        thread_id: object(at.thread_id)?,
    };
    let code = CodeOffsets {
        filename: object(at.filename)?,
        qualname: object(at.filename + 2)?,
        line_table: object(at.filename + 3)?,
        first_line: object(at.filename + 4)?,
        instructions: object(at.instructions)?,
    };
    let (ascii_text, wide_text) = (V3_12.ascii_text, V3_12.wide_text);
    is_walkable(&frames).then_some(Offsets { frames, threads, code, ascii_text, wide_text })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V3_13_0: Version = Version(0x030d_00f0);

    /// `_Py_DebugOffsets` of 3.13.0, as far as it is used.
    fn debug_3_13() -> Vec<u64> {
        let mut words = vec![0; DEBUG_WORDS];
        let known = [
            (0, COOKIE),
            (VERSION, u64::from(V3_13_0.0)),
            (INTERPRETERS, 632),
            (NEXT_INTERPRETER, 7264),
            (9, 7344),
            (21, 8),
            (23, 72),
            (24, 152),
            (29, 8),
            (30, 0),
            (31, 56),
            (33, 70),
            (35, 112),
            (37, 128),
            (38, 136),
            (39, 68),
            (43, 200),
        ];
        for (index, word) in known {
            words[index] = word;
        }
        words
    }

    #[test]
    fn a_table_of_the_process_is_taken() {
        let offsets = of(V3_13_0, &debug_3_13()).unwrap();
        assert_eq!(
            offsets.frames,
            PythonLayout { thread_frame: 72, cframe_frame: NO_CFRAME, ..V3_12.frames }
        );
        assert_eq!(offsets.code, CodeOffsets { instructions: 200, ..V3_12.code });
        assert_eq!(offsets.threads.threads, 7344);
    }

    #[test]
    fn a_table_that_makes_no_sense_is_refused() {
        for index in [0, VERSION, FREE_THREADED, 9, 21, 23, 29, 30, 31, 33, 35, 43] {
            for wrong in [u64::MAX, 1 << 40, 7 << 30] {
                let mut words = debug_3_13();
                words[index] = wrong;
                assert!(of(V3_13_0, &words).is_err(), "{index} = {wrong:#x}");
            }
        }
        for length in 0..43 {
            assert!(of(V3_13_0, &debug_3_13()[..length]).is_err());
        }
    }

    #[test]
    fn versions_that_are_not_known_say_so() {
        let reason = |hex| of(Version(hex), &[]).unwrap_err();
        assert_eq!(reason(0x0309_12f0), "CPython 3.9: Python frames need 3.11 or newer");
        assert_eq!(reason(0x0310_00f0), "CPython 3.16: its frames are not known yet");
        assert_eq!(
            reason(0x030c_00b4),
            "CPython 3.12.0 is a pre-release: its frames are not known"
        );
        let mut words = debug_3_13();
        words[FREE_THREADED] = 1;
        assert!(of(V3_13_0, &words).unwrap_err().contains("free-threaded"));
    }

    #[test]
    fn tables_can_be_walked() {
        assert!(is_walkable(&V3_11.frames) && is_walkable(&V3_12.frames));
    }
}
