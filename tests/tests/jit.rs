//! Code made at run time: names where there is a perf map, and a word where the stack was cut.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::skip;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::stacks::build::{self, source};
use tcptrace_tests::stacks::shape::{Shape, Told};
use tcptrace_tests::tool::Running;

const INNER: &str = "java.net.Socket Paths.inner(java.net.ServerSocket, int)";
const OUTER: &str = "java.net.Socket Paths.outer(java.net.ServerSocket, int)";
const REMEDY: &str = "-XX:+PreserveFramePointer";

/// Whether a program is there; where it is not, the test is skipped.
fn has(program: &str) -> Result<bool> {
    let found = Command::new(program).arg("-version").output().is_ok();
    if !found {
        skip::because(&format!("no {program} in PATH"))?;
    }
    Ok(found)
}

/// A Java virtual machine, and the files that it leaves.
struct Java<'a> {
    shape: Shape<'a>,
    classes: PathBuf,
}

impl<'a> Java<'a> {
    fn start(pair: &'a NetPair, options: &[&str]) -> Result<Self> {
        let classes = build::java()?;
        let mut command = Command::new("java");
        command.args(["-XX:CompileCommand=quiet", "-XX:CompileCommand=dontinline,Paths::*"]);
        command.args(options).arg("-cp").arg(&classes).arg("Paths");
        Ok(Self { shape: Shape::of(pair, command)?, classes })
    }

    fn map(&self) -> PathBuf {
        format!("/tmp/perf-{}.map", self.shape.pid()).into()
    }

    /// Has it write its perf map.
    fn write_map(&self) -> Result<()> {
        let pid = self.shape.pid().to_string();
        let done = Command::new("jcmd").args([&pid, "Compiler.perfmap"]).output()?;
        ensure!(self.map().exists(), "jcmd: {}", String::from_utf8_lossy(&done.stdout));
        Ok(())
    }

    fn accept(&mut self, tool: &mut Running) -> Result<Told> {
        let ports = self.shape.accept("accept")?;
        self.shape.leak();
        Told::of(tool, ports)
    }
}

impl Drop for Java<'_> {
    fn drop(&mut self) {
        // Neither need be there.
        let _ = std::fs::remove_file(self.map());
        let _ = std::fs::remove_dir_all(&self.classes);
    }
}

/// Java with these options, three times after its methods were compiled.
fn compiled(options: &[&str]) -> Result<Vec<Told>> {
    let pair = NetPair::new()?;
    let mut tool = bench::trace(&pair)?;
    let mut java = Java::start(&pair, options)?;
    java.shape.tell("heat", "hot")?;
    java.write_map()?;
    (0..3).map(|_| java.accept(&mut tool)).collect()
}

/// The program's own path is `inner`, `outer`, `main`, below which there is the C of the machine.
#[test]
fn java_with_frame_pointers() -> Result<()> {
    if !has("javac")? {
        return Ok(());
    }
    for told in compiled(&["-XX:TieredStopAtLevel=1", "-XX:+PreserveFramePointer"])? {
        println!("{told:?}");
        ensure!(told.status == "ok", "{told:?}");
        let at = |name: &str| told.functions.iter().position(|function| function == name);
        let (inner, outer) = (at(INNER), at(OUTER));
        ensure!(inner.is_some() && outer == inner.map(|at| at + 1), "{told:?}");
        let last = told.functions.last().map(String::as_str);
        ensure!(matches!(last, Some("clone" | "clone3" | "__clone3")), "{told:?}");
    }
    Ok(())
}

/// What is told is a part of the path, from its inner end on, and that it is a part.
#[test]
fn java_without_frame_pointers() -> Result<()> {
    if !has("javac")? {
        return Ok(());
    }
    for options in [&["-XX:TieredStopAtLevel=1"][..], &[]] {
        for told in compiled(options)? {
            println!("{told:?}");
            let last = told.functions.last().map(String::as_str);
            // Compiled code that the first call showed to be wrong is interpreted again.
            let is_all = told.status == "ok"
                && told.functions.iter().filter(|name| *name == "Interpreter").count() >= 5
                && !told.functions.iter().any(|name| name == INNER);
            // The map is a snapshot: what was compiled again since has no name, and is no wrong one.
            let is_cut = told.status == "truncated"
                && told.reason.contains(REMEDY)
                && matches!(last, Some(INNER | OUTER | "?"));
            ensure!(is_cut || is_all, "{told:?}");
        }
    }
    Ok(())
}

/// All frames of the interpreter are there and have no names of methods.
#[test]
fn java_interpreted() -> Result<()> {
    if !has("javac")? {
        return Ok(());
    }
    let pair = NetPair::new()?;
    let mut tool = bench::trace(&pair)?;
    let mut java = Java::start(&pair, &["-Xint"])?;
    java.write_map()?;
    for told in [java.accept(&mut tool)?, java.accept(&mut tool)?] {
        println!("{told:?}");
        ensure!(told.status == "ok", "{told:?}");
        let interpreted = told.functions.iter().filter(|name| *name == "Interpreter").count();
        // implAccept and its like above, then inner, outer and main.
        ensure!(interpreted >= 5, "{told:?}");
    }
    Ok(())
}

/// Connects from JavaScript.
fn node(options: &[&str]) -> Result<(Told, u32)> {
    let pair = NetPair::new()?;
    let mut tool = bench::trace(&pair)?;
    let mut command = Command::new("node");
    // With a perf map V8 would also write a log into its working directory.
    command.args(["--no-logfile-per-isolate", "--logfile=/dev/null"]);
    command.args(options).arg(source("paths.js"));
    let mut shape = Shape::of(&pair, command)?;
    shape.connect(0)?;
    let ports = shape.connect(0)?;
    shape.leak();
    let told = Told::of(&mut tool, ports)?;
    let pid = shape.pid();
    // It is not there without the options.
    let _ = std::fs::remove_file(format!("/tmp/perf-{pid}.map"));
    println!("{told:?}");
    Ok((told, pid))
}

#[test]
fn node_with_a_perf_map() -> Result<()> {
    let (told, _) = node(&["--perf-basic-prof", "--interpreted-frames-native-stack"])?;
    ensure!(told.status == "ok", "{told:?}");
    let frames = told.stack["frames"].as_array().into_iter().flatten();
    let made: Vec<_> = frames.filter(|frame| frame["language"] == "jit").collect();
    let first = made.first().context("no JavaScript")?;
    ensure!(first["function"] == "internalConnect" && first["file"] == "node:net", "{first}");
    // Node connects after the functions that asked it to have returned.
    ensure!(made.iter().any(|frame| frame["function"] == "processTicksAndRejections"), "{made:?}");
    Ok(())
}

#[test]
fn node_without_a_perf_map() -> Result<()> {
    let (told, _) = node(&[])?;
    ensure!(told.status == "ok" || !told.reason.is_empty(), "{told:?}");
    told.expect_none_of(&["internalConnect", "processTicksAndRejections"])
}
