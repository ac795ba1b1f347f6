//! The checker against small module trees; each rule is broken on purpose once.

use super::{Module, check, read, scan};

/// A tree of modules that keeps every rule. `lib.rs` and `main.rs` are added.
fn tree(files: &[(&str, &str)]) -> Vec<Module> {
    let fixed = [("lib.rs", ""), ("main.rs", "fn main() {}")];
    let given = |name: &str| files.iter().any(|(file, _)| *file == name);
    let all = fixed.iter().filter(|(file, _)| !given(file)).chain(files);
    scan::join(all.map(|(file, text)| scan::scan(file, text).unwrap()).collect())
}

fn violations(files: &[(&str, &str)]) -> Vec<String> {
    check(&tree(files))
}

#[track_caller]
fn assert_clean(files: &[(&str, &str)]) {
    assert_eq!(violations(files), Vec::<String>::new());
}

/// Exactly one violation, which begins with the place and contains the rest.
#[track_caller]
fn assert_one(files: &[(&str, &str)], place: &str, contains: &str) {
    let found = violations(files);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(place) && found[0].contains(contains), "{}", found[0]);
}

const CLI: (&str, &str) = ("cli.rs", "use crate::commands::Plan; pub fn start() { Plan::run() }");
const COMMANDS: (&str, &str) = ("commands/mod.rs", "pub struct Plan;");

#[test]
fn the_allowed_direction_is_allowed() {
    assert_clean(&[
        ("lib.rs", "pub mod cli; pub mod commands; pub mod kernel; pub mod lifecycle;"),
        ("main.rs", "fn main() { tcptrace::cli::start() }"),
        CLI,
        ("commands/mod.rs", "pub mod leaks; pub use leaks::Plan;"),
        (
            "commands/leaks.rs",
            "use crate::{kernel, lifecycle::event::Event, output::table}; \
            pub struct Plan(Event); fn f() { kernel::load(); table::write() }",
        ),
        ("kernel/mod.rs", "use crate::lifecycle::event::Event; use aya::Ebpf; pub fn load() {}"),
        ("output/mod.rs", "pub mod table;"),
        ("output/table.rs", "use std::io::Write; pub fn write() {}"),
        ("lifecycle/mod.rs", "pub mod event;"),
        (
            "lifecycle/event.rs",
            "use std::net::IpAddr; use std::time::Duration; \
            use tcptrace_common::record; pub struct Event(IpAddr);",
        ),
    ]);
}

#[test]
fn neighbours_do_not_know_one_another() {
    assert_one(
        &[
            ("process/mod.rs", "pub struct Name;"),
            ("output/mod.rs", ""),
            ("output/table.rs", "//! Table.\n\nuse crate::process::Name;\n"),
        ],
        "output/table.rs:3: ",
        "`output` must not use `process` (`crate::process::Name`)",
    );
}

#[test]
fn every_pair_of_neighbours_is_checked() {
    let neighbours = ["source", "kernel", "process", "stacks", "output"];
    for from in neighbours {
        for to in neighbours.into_iter().filter(|to| *to != from) {
            let (user, used) = (format!("{from}/mod.rs"), format!("{to}/mod.rs"));
            let text = format!("fn f() {{ crate::{to}::g() }}");
            assert_one(&[(&user, &text), (&used, "pub fn g() {}")], &user, to);
        }
    }
}

#[test]
fn commands_do_not_know_what_was_typed() {
    assert_one(
        &[("cli.rs", "pub struct Args;"), ("commands/mod.rs", "fn f(_: crate::cli::Args) {}")],
        "commands/mod.rs:1: ",
        "`commands` must not use `cli`",
    );
}

#[test]
fn cli_meets_commands_only() {
    assert_one(
        &[("cli.rs", "use crate::kernel::load;"), ("kernel/mod.rs", "pub fn load() {}")],
        "cli.rs:1: ",
        "`cli` must not use `kernel`",
    );
}

#[test]
fn clap_stays_in_cli() {
    assert_clean(&[("cli.rs", "use clap::Parser;"), COMMANDS]);
    assert_one(
        &[("output/mod.rs", "#[derive(clap::ValueEnum)] pub enum Format { Table }")],
        "output/mod.rs:1: ",
        "`output` must not use `clap::ValueEnum`",
    );
}

#[test]
fn main_leaves_the_work_to_cli_and_commands() {
    assert_one(
        &[("main.rs", "fn main() { tcptrace::kernel::load() }"), ("kernel.rs", "pub fn load() {}")],
        "main.rs:1: ",
        "`main` must not use `kernel`",
    );
}

#[test]
fn lifecycle_uses_no_other_layer() {
    assert_one(
        &[
            ("lifecycle/mod.rs", "fn f(_: crate::kernel::Ring) {}"),
            ("kernel.rs", "pub struct Ring;"),
        ],
        "lifecycle/mod.rs:1: ",
        "`lifecycle` must not use `kernel`",
    );
}

#[test]
fn lifecycle_does_not_touch_the_world() {
    for text in [
        "use std::fs;",
        "use std::{collections::BTreeMap, fs::File};",
        "fn f() { std::fs::read(\"x\"); }",
        "use std::io::Write;",
        "use std::env::var;",
        "use std::process;",
        "use std::thread;",
        "use std::time::*;",
        "use std::time::Instant as Clock;",
        "fn f() { ::std::time::SystemTime::now(); }",
        "fn f() { println!(\"x\"); }",
        "fn f() { assert!(std::env::var(\"X\").is_ok()); }",
        "use aya::Ebpf;",
        "use tokio;",
        "async fn f() { tokio::spawn(async {}); }",
        "fn f() { unsafe { libc::getpid() }; }",
        "use clap::Parser;",
        "use std::net::TcpStream;",
    ] {
        let found = violations(&[("lifecycle/mod.rs", text)]);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
    }
}

