//! Programs that run and whose unwind tables are damaged: a stack of theirs may be short, and must
//! not be wrong.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::stacks::build::{Variant, variant};
use tcptrace_tests::stacks::event::Ports;
use tcptrace_tests::stacks::shape::{Shape, Told};
use tcptrace_tests::stacks::tables::Scratch;
use tcptrace_tests::tool::Running;

const ALPHA: [&str; 2] = ["alpha_inner", "alpha_outer"];
const TABLE: &str = ".eh_frame";
const INDEX: &str = ".eh_frame_hdr";
/// Bytes of the index before its rows.
const INDEX_HEADER: usize = 12;

fn alpha() -> Result<PathBuf> {
    variant("images.c", Variant { name: "alpha", room: 1024, kind: "-no-pie" })
}

/// Numbers that are the same on each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A section with some bytes changed, each to any other.
fn scratched(whole: &[u8], from: usize, every: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let mut bytes = whole.to_vec();
    for byte in bytes.iter_mut().skip(from) {
        if numbers.below(every) == 0 {
            *byte = byte.wrapping_add(1 + numbers.below(255) as u8);
        }
    }
    bytes
}

/// The damages of a table, by name.
fn damages(table: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![
        ("zeros".to_owned(), vec![0; table.len()]),
        ("ones".to_owned(), vec![0xff; table.len()]),
        ("ends-at-once".to_owned(), [&[0; 4], &table[4..]].concat()),
        ("endless-entry".to_owned(), [&[0xf0, 0xff, 0xff, 0xff], &table[4..]].concat()),
        ("shifted".to_owned(), [&table[1..], &[0]].concat()),
    ];
    for (every, seeds) in [(1, 2), (4, 6), (16, 10), (64, 6)] {
        for seed in 1..=seeds {
            let name = format!("one-of-{every}-{seed}");
            all.push((name, scratched(table, 0, every, seed)));
        }
    }
    all
}

/// Two accepted sockets of a program: one before the tool knows it, and one after.
fn accept<'a>(pair: &'a NetPair, program: &Path) -> Result<(Shape<'a>, [Ports; 2])> {
    let mut shape = Shape::start(pair, program)?;
    let sockets = [shape.accept("accept")?, shape.accept("accept")?];
    Ok((shape, sockets))
}

/// A damaged program, what was done to it, and its two sockets.
struct Patient<'a> {
    name: String,
    shape: Shape<'a>,
    sockets: [Ports; 2],
}

/// What the tool says of damaged programs, and of a sound one that runs beside them.
struct Ward<'a> {
    tool: Running,
    sound: Shape<'a>,
    pair: &'a NetPair,
    /// The sound program's functions, innermost first, which the damaged ones have as well.
    truth: Vec<String>,
    patients: Vec<Patient<'a>>,
}

impl<'a> Ward<'a> {
    fn new(pair: &'a NetPair) -> Result<Self> {
        let mut tool = bench::trace(pair)?;
        let (mut sound, sockets) = accept(pair, &alpha()?)?;
        sound.leak();
        let told = Told::of(&mut tool, sockets[1])?;
        told.expect(&ALPHA)?;
        Ok(Self { tool, sound, pair, truth: told.functions, patients: Vec::new() })
    }

    /// Has a damaged program accept.
    fn admit(&mut self, name: String, program: &Path) -> Result<()> {
        let (shape, sockets) = accept(self.pair, program).with_context(|| name.clone())?;
        self.patients.push(Patient { name, shape, sockets });
        Ok(())
    }

    /// Holds all stacks against the truth. The sound program's are as they were.
    fn judge(mut self) -> Result<()> {
        let (mut complete, mut cut, mut wrong) = (0, 0, Vec::new());
        self.patients.iter_mut().for_each(|patient| patient.shape.leak());
        for patient in &self.patients {
            for ports in patient.sockets {
                let told = Told::of(&mut self.tool, ports).context(patient.name.clone())?;
                let counter = if told.status == "ok" { &mut complete } else { &mut cut };
                *counter += 1;
                let fault = judge(&told, &self.truth).err();
                wrong.extend(fault.map(|fault| format!("{}: {fault}: {told:?}", patient.name)));
            }
        }
        println!("{complete} complete, {cut} cut");
        ensure!(wrong.is_empty(), "{}\nin truth {:?}", wrong.join("\n"), self.truth);
        ensure!(cut > 0, "no damage was felt");
        let ports = self.sound.accept("accept")?;
        self.sound.leak();
        Told::of(&mut self.tool, ports)?.expect(&ALPHA)?;
        self.tool.interrupt()?.expect_code(0).map(drop)
    }
}

/// A complete stack is the true one, any other a part of it from its inner end on.
fn judge(told: &Told, truth: &[String]) -> Result<()> {
    if told.status == "ok" {
        ensure!(told.functions == truth, "not complete");
        return Ok(());
    }
    ensure!(matches!(&*told.status, "truncated" | "unwind-failed"), "another status");
    ensure!(!told.reason.is_empty(), "no reason");
    ensure!(truth.starts_with(&told.functions), "a wrong frame");
    Ok(())
}

/// Damages one section in every way.
fn damaged(test: &str, section: &str, from: usize) -> Result<()> {
    let (pair, program) = (NetPair::new()?, alpha()?);
    let scratch = Scratch::new(&format!("damaged-{test}"))?;
    let whole = scratch.section(&program, section)?;
    let mut ward = Ward::new(&pair)?;
    for (name, bytes) in damages(&whole[from..]) {
        let bytes = [&whole[..from], &bytes].concat();
        let program = scratch.with(&program, section, &bytes, &name)?;
        ward.admit(name, &program)?;
    }
    ward.judge()
}

#[test]
fn the_table() -> Result<()> {
    damaged("table", TABLE, 0)
}

#[test]
fn the_index() -> Result<()> {
    damaged("index", INDEX, 0)
}

/// The index says where the table is, and its rows lead to wrong places in it.
#[test]
fn the_rows_of_the_index() -> Result<()> {
    damaged("rows", INDEX, INDEX_HEADER)
}
