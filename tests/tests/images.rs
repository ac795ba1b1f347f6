//! No stale rule and no frame of another program, whatever a process does to its memory.
//!
//! The programs are variants of `images.c`: the same code at the same addresses, with other names
//! and frames of another size. A rule or a name of one that is used for the other shows.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::process;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::stacks::build::{Variant, variant};
use tcptrace_tests::stacks::event::Ports;
use tcptrace_tests::stacks::shape::{Shape, Told};
use tcptrace_tests::tool::{Running, target_dir};
use tcptrace_tests::wait::until;

const ALPHA: [&str; 2] = ["alpha_inner", "alpha_outer"];
const SHORT: [&str; 3] = ["alpha_inner", "alpha_outer", "accept_shortly"];
const BETA: [&str; 2] = ["beta_inner", "beta_outer"];

/// At fixed addresses, as [`beta`] has it.
fn alpha() -> Result<PathBuf> {
    variant("images.c", Variant { name: "alpha", room: 1024, kind: "-no-pie" })
}

fn beta() -> Result<PathBuf> {
    variant("images.c", Variant { name: "beta", room: 2048, kind: "-no-pie" })
}

/// With frames of the same size, so that even the rules are the same.
fn twin() -> Result<PathBuf> {
    variant("images.c", Variant { name: "beta", room: 1024, kind: "-no-pie" })
}

fn library(name: &str, room: u32) -> Result<PathBuf> {
    variant("plugin.c", Variant { name, room, kind: "-shared" })
}

