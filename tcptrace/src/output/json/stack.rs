//! A call stack in JSON.

use serde::Serialize;

use crate::lifecycle::stack;

/// A call stack, innermost frame first, Python before machine code.
#[derive(Serialize)]
pub struct Stack<'a> {
    status: &'static str,
    frames: Vec<Frame<'a>>,
    reason: Option<&'a str>,
}

/// One function on it.
#[derive(Serialize)]
struct Frame<'a> {
    function: Option<&'a str>,
    module: Option<&'a str>,
    offset: Option<u64>,
    address: Option<u64>,
    file: Option<&'a str>,
    line: Option<u32>,
    inlined: bool,
    language: &'static str,
    build_id: Option<&'a str>,
}

impl<'a> Stack<'a> {
    /// All of `stack`.
    pub fn new(stack: &'a stack::Stack) -> Self {
        Self {
            status: stack.status.token(),
            frames: stack.frames.iter().map(Frame::new).collect(),
            reason: stack.status.reason(),
        }
    }
}

impl<'a> Frame<'a> {
    fn new(frame: &'a stack::Frame) -> Self {
        Self {
            function: frame.function.as_deref(),
            module: frame.module.as_deref(),
            offset: frame.offset,
            address: frame.address,
            file: frame.file.as_deref(),
            line: frame.line,
            inlined: frame.inlined,
            language: frame.language.token(),
            build_id: frame.build_id.as_deref(),
        }
    }
}
