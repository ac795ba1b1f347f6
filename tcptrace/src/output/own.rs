//! Whose code a frame is: the application's, whose author reads the report, or a library's.

use crate::lifecycle::stack::{Frame, Language};

use super::frame::base;

/// Parts of paths of libraries: of Python, Rust, Go and node.
const LIBRARY_PATHS: [&str; 10] = [
    "/site-packages/",
    "/dist-packages/",
    "/lib/python3",
    "<frozen ",
    "/bin/",
    "/rustc/",
    "/.cargo/registry/",
    "/usr/lib/go",
    "/pkg/mod/",
    "/node_modules/",
];
/// Beginnings of names in the standard libraries of Rust, Go and Java, and of what is as common.
const LIBRARY_NAMES: [&str; 20] = [
    "std::",
    "core::",
    "alloc::",
    "<std::",
    "<core::",
    "<alloc::",
    "tokio::",
    "mio::",
    "net.",
    "net/",
    "internal/",
    "runtime.",
    "syscall.",
    "os.",
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "node:",
];

/// Whether a frame is of the application itself, as far as its name and place tell.
pub fn is_own(frame: &Frame) -> bool {
    let path = frame.file.as_deref().unwrap_or_default();
    if LIBRARY_PATHS.iter().any(|part| path.contains(part)) || path.starts_with("node:") {
        return false;
    }
    let name = frame.function.as_deref().map(without_return_type).unwrap_or_default();
    if LIBRARY_NAMES.iter().any(|start| name.starts_with(start)) {
        return false;
    }
    match frame.language {
        Language::Python => true,
        Language::Jit => !name.is_empty(),
        Language::Native => !is_shared(base(frame.module.as_deref().unwrap_or_default())),
    }
}

/// Perf maps of Java have `int sun.nio.ch.Net.accept(…)`.
fn without_return_type(name: &str) -> &str {
    let head = name.split('(').next().unwrap_or(name);
    match head.rsplit_once(' ') {
        Some((_, last)) if !last.is_empty() => &name[name.len().min(head.len() - last.len())..],
        _ => name,
    }
}

fn is_shared(module: &str) -> bool {
    module.is_empty() || module.ends_with(".so") || module.contains(".so.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(language: Language, module: &str, function: &str, file: &str) -> Frame {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Frame {
            language,
            module: some(module),
            function: some(function),
            file: some(file),
            ..Frame::default()
        }
    }

    #[test]
    fn libraries_are_told_from_the_application() {
        let python = |file| is_own(&frame(Language::Python, file, "f", file));
        assert!(python("/srv/shop/prices.py") && python("app.py"));
        assert!(!python("/usr/lib/python3.11/socket.py"));
        assert!(!python("/srv/venv/lib/python3.12/site-packages/urllib3/connection.py"));
        assert!(!python("/srv/venv/bin/gunicorn") && !python("<frozen runpy>"));
        let native = |module, name, file| is_own(&frame(Language::Native, module, name, file));
        assert!(native("/srv/chat", "serve", "") && native("/srv/chat", "", ""));
        assert!(native("/srv/chat", "chat::serve", "/build/chat/src/main.rs"));
        assert!(!native("/usr/lib/libnio.so", "Java_sun_nio_ch_Net_accept", ""));
        assert!(!native("/lib/libc.so.6", "accept4", "") && !native("", "", ""));
        assert!(!native("/srv/chat", "std::net::tcp::TcpListener::accept", ""));
        assert!(!native("/srv/chat", "core::ops::FnOnce::call_once", "/rustc/1a/core/ops.rs"));
        assert!(!native("/srv/gsrv", "net.(*netFD).accept", ""));
        let jit = |name, file| is_own(&frame(Language::Jit, "", name, file));
        assert!(jit("void com.example.Broker.run()", ""));
        assert!(!jit("int sun.nio.ch.Net.accept(java.io.FileDescriptor)", ""));
        assert!(!jit("internalConnect", "node:net") && !jit("", ""));
        assert!(jit("fetch", "/srv/fetch.js") && !jit("f", "/srv/node_modules/pg/a.js"));
    }
}
