//! Everything in tcptrace that reads bytes from strangers, one function each: it gets any bytes,
//! and must come back soon, without a panic and without more memory than the bytes can account for.
//! What is printed of them must be harmless.
//!
//! `cargo xtask fuzz` drives each with libFuzzer; the kept inputs in `corpus/` are run by a plain
//! `cargo test` too.

mod command_line;
mod doctor;
mod files;
mod harmless;
mod kernel;
mod process;
mod python;
mod recording;
mod stack;
mod symbols;

/// Something that gets any bytes.
pub type Target = fn(&[u8]);

/// What reads bytes, by the name of its fuzz target and of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 21] = [
    ("btf", symbols::btf),
    ("census", kernel::census),
    ("cli", command_line::cli),
    ("counters", doctor::counters),
    ("elf", files::elf),
    ("expression", files::expression),
    ("frames", recording::frames),
    ("kallsyms", symbols::kallsyms),
    ("label", process::label),
    ("maps", process::maps),
    ("perfmap", symbols::perf_map),
    ("proc", process::proc),
    ("python_elf", python::elf),
    ("python_layout", python::layout),
    ("python_lines", python::lines),
    ("record", kernel::record),
    ("recording", recording::whole),
    ("rows", kernel::rows),
    ("stack", stack::stack),
    ("sysctl_file", doctor::sysctl_file),
    ("text", process::text),
];

/// Runs a target once.
///
/// # Panics
///
/// When the target finds something wrong, or there is none of that name.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(own, _)| *own == name);
    let (_, target) = target.unwrap_or_else(|| panic!("no target {name}"));
    target(bytes);
}
