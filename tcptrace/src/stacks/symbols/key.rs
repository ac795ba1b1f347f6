//! The key of a call path: the same after a restart of the program and wherever its code is loaded.

use crate::lifecycle::stack::{Frame, Language};
use crate::stacks::raw::{Origin, RawStack};

/// 64-bit FNV-1a: its values are the same in each build and on each machine.
struct Hash(u64);

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    /// A part with its length, so that two parts are never taken for another two.
    fn part(&mut self, bytes: &[u8]) {
        self.bytes(&bytes.len().to_le_bytes());
        self.bytes(bytes);
    }

    fn text(&mut self, text: Option<&str>) {
        self.part(text.unwrap_or_default().as_bytes());
    }
}

/// The key of `raw`, whose names are in `frames`. Where there is Python, its frames alone: those of
/// the interpreter say nothing about the program. `None`: there is no frame.
pub fn of(raw: &RawStack, frames: &[Frame]) -> Option<String> {
    if frames.is_empty() {
        return None;
    }
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    if raw.python.is_empty() {
        native(raw, frames, &mut hash);
    } else {
        for frame in frames.iter().filter(|frame| frame.language == Language::Python) {
            named(frame, &mut hash);
        }
    }
    Some(format!("{:016x}", hash.0))
}

/// Build ids (else paths) and offsets; a path that was cut is not the one that was not.
fn native(raw: &RawStack, frames: &[Frame], hash: &mut Hash) {
    let mut jit = frames.iter().filter(|frame| frame.language == Language::Jit);
    for place in &raw.frames {
        match &place.origin {
            Origin::File(module, offset) => {
                let path = module.path.strip_suffix(" (deleted)").unwrap_or(&module.path);
                hash.part(module.build_id.as_deref().unwrap_or(path.as_bytes()));
                hash.part(&offset.to_le_bytes());
            }
            Origin::Unopened(path, offset) => {
                hash.part(path.as_bytes());
                hash.part(&offset.to_le_bytes());
            }
            Origin::Jit => match jit.next() {
                Some(frame) if frame.function.is_some() => named(frame, hash),
                _ => hash.part(b"jit"),
            },
            Origin::Vdso => hash.part(b"vdso"),
            Origin::Unknown => hash.part(b"?"),
        }
    }
    hash.part(raw.status.token().as_bytes());
}

fn named(frame: &Frame, hash: &mut Hash) {
    hash.text(frame.file.as_deref());
    hash.text(frame.function.as_deref());
    hash.part(&frame.line.unwrap_or_default().to_le_bytes());
}
