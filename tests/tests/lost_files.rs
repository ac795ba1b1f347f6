//! A library whose file is cut short while a process is in it: nothing of it can be read any more,
//! neither by the tool nor, once its pages are gone, by the process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::stacks::build::{Variant, variant};
use tcptrace_tests::stacks::event::Ports;
use tcptrace_tests::stacks::shape::{Shape, Told};
use tcptrace_tests::stacks::tables::Scratch;

const NAME: &str = "lost.so";
/// Up to where the library comes.
const INNER: [&str; 4] = ["__libc_accept", "alpha_inner", "alpha_outer", "accept_and_stay"];

/// A process with a library of its own.
struct Owner<'a> {
    shape: Shape<'a>,
    library: PathBuf,
}

impl<'a> Owner<'a> {
    fn start(pair: &'a NetPair, scratch: &Scratch) -> Result<Self> {
        let program = variant("images.c", Variant { name: "alpha", room: 1024, kind: "-no-pie" })?;
        let library = scratch.path(NAME);
        let sound = variant("plugin.c", Variant { name: "one", room: 1024, kind: "-shared" })?;
        fs::copy(sound, &library)?;
        let mut shape = Shape::start(pair, &program)?;
        shape.tell(&format!("load {}", library.display()), "loaded")?;
        Ok(Self { shape, library })
    }

    /// Takes bytes away from the end of the library, and accepts in it.
    fn cut_and_accept(&mut self, left: u64) -> Result<Ports> {
        self.shape.accept_after("plugin-and-stay", || {
            Ok(File::options().write(true).open(&self.library)?.set_len(left)?)
        })
    }
}

/// The frame in the library is there, has no name and is no code made at run time, and the reason
/// names the file.
fn says_so(told: &Told, library: &Path) -> Result<()> {
    ensure!(told.status == "truncated", "{told:?}");
    ensure!(told.reason.contains(NAME) && told.reason.contains("could not be read"), "{told:?}");
    let (last, inner) = told.functions.split_last().context("no frames")?;
    ensure!(inner == INNER && last == "?", "{told:?}");
    let frames = told.stack["frames"].as_array().context("no frames")?;
    let frame = frames.last().context("no frames")?;
    ensure!(frame["language"] == "native", "{frame}");
    ensure!(frame["module"] == *library.display().to_string(), "{frame}");
    Ok(())
}

/// Cut to this length before the tool has seen anything of it.
fn unknown(test: &str, left: u64) -> Result<()> {
    let (pair, scratch) = (NetPair::new()?, Scratch::new(&format!("lost-{test}"))?);
    let mut tool = bench::trace(&pair)?;
    let mut owner = Owner::start(&pair, &scratch)?;
    let ports = owner.cut_and_accept(left)?;
    owner.shape.leak();
    let told = Told::of(&mut tool, ports)?;
    println!("{told:?}");
    says_so(&told, &owner.library)?;
    tool.interrupt()?.expect_code(0).map(drop)
}

#[test]
fn all_of_it() -> Result<()> {
    unknown("all", 0)
}

/// What is left begins like a program.
#[test]
fn all_but_the_beginning() -> Result<()> {
    unknown("most", 40)
}

/// The rules for it are known from before, so that the stack is walked to its end; its names are
/// asked for anew, and the tool does not die of the lost pages as the process would.
#[test]
fn after_it_was_read() -> Result<()> {
    let (pair, scratch) = (NetPair::new()?, Scratch::new("lost-later")?);
    let mut tool = bench::trace(&pair)?;
    let mut owner = Owner::start(&pair, &scratch)?;
    let before = owner.shape.accept("plugin")?;
    owner.shape.leak();
    let path = ["alpha_inner", "alpha_outer", "one_plugin", "through"];
    Told::of(&mut tool, before)?.expect(&path)?;
    let ports = owner.cut_and_accept(0)?;
    owner.shape.leak();
    let told = Told::of(&mut tool, ports)?;
    println!("{told:?}");
    if told.status == "ok" {
        let ends = told.functions.iter().position(|name| name == "main");
        ensure!(told.functions.starts_with(&INNER.map(str::to_owned)), "{told:?}");
        ensure!(ends == Some(INNER.len() + 2), "{told:?}");
    } else {
        says_so(&told, &owner.library)?;
    }
    tool.interrupt()?.expect_code(0).map(drop)
}
