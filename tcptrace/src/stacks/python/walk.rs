//! The kernel side's walk in user space, for tests: of a process that is blocked it sees the same.

use tcptrace_common::python::{self, FRAME_WORDS, MAX_STEPS};
use tcptrace_common::stack::{MAX_PYTHON, PythonFrame, PythonLayout};

use crate::stacks::memory::Memory;

/// The frames of the thread with this `fsbase`, innermost first, and whether that is not all.
pub fn walk(memory: &Memory, fsbase: u64, layout: &PythonLayout) -> (Vec<PythonFrame>, bool) {
    let mut frames = Vec::new();
    let Some(state) = python::thread_state(layout, fsbase, |at| memory.word(at)) else {
        return (frames, false);
    };
    let Some(mut at) = python::first_frame(layout, state, |at| memory.word(at)) else {
        return (frames, true);
    };
    for _ in 0..MAX_STEPS {
        if at == 0 {
            return (frames, false);
        }
        let words = memory.words(at, FRAME_WORDS);
        let Ok(words) = words.as_slice().try_into() else { break };
        let step = python::step(layout, words);
        if let Some(frame) = step.frame {
            if frames.len() == MAX_PYTHON {
                break;
            }
            frames.push(frame);
        }
        at = step.previous;
    }
    (frames, true)
}
