//! What all formats for people say of a frame.

use std::borrow::Cow;

use crate::lifecycle::stack::{Frame, Language, Stack};

/// The frames that matter: where there is Python, the machine code below it is the interpreter's.
pub fn shown(stack: &Stack, native: bool) -> impl Iterator<Item = &Frame> {
    let is_python = |frame: &Frame| frame.language == Language::Python;
    let all = native || !stack.frames.iter().any(is_python);
    stack.frames.iter().filter(move |frame| all || is_python(frame))
}

/// The same, outermost first, and with Python where its interpreter is: below the machine code that
/// Python called, above that which runs the interpreter.
pub fn outermost_first(stack: &Stack, native: bool) -> Vec<&Frame> {
    let is_interpreter = |frame: &&Frame| {
        frame.function.as_deref().is_some_and(|function| function.starts_with("_PyEval_EvalFrame"))
    };
    let (python, mut machine): (Vec<&Frame>, Vec<&Frame>) =
        shown(stack, native).partition(|frame| frame.language == Language::Python);
    // Where no frame has the interpreter's name, all of it is what Python called.
    let called = machine.iter().position(is_interpreter).unwrap_or(machine.len());
    let above = machine.iter().rposition(is_interpreter).unwrap_or(machine.len());
    let outer = machine.split_off(above);
    machine.truncate(called);
    outer
        .into_iter()
        .rev()
        .chain(python.into_iter().rev())
        .chain(machine.into_iter().rev())
        .collect()
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