#[test]
fn a_clock_is_found_behind_an_imported_module() {
    assert_one(
        &[("lifecycle/mod.rs", "use std::time;\nfn f() { time::Instant::now(); }")],
        "lifecycle/mod.rs:2: ",
        "std::time::Instant",
    );
}

#[test]
fn lifecycle_may_use_what_is_pure() {
    assert_clean(&[(
        "lifecycle/mod.rs",
        "use std::net::{IpAddr, SocketAddr}; use std::time::Duration; use std::fmt; \
         /// Like std::fs::read.\n fn f() -> &'static str { \"std::fs::read\" } // crate::kernel",
    )]);
}

#[test]
fn rendering_reads_nothing_and_writes_where_it_is_told() {
    assert_clean(&[("output/mod.rs", "use std::io::{self, Write}; fn f() -> io::Result<()> {}")]);
    assert_one(&[("output/mod.rs", "use std::fs;")], "output/mod.rs:1: ", "std::fs");
    assert_one(
        &[("output/mod.rs", "use std::io; fn f() { io::stdout(); }")],
        "output/mod.rs:1: ",
        "std::io::stdout",
    );
}

#[test]
fn an_unknown_module_asks_for_a_place_in_the_table() {
    assert_one(&[("util.rs", "")], "util.rs: ", "add it to the table");
}

#[test]
fn nothing_depends_on_the_root() {
    assert_one(
        &[("lib.rs", "pub const VERSION: u8 = 1;"), ("output.rs", "use crate::VERSION;")],
        "output.rs:1: ",
        "nothing may depend on it",
    );
}

#[test]
fn neighbours_are_found_through_reexports_aliases_and_macros() {
    let process = ("process/mod.rs", "pub mod name; pub use name::Name;");
    let name = ("process/name.rs", "pub struct Name;");
    for (lib, output) in [
        ("pub use process::Name;", "use crate::Name;"),
        ("", "use crate::{process as who};"),
        ("", "fn f() { write!(w, \"{}\", crate::process::name::show()); }"),
        ("", "use super::process::*;"),
        ("", "mod inner { fn f(_: super::super::process::Name) {} }"),
    ] {
        assert_one(
            &[("lib.rs", lib), ("output/mod.rs", output), process, name],
            "output/mod.rs:1: ",
            "`output` must not use `process`",
        );
    }
}

#[test]
fn files_in_a_circle_are_named_with_their_places() {
    assert_one(
        &[
            ("kernel/mod.rs", "mod ring; mod load; mod other;"),
            ("kernel/ring.rs", "use super::load::Loaded; pub struct Ring;"),
            ("kernel/load.rs", "\nuse crate::kernel::other;"),
            ("kernel/other.rs", "fn f(_: super::ring::Ring) {}"),
        ],
        "modules in a circle: ",
        "kernel::load → kernel::other (kernel/load.rs:2) \
         kernel::other → kernel::ring (kernel/other.rs:1) \
         kernel::ring → kernel::load (kernel/ring.rs:1)",
    );
}

#[test]
fn a_parent_and_its_child_can_be_a_circle() {
    assert_one(
        &[
            ("kernel/mod.rs", "mod ring; pub struct Kernel; fn f() { ring::open() }"),
            ("kernel/ring.rs", "use super::Kernel; pub fn open() {}"),
        ],
        "modules in a circle: ",
        "kernel → kernel::ring",
    );
}

#[test]
fn a_parent_that_only_hands_on_is_no_circle() {
    assert_clean(&[
        ("lifecycle/mod.rs", "mod dwell; mod event; pub use dwell::Dwell; pub use event::*;"),
        ("lifecycle/dwell.rs", "use super::Event; pub struct Dwell;"),
        ("lifecycle/event.rs", "pub struct Event;"),
    ]);
}

#[test]
fn two_globs_that_open_one_another_end() {
    let found = violations(&[
        ("kernel/mod.rs", "mod a; mod b;"),
        ("kernel/a.rs", "use super::b::*; fn f() { x::y() }"),
        ("kernel/b.rs", "use super::a::*; fn g() { x::y() }"),
    ]);
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[test]
fn tests_may_join_what_they_like() {
    let forbidden = "use crate::output::Table; use std::fs;";
    assert_clean(&[
        ("output/mod.rs", "pub struct Table;"),
        ("lifecycle/mod.rs", &format!("#[cfg(test)] mod tests {{ {forbidden} }}")),
        ("kernel/mod.rs", "#[cfg(test)] mod tests;"),
        ("kernel/tests.rs", forbidden),
    ]);
}

#[test]
fn what_is_not_rust_is_an_error() {
    assert!(scan::scan("lib.rs", "fn (").is_err());
}

#[test]
fn this_program_has_no_circles_either() {
    let modules = read(&crate::cargo::root().join("xtask/src")).unwrap();
    let found = check(&modules);
    let circles: Vec<_> = found.iter().filter(|line| line.contains("circle")).collect();
    assert_eq!(circles, Vec::<&String>::new());
}
