//! Perf maps of a gigabyte: a report comes as soon as with a small one, in little memory, and with
//! the names that were written last.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tcptrace_tests::footprint::Footprint;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::skip;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::stacks::build::{Variant, variant};
use tcptrace_tests::stacks::shape::{Shape, Told};
use tcptrace_tests::wait::{patience, patiently};

const GIGABYTE: u64 = 1 << 30;
/// As much as is read of a map.
const READ: u64 = 64 << 20;
/// More memory than what is read of the map and its lines may take.
const MORE: u64 = 256 << 20;
/// Longest wait for a report, the sockets' age and a busy machine included.
const SOON: Duration = Duration::from_secs(15);
const PATH: [&str; 4] = ["alpha_inner", "alpha_outer", "jitted_serve", "accept_jit"];

/// The map of a process, removed in the end.
struct Map(PathBuf);

impl Map {
    /// A file of this size without blocks, which begins with lines.
    fn sparse(pid: u32, size: u64) -> Result<Self> {
        let map = Self(format!("/tmp/perf-{pid}.map").into());
        fs::write(&map.0, "1000 100 first\n2000 100 second\n")?;
        File::options().write(true).open(&map.0)?.set_len(size)?;
        // What is appended begins a line.
        writeln!(File::options().append(true).open(&map.0)?)?;
        Ok(map)
    }

    /// A file of lines with at least this size.
    fn full(pid: u32, size: u64) -> Result<Self> {
        let map = Self(format!("/tmp/perf-{pid}.map").into());
        let (mut to, mut written, mut at) = (BufWriter::new(File::create(&map.0)?), 0, 0x1000);
        while written <= size {
            let line = format!("{at:x} 10 function_{at}_{}\n", "x".repeat(32));
            to.write_all(line.as_bytes())?;
            written += line.len() as u64;
            at += 0x20;
        }
        to.flush()?;
        Ok(map)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // Where it was not made, there is nothing to remove.
        let _ = fs::remove_file(&self.0);
    }
}

/// A process with such a map, to which it appends what it makes.
fn with(map: impl FnOnce(u32) -> Result<Map>) -> Result<()> {
    let pair = NetPair::new()?;
    let program = variant("images.c", Variant { name: "alpha", room: 1024, kind: "-no-pie" })?;
    let mut tool = bench::trace(&pair)?;
    let mut shape = Shape::start(&pair, &program)?;
    let known = shape.accept("accept")?;
    shape.leak();
    Told::of(&mut tool, known)?.expect(&PATH[..2])?;
    let _map = map(shape.pid())?;
    let before = Footprint::of(tool.pid())?.resident;
    let started = Instant::now();
    let ports = [shape.accept("jit")?, shape.accept("jit")?];
    shape.leak();
    for ports in ports {
        let told = Told::of(&mut tool, ports)?;
        println!("{told:?}");
        told.expect(&PATH)?;
    }
    let (took, after) = (started.elapsed(), Footprint::of(tool.pid())?.resident);
    println!("{took:?}, {} MiB more", after.saturating_sub(before) >> 20);
    ensure!(took < patiently(SOON), "{took:?}");
    ensure!(after < before + MORE, "{before} bytes before, {after} after");
    tool.interrupt()?.expect_code(0).map(drop)
}

#[test]
fn a_gigabyte_of_holes() -> Result<()> {
    with(|pid| Map::sparse(pid, GIGABYTE))
}

/// As many lines as are read, and some more.
#[test]
fn more_lines_than_are_read() -> Result<()> {
    if patience() > 1 {
        return skip::because(
            "an emulated machine reads no 64 MiB in the second that a file is given",
        );
    }
    with(|pid| Map::full(pid, READ + (1 << 20)))
}
