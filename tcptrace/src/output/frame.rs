//! What all formats for people say of a frame.

use std::borrow::Cow;

use crate::lifecycle::stack::{Frame, Language, Stack};

/// The frames that matter: where there is Python, the machine code below it is the interpreter's.
pub fn shown(stack: &Stack, native: bool) -> impl DoubleEndedIterator<Item = &Frame> {
    let is_python = |frame: &Frame| frame.language == Language::Python;
    let all = native || !stack.frames.iter().any(is_python);
    stack.frames.iter().filter(move |frame| all || is_python(frame))
}

/// Its name, else where it is: `nginx+0x2f31a`. Not escaped.
pub fn name(frame: &Frame) -> Cow<'_, str> {
    if let Some(function) = &frame.function {
        return function.into();
    }
    match (&frame.module, frame.offset, frame.address) {
        (Some(module), Some(offset), _) => format!("{}+{offset:#x}", base(module)).into(),
        (Some(module), None, _) => base(module).into(),
        (None, ..) if frame.language == Language::Jit => "[jit]".into(),
        (None, _, Some(address)) => format!("[{address:#x}]").into(),
        (None, _, None) => "[unknown]".into(),
    }
}

/// The last part of a path.
pub fn base(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap_or(path);
    if last.is_empty() { path } else { last }
}