/// A directory for copies of programs, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Result<Self> {
        let dir = target_dir()?.join(format!("images-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    /// A copy of a program under the name `prog` in a directory of its own.
    fn copy(&self, dir: &str, program: &Path) -> Result<PathBuf> {
        let to = self.0.join(dir).join("prog");
        std::fs::create_dir_all(self.0.join(dir))?;
        std::fs::copy(program, &to)?;
        Ok(to)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the directory of the build.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn is(tool: &mut Running, ports: Ports, functions: &[&str]) -> Result<()> {
    Told::of(tool, ports)?.expect(functions)
}

/// Several times, so that rules are known and used.
fn accept(shape: &mut Shape<'_>) -> Result<Vec<Ports>> {
    (0..3).map(|_| shape.accept("accept")).collect()
}

fn all(tool: &mut Running, sockets: &[Ports], functions: &[&str]) -> Result<()> {
    sockets.iter().try_for_each(|ports| is(tool, *ports, functions))
}

/// The first program, then the second in its place; both called `prog`.
fn after_exec(first: &Path, second: &Path, name: &str, how: &str) -> Result<()> {
    let (pair, scratch) = (NetPair::new()?, Scratch::new(name)?);
    let (first, second) = (scratch.copy("a", first)?, scratch.copy("b", second)?);
    let mut tool = bench::trace(&pair)?;
    let mut shape = Shape::start(&pair, &first)?;
    let before = accept(&mut shape)?;
    shape.leak();
    all(&mut tool, &before, &ALPHA)?;
    shape.tell(&format!("{how} {}", second.display()), "ready")?;
    let after = accept(&mut shape)?;
    shape.leak();
    all(&mut tool, &after, &BETA)?;
    shape.exec(&first)?;
    let again = accept(&mut shape)?;
    shape.leak();
    all(&mut tool, &again, &ALPHA)
}

#[test]
fn exec_at_the_same_addresses() -> Result<()> {
    after_exec(&alpha()?, &beta()?, "exec", "exec")
}

#[test]
fn exec_of_a_twin() -> Result<()> {
    after_exec(&alpha()?, &twin()?, "twin", "exec")
}

#[test]
fn exec_by_another_thread() -> Result<()> {
    after_exec(&alpha()?, &beta()?, "thread", "exec-thread")
}

#[test]
fn exec_elsewhere() -> Result<()> {
    let program = |name| variant("images.c", Variant { name, room: 1024, kind: "-pie" });
    after_exec(&program("alpha")?, &program("beta")?, "pie", "exec")
}

/// Programs follow each other while the tool still looks at the one before. What it says is of
/// the right program, or nothing.
#[test]
fn exec_at_once() -> Result<()> {
    let (pair, scratch) = (NetPair::new()?, Scratch::new("race")?);
    let programs = [scratch.copy("a", &alpha()?)?, scratch.copy("b", &twin()?)?];
    let mut tool = bench::trace(&pair)?;
    let mut shape = Shape::start(&pair, &programs[0])?;
    let mut sockets = Vec::new();
    for turn in 0..20 {
        sockets.push(shape.accept_and_become(&programs[(turn + 1) % 2])?);
    }
    shape.leak();
    let mut named = 0;
    for (turn, ports) in sockets.into_iter().enumerate() {
        let told = Told::of(&mut tool, ports)?;
        let (own, other) = if turn % 2 == 0 { ("alpha", "beta") } else { ("beta", "alpha") };
        told.expect_none_of(&[other])?;
        let has_own = told.functions.iter().any(|function| function.starts_with(own));
        ensure!(has_own || told.status == "unwind-failed", "{told:?}");
        named += usize::from(has_own);
    }
    println!("{named} of 20 programs were there long enough");
    Ok(())
}

/// A child has its parent's stacks from its first event on, and none of a library that only its
/// sibling has.
#[test]
fn forked_children() -> Result<()> {
    let pair = NetPair::new()?;
    let libraries = [library("one", 1024)?, library("two", 2048)?];
    let mut tool = bench::trace(&pair)?;
    let mut shape = Shape::start(&pair, &alpha()?)?;
    let mut own = accept(&mut shape)?;
    let mut addresses = Vec::new();
    for (library, function) in libraries.iter().zip(["one_plugin", "two_plugin"]) {
        shape.tell("fork", "child")?;
        own.extend(accept(&mut shape)?);
        addresses.push(shape.tell(&format!("load {}", library.display()), "loaded")?);
        let plugged = [shape.accept("plugin")?, shape.accept("plugin")?];
        // While the child is there, so that it cannot be too late to read its memory map.
        shape.leak();
        all(&mut tool, &own, &ALPHA)?;
        all(&mut tool, &plugged, &["alpha_inner", "alpha_outer", function, "through"])?;
        own.clear();
        shape.tell("leave", "left")?;
    }
    own.extend(accept(&mut shape)?);
    ensure!(addresses[0] == addresses[1], "the libraries lie apart: {addresses:?}");
    shape.leak();
    all(&mut tool, &own, &ALPHA)
}

/// A library takes the place of another one.
struct Replaced<'a> {
    tool: Running,
    shape: Shape<'a>,
}

impl<'a> Replaced<'a> {
    fn new(pair: &'a NetPair, room: u32) -> Result<Self> {
        let (first, second) = (library("one", 1024)?, library("two", room)?);
        let mut tool = bench::trace(pair)?;
        let mut shape = Shape::start(pair, &alpha()?)?;
        accept(&mut shape)?;
        let before_at = shape.tell(&format!("load {}", first.display()), "loaded")?;
        let before = [shape.accept("plugin")?, shape.accept("plugin")?];
        shape.leak();
        all(&mut tool, &before, &["alpha_inner", "alpha_outer", "one_plugin", "through"])?;
        let after_at = shape.tell(&format!("load {}", second.display()), "loaded")?;
        ensure!(before_at == after_at, "the libraries lie apart: {before_at} {after_at}");
        Ok(Self { tool, shape })
    }

    fn accept(&mut self) -> Result<Told> {
        let ports = self.shape.accept("plugin")?;
        self.shape.leak();
        Told::of(&mut self.tool, ports)
    }
}

const AFTER: [&str; 4] = ["alpha_inner", "alpha_outer", "two_plugin", "through"];

/// The first stack may have been walked by the rules of the library before, and is not told.
#[test]
fn a_library_replaced() -> Result<()> {
    let pair = NetPair::new()?;
    let mut replaced = Replaced::new(&pair, 2048)?;
    let first = replaced.accept()?;
    first.expect_none_of(&["one_"])?;
    ensure!(first.status == "unwind-failed" || first.expect(&AFTER).is_ok(), "{first:?}");
    replaced.accept()?.expect(&AFTER)
}

/// All return addresses are as before, so that nothing tells the kernel side: the memory map is
/// read again in time.
#[test]
fn a_library_replaced_by_a_twin() -> Result<()> {
    let pair = NetPair::new()?;
    let mut replaced = Replaced::new(&pair, 1024)?;
    until("the new names", || Ok(replaced.accept()?.expect(&AFTER).ok()))?;
    replaced.accept()?.expect(&AFTER)
}

/// As when a package is upgraded: the path leads to another file.
#[test]
fn a_deleted_program() -> Result<()> {
    let (pair, scratch) = (NetPair::new()?, Scratch::new("deleted")?);
    let program = scratch.copy("a", &alpha()?)?;
    let mut tool = bench::trace(&pair)?;
    let mut shape = Shape::start(&pair, &program)?;
    std::fs::rename(scratch.copy("b", &beta()?)?, &program)?;
    let sockets = accept(&mut shape)?;
    let mut fresh = Shape::start(&pair, &program)?;
    let others = accept(&mut fresh)?;
    shape.leak();
    fresh.leak();
    all(&mut tool, &sockets, &ALPHA)?;
    all(&mut tool, &others, &BETA)?;
    let told = Told::of(&mut tool, sockets[0])?.stack;
    let frames = told["frames"].as_array().into_iter().flatten();
    let paths: Vec<_> = frames.filter_map(|frame| frame["module"].as_str()).collect();
    let program = program.display().to_string();
    ensure!(paths.iter().any(|path| **path == program), "{program} is not among {paths:?}");
    Ok(())
}

/// Its own mount and pid namespace, and its files in a file system that nobody else sees.
#[test]
fn a_container() -> Result<()> {
    let (pair, program) = (NetPair::new()?, alpha()?);
    let mut tool = bench::trace(&pair)?;
    let mut command = std::process::Command::new("unshare");
    let script = format!(
        "exec 3<{} && mount -t tmpfs none /tmp && cat <&3 >/tmp/prog && chmod +x /tmp/prog && \
         exec 3<&- && exec /tmp/prog",
        program.display()
    );
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", &script]);
    let mut shape = Shape::of(&pair, command)?;
    let sockets = accept(&mut shape)?;
    let made = [shape.accept("jit")?, shape.accept("jit")?];
    shape.leak();
    all(&mut tool, &sockets, &ALPHA)?;
    all(&mut tool, &made[..1], &["alpha_inner", "alpha_outer", "jitted_serve", "accept_jit"])?;
    all(&mut tool, &made[1..], &["alpha_inner", "alpha_outer", "jitted_serve", "accept_jit"])?;
    let told = Told::of(&mut tool, sockets[0])?;
    ensure!(told.opener.is_some_and(|pid| pid != u64::from(shape.pid())), "{told:?}");
    Ok(())
}

/// A child of `heir` gets the pid of a process that was known.
fn reused_pid(is_heir_known: bool) -> Result<()> {
    let pair = NetPair::new()?;
    let mut tool = bench::trace(&pair)?;
    let mut heir = Shape::start(&pair, &beta()?)?;
    if is_heir_known {
        accept(&mut heir)?;
    }
    let mut first = Shape::start(&pair, &alpha()?)?;
    let pid = first.pid();
    let ports = first.accept("accept")?;
    accept(&mut first)?;
    first.leak();
    is(&mut tool, ports, &ALPHA)?;
    drop(first);
    until("the pid to be free", || Ok((!process::runs(pid)).then_some(())))?;
    ensure!(heir.tell(&format!("fork-as {pid}"), "child")? == pid.to_string());
    let sockets = accept(&mut heir)?;
    heir.leak();
    all(&mut tool, &sockets, &BETA)?;
    ensure!(Told::of(&mut tool, sockets[0])?.opener == Some(pid.into()));
    heir.tell("leave", "left").map(drop)
}

#[test]
fn a_reused_pid() -> Result<()> {
    reused_pid(false)
}

#[test]
fn a_reused_pid_of_a_known_program() -> Result<()> {
    reused_pid(true)
}

/// The opener is gone when its stack is looked at, and its sockets are not.
#[test]
fn a_process_that_is_gone() -> Result<()> {
    let pair = NetPair::new()?;
    let mut tool = bench::trace(&pair)?;
    let mut shape = Shape::start(&pair, &alpha()?)?;
    let strangers: Vec<_> = (0..5).map(|_| shape.accept("short")).collect::<Result<_>>()?;
    accept(&mut shape)?;
    let known = [shape.accept("short")?, shape.accept("short")?];
    shape.leak();
    for ports in strangers {
        let told = Told::of(&mut tool, ports)?;
        let has_names = told.expect(&SHORT).is_ok();
        println!("{} {} {:?}", told.status, told.reason, told.functions);
        ensure!(has_names || told.status == "unwind-failed", "{told:?}");
        ensure!(has_names || told.functions.iter().all(|name| name == "?"), "{told:?}");
    }
    all(&mut tool, &known, &SHORT)
}
