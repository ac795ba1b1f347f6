//! Names for the frames of a stack.
//!
//! Only stacks that are shown are named, away from the path of events: the first look into a
//! binary with debug information takes a tenth of a second.

mod jit;
mod key;
mod native;
mod steady;
mod worker;

use tcptrace_common::memory::Task;

use super::raw::{Origin, Place, PythonPlace, RawStack};
use crate::lifecycle::stack::{Frame, Language, Stack, StackStatus};

use jit::Maps;
use native::Natives;

/// Names frames, and remembers what it has found.
#[derive(Debug, Default)]
pub struct Namer {
    natives: Natives,
    maps: Maps,
}

impl Namer {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The stack with names, as far as there are any. A frame without one keeps its place.
    #[must_use]
    pub fn name(&mut self, raw: &RawStack) -> Stack {
        if raw.frames.iter().any(|place| matches!(place.origin, Origin::Jit)) {
            self.maps.refresh(&raw.task);
        }
        let mut frames: Vec<Frame> = raw.python.iter().map(python).collect();
        for place in &raw.frames {
            self.push(&raw.task, place, &mut frames);
        }
        let is_traced = !matches!(raw.status, StackStatus::NotTraced(_));
        let key = is_traced.then(|| key::of(raw, &frames)).flatten();
        Stack { id: 0, status: raw.status.clone(), frames, key }
    }

    /// A frame, before it those that were inlined into it.
    fn push(&mut self, task: &Task, place: &Place, frames: &mut Vec<Frame>) {
        let address = Some(place.address);
        let call = place.address.saturating_sub(u64::from(!place.is_leaf));
        match &place.origin {
            Origin::File(module, offset) => {
                let plain = Frame {
                    module: Some(module.path.clone()),
                    build_id: module.build_id.as_deref().map(hex),
                    offset: Some(*offset),
                    address,
                    ..Frame::default()
                };
                let call = offset.saturating_sub(u64::from(!place.is_leaf));
                frames.extend(self.natives.frames(module, call, &plain));
            }
            Origin::Unopened(path, offset) => frames.push(Frame {
                module: Some(path.to_string()),
                offset: Some(*offset),
                address,
                ..Frame::default()
            }),
            Origin::Jit => frames.push(Frame { address, ..self.jit(task, call) }),
            Origin::Vdso => {
                frames.push(Frame { module: Some("[vdso]".into()), address, ..Frame::default() });
            }
            Origin::Unknown => frames.push(Frame { address, ..Frame::default() }),
        }
    }

    fn jit(&self, task: &Task, address: u64) -> Frame {
        let name = self.maps.find(task, address).unwrap_or_default();
        Frame {
            language: Language::Jit,
            function: (!name.function.is_empty()).then_some(name.function),
            file: name.file,
            line: name.line,
            ..Frame::default()
        }
    }
}

fn python(place: &PythonPlace) -> Frame {
    Frame {
        language: Language::Python,
        function: Some(place.function.clone()),
        module: Some(place.file.clone()),
        file: Some(place.file.clone()),
        line: place.line,
        ..Frame::default()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
