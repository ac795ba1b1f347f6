//! Programs, perf maps and scripts on a file system that has stopped answering: whoever opens or reads
//! a file there waits for ever. The tool does not, and what it says of other processes is whole.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tcptrace_tests::frozen::{self, Frozen};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::skip;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::stacks::build::{Variant, variant};
use tcptrace_tests::stacks::event::Ports;
use tcptrace_tests::stacks::peers::Peers;
use tcptrace_tests::stacks::shape::{Shape, Told};
use tcptrace_tests::tool::Running;
use tcptrace_tests::wait::until;

const WHOLE: [&str; 2] = ["alpha_inner", "alpha_outer"];

/// Connects, and never closes.
const SCRIPT: &str = "
import socket, sys
kept = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print('connected', flush=True)
sys.stdin.read()
";

fn alpha() -> Result<PathBuf> {
    variant("images.c", Variant { name: "alpha", room: 1024, kind: "-no-pie" })
}

/// A process of the same program, whose file can be read.
fn sound(pair: &NetPair) -> Result<Shape<'_>> {
    Shape::start(pair, &alpha()?)
}

/// What is told of the two when both leak.
fn told(tool: &mut Running, mut leaking: [(&mut Shape<'_>, Ports); 2]) -> Result<[Told; 2]> {
    leaking.iter_mut().for_each(|(shape, _)| shape.leak());
    let [first, second] = leaking.map(|(_, ports)| Told::of(tool, ports));
    let both = [first?, second?];
    println!("{both:#?}");
    Ok(both)
}

#[test]
fn a_program_on_it() -> Result<()> {
    if !frozen::is_possible() {
        return skip::because("this kernel has no FUSE");
    }
    let pair = NetPair::new()?;
    let frozen = Frozen::serving("frozen-program", vec![("hung".to_owned(), fs::read(alpha()?)?)])?;
    let mut hung = Shape::start(&pair, &frozen.dir().join("hung"))?;
    // Its code is in memory from now on.
    hung.accept("accept")?;
    frozen.freeze();
    let mut tool = bench::trace(&pair)?;
    let mut sound = sound(&pair)?;
    let (in_hung, in_sound) = (hung.accept("accept")?, sound.accept("accept")?);
    let [cut, whole] = told(&mut tool, [(&mut hung, in_hung), (&mut sound, in_sound)])?;
    ensure!(cut.status == "truncated" && cut.reason.contains("hung"), "{cut:?}");
    whole.expect(&WHOLE)?;
    frozen.thaw();
    // Those who wait are served one after the other.
    until("a whole stack", || {
        let ports = hung.accept("accept")?;
        hung.leak();
        let told = Told::of(&mut tool, ports)?;
        Ok((told.status == "ok").then(|| told.expect(&WHOLE)))
    })??;
    tool.interrupt()?.expect_code(0).map(drop)
}

/// Its names are missing, and nothing else.
#[test]
fn a_perf_map_on_it() -> Result<()> {
    if !frozen::is_possible() {
        return skip::because("this kernel has no FUSE");
    }
    let pair = NetPair::new()?;
    let frozen = Frozen::serving("frozen-map", Vec::new())?;
    let mut command = Command::new("unshare");
    command.arg("--mount").arg(alpha()?);
    let mut hung = Shape::of(&pair, command)?;
    let mut tool = bench::trace(&pair)?;
    let mut sound = sound(&pair)?;
    let of_hung = hung.pid().to_string();
    let jit = hung.accept_after("jit", || {
        let mut mount = Command::new("nsenter");
        mount.args(["--mount", "--target", &of_hung, "mount", "--bind"]);
        ensure!(mount.arg(frozen.dir()).arg("/tmp").status()?.success());
        frozen.freeze();
        Ok(())
    })?;
    let in_sound = sound.accept("accept")?;
    let [unnamed, whole] = told(&mut tool, [(&mut hung, jit), (&mut sound, in_sound)])?;
    let frames = unnamed.stack["frames"].as_array().context("no frames")?;
    ensure!(frames.iter().any(|frame| frame["language"] == "jit"), "{unnamed:?}");
    whole.expect(&WHOLE)?;
    frozen.thaw();
    tool.interrupt()?.expect_code(0).map(drop)
}

/// Where it works cannot be read, so there is no full path of its script.
#[test]
fn a_script_on_it() -> Result<()> {
    if !frozen::is_possible() {
        return skip::because("this kernel has no FUSE");
    }
    let pair = NetPair::new()?;
    let files = vec![("hung.py".to_owned(), SCRIPT.as_bytes().to_vec())];
    let frozen = Frozen::serving("frozen-script", files)?;
    let mut peers = Peers::new(&pair)?;
    let mut tool = bench::trace(&pair)?;
    let (address, port) = peers.address()?;
    let mut command = Command::new("python3");
    command.args(["hung.py", &address.to_string(), &port.to_string()]).current_dir(frozen.dir());
    let script = Scenario::start(&pair.a, command)?;
    let ports = peers.accept()?;
    script.fact("connected")?;
    frozen.freeze();
    let mut sound = sound(&pair)?;
    let whole = sound.accept("accept")?;
    sound.leak();
    peers.close_all();
    Told::of(&mut tool, whole)?.expect(&WHOLE)?;
    let find = |leak: &Value| bench::is_about(leak, ports).then(|| leak.clone());
    let leak = tool.wait_leak("the script's", find)?;
    ensure!(leak["holders"][0]["pid"] == script.pid(), "{leak:#}");
    ensure!(leak["holders"][0]["label"].is_null(), "{leak:#}");
    frozen.thaw();
    let full = frozen.dir().join("hung.py").display().to_string();
    let find = |leak: &Value| {
        let is_named = leak["holders"][0]["label"] == *full;
        (bench::is_about(leak, ports) && is_named).then_some(())
    };
    tool.wait_leak("the script's path", find)?;
    tool.interrupt()?.expect_code(0).map(drop)
}
