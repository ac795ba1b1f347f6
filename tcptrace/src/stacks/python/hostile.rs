//! Memory that means harm: objects of random words which point to each other.

use tcptrace_common::stack::NO_CFRAME;

use super::discover::threads;
use super::layout::{self, Offsets, Version};
use super::walk::walk;
use super::*;

const WORDS: usize = 512;
/// Behind the random words: three types, whose names follow.
const TYPES: usize = WORDS;
const NAMES: usize = TYPES + 3 * 4;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Something that may be an address within `words`, a type, a length, flags, or anything.
    fn word(&mut self, words: &[u64]) -> u64 {
        let choice = self.next();
        match choice % 10 {
            0..=2 => address(words, (choice >> 8) as usize % WORDS),
            3..=5 => address(words, TYPES + 4 * ((choice >> 8) as usize % 3)),
            6 => (choice >> 8) % 4096,
            // The state of a string that is there in one piece.
            7 | 8 => 0x20 | ((choice >> 8) % 128),
            _ => self.next(),
        }
    }
}

fn address(words: &[u64], index: usize) -> u64 {
    words[index..].as_ptr().addr() as u64
}

fn refill(words: &mut [u64], random: &mut Random) {
    for index in 0..WORDS {
        words[index] = random.word(words);
    }
    for (kind, name) in [*b"code\0\0\0\0", *b"bytes\0\0\0", *b"str\0\0\0\0\0"].iter().enumerate() {
        // `tp_name` is the fourth word of a type.
        words[TYPES + 4 * kind + 3] = address(words, NAMES + kind);
        words[NAMES + kind] = u64::from_le_bytes(*name);
    }
}

fn all_offsets() -> [Offsets; 2] {
    [0x030b_00f0, 0x030c_00f0].map(|hex| layout::of(Version(hex), &[]).unwrap())
}

#[test]
fn random_objects_are_read_without_panic_and_without_end() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut words = vec![0; NAMES + 3];
    let memory = || Memory::open(std::process::id()).unwrap();
    let (mut named, mut walked) = (0, 0);
    for round in 0..400 {
        refill(&mut words, &mut random);
        let mut offsets = all_offsets()[round % 2];
        offsets.frames.slot = 8 * (1 + (round % 64) as i32);
        // One string for both makes more of these objects whole.
        offsets.code.qualname = offsets.code.filename;
        if round % 3 == 0 {
            offsets.frames.cframe_frame = NO_CFRAME;
        }
        let runtime = address(&words, 0);
        let found = Found { version: Version(0), runtime, offsets };
        let mut process = PythonProcess { memory: memory(), found, known: HashMap::new() };
        let _ = threads(&process.memory, runtime, &offsets.threads);
        let threads = (0..WORDS).step_by(16).map(|index| address(&words, index));
        let walk = |fsbase| walk(&process.memory, fsbase, &offsets.frames).0;
        let frames: Vec<_> = threads.flat_map(walk).collect();
        walked += frames.len();
        let code = |index| PythonFrame {
            code: address(&words, index),
            instruction: address(&words, index) + offsets.code.instructions + 2,
        };
        let all: Vec<_> = frames.into_iter().chain((0..WORDS - 32).map(code)).collect();
        let Named { places, unknown } = process.name(&all);
        named += places.len() - unknown;
        assert!(places.iter().all(|place| place.function.len() <= 4 * 256 + 3));
    }
    assert!(named > 0 && walked > 0, "too tame: {named} named, {walked} walked");
}
