//! A stack as lines, innermost function first.

use super::excerpt::{Part, folded, parts};
use super::style::Style;
use crate::lifecycle::stack::{Frame, Language, Stack, StackStatus};
use crate::output::cell;
use crate::output::frame::{base, name, shown};

const INDENT: &str = "    ";

/// Wrappers of the system calls in a C library: the line above the stack says which call it was.
const WRAPPERS: [&str; 19] = [
    "accept",
    "accept4",
    "__libc_accept",
    "__libc_accept4",
    "connect",
    "__connect",
    "__libc_connect",
    "listen",
    "__listen",
    "read",
    "__read",
    "__libc_read",
    "recv",
    "__libc_recv",
    "recvfrom",
    "__libc_recvfrom",
    "__syscall_cancel",
    "__internal_syscall_cancel",
    "__syscall_cancel_arch",
];

/// The frames, as many as the style allows, and why there are no more.
pub fn lines(stack: &Stack, room: usize, style: &Style) -> Vec<String> {
    let whole = style.frames == usize::MAX;
    let mut frames: Vec<&Frame> = shown(stack, style.native).collect();
    if !whole {
        let wrappers = frames.iter().take_while(|frame| is_wrapper(frame)).count();
        // A stack of nothing else is shown as it is.
        frames.drain(..if wrappers < frames.len() { wrappers } else { 0 });
    }
    let room = room.saturating_sub(INDENT.len());
    let mut lines = Vec::new();
    for part in parts(&frames, style.frames) {
        match part {
            Part::Frames(frames) => {
                lines.extend(folded(frames.iter().map(|frame| line(frame, room, whole))));
            }
            Part::Libraries(count) => lines.push(format!("… {count} of libraries")),
            Part::Rest(count) => lines.push(format!("… {count} more (-w shows all)")),
        }
    }
    lines.extend(nameless(&frames).filter(|_| stack.status == StackStatus::Ok));
    lines.extend(end(&stack.status, frames.is_empty(), room));
    lines.into_iter().map(|line| format!("{INDENT}{}", cell::cut(&line, room))).collect()
}

/// What gives code made at run time its names, where it has none.
fn nameless(frames: &[&Frame]) -> Option<String> {
    let is_nameless = |frame: &&Frame| frame.language == Language::Jit && frame.function.is_none();
    let is_java = |frame: &&Frame| {
        let function = frame.function.as_deref().unwrap_or_default();
        function.starts_with("Java_") || frame.module.as_deref().map(base) == Some("libjvm.so")
    };
    frames.iter().any(is_nameless).then(|| {
        let remedy = if frames.iter().any(is_java) {
            "jcmd PID Compiler.perfmap"
        } else {
            "node --perf-basic-prof --interpreted-frames-native-stack"
        };
        format!("[jit] gets names with `{remedy}`")
    })
}

fn is_wrapper(frame: &Frame) -> bool {
    let module = base(frame.module.as_deref().unwrap_or_default());
    let libc = ["libc.so", "libc-", "libpthread", "libc.musl", "ld-musl"];
    frame.language == Language::Native
        && libc.iter().any(|start| module.starts_with(start))
        && frame.function.as_deref().is_some_and(|function| {
            // With debug information libc's own name for it is known.
            WRAPPERS.contains(&function.trim_start_matches("__GI_"))
        })
}

/// Why there are no more frames, over as many lines as it needs: it ends with what helps.
fn end(status: &StackStatus, empty: bool, room: usize) -> Vec<String> {
    let Some(reason) = status.reason().map(cell::safe) else { return Vec::new() };
    let text = match status {
        StackStatus::Failed(_) if empty => format!("[no stack: {reason}]"),
        _ => format!("[truncated: {reason}]"),
    };
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    cell::flow(&words, " ", room)
}

/// `serve (app.py:11)`. The name is cut first: what stands behind it leads to the code.
fn line(frame: &Frame, room: usize, whole: bool) -> String {
    let name = cell::safe(&name(frame));
    let behind = place(frame, whole).map(|place| format!(" ({})", cell::safe(&place)));
    let behind = behind.unwrap_or_default();
    let room = room.saturating_sub(cell::width(&behind)).max(room / 3);
    format!("{}{behind}", cell::cut(&name, room))
}

/// File and line, else the module of a function that has a name.
fn place(frame: &Frame, whole: bool) -> Option<String> {
    let short = |path: &str| if whole { path.to_owned() } else { base(path).to_owned() };
    let file = match (&frame.file, frame.line) {
        (Some(file), Some(line)) => Some(format!("{}:{line}", short(file))),
        (Some(file), None) => Some(short(file)),
        (None, _) => None,
    };
    let module = || frame.module.as_deref().filter(|_| frame.function.is_some()).map(short);
    let inlined = frame.inlined.then(|| "inlined".to_owned());
    let parts: Vec<String> = file.or_else(module).into_iter().chain(inlined).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures::stacks;

    fn shown(stack: &Stack, style: &Style) -> Vec<String> {
        lines(stack, 80, style).iter().map(|line| line.trim_start().to_owned()).collect()
    }

    #[test]
    fn python_hides_the_machine_code_below_it() {
        let own = ["accept (socket.py:294)", "Server.serve (app.py:11)", "<module> (app.py:40)"];
        assert_eq!(shown(&stacks::python(), &Style::default()), own);
        let all = shown(&stacks::python(), &Style { native: true, ..Style::default() });
        assert_eq!(all[..3], own);
        let below = [
            "accept4 (libc.so.6)",
            "python3.11+0x1b20f3",
            "_PyEval_EvalFrameDefault (python3.11)",
            "Py_RunMain (python3.11)",
        ];
        assert_eq!(all[3..], below);
    }

    #[test]
    fn the_first_line_is_who_made_the_call() {
        let lines = shown(&stacks::c_server(), &Style::default());
        assert_eq!(lines[0], "take_connection (server.c:71, inlined)");
        assert_eq!((lines.len(), lines[6].as_str()), (7, "… 4 more (-w shows all)"));
        let whole = shown(&stacks::c_server(), &Style { frames: usize::MAX, ..Style::default() });
        assert_eq!(
            (whole.len(), whole[0].as_str()),
            (11, "accept4 (/usr/lib/x86_64-linux-gnu/libc.so.6)")
        );
        assert_eq!(whole[1], "take_connection (/build/chat/server.c:71, inlined)");
    }

    #[test]
    fn what_has_no_name_is_a_place() {
        let lines = shown(&stacks::nginx(), &Style::default());
        assert_eq!(lines, ["nginx+0x2f31a", "nginx+0x3e0c4", "main (nginx)"]);
    }

    #[test]
    fn a_cut_stack_says_why() {
        let lines = shown(&stacks::jvm(), &Style::default());
        assert_eq!(lines[3], "[jit]");
        assert!(lines[4].starts_with("[truncated: in code made at run time"), "{lines:?}");
        let failed = shown(&stacks::failed(), &Style::default());
        assert_eq!(failed, ["[no stack: the process was gone before its maps could be read]"]);
    }

    #[test]
    fn a_long_name_leaves_room_for_its_place() {
        let lines = lines(&stacks::hostile(), 60, &Style::default());
        assert!(lines.iter().all(|line| cell::width(line) <= 60), "{lines:?}");
        assert!(lines[1].ends_with("… (long)"), "{lines:?}");
    }
}
