//! Several of the tool on one host: each says the same, and none minds when another ends.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcptrace_tests::bpf::{self, Object};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::stacks::build::{Variant, variant};
use tcptrace_tests::stacks::event::Ports;
use tcptrace_tests::stacks::shape::{Shape, Told};
use tcptrace_tests::stream::Stream;
use tcptrace_tests::tool::Running;
use tcptrace_tests::wait::{DEADLINE, until};

const ALPHA: [&str; 2] = ["alpha_inner", "alpha_outer"];
const BETA: [&str; 2] = ["beta_inner", "beta_outer"];

/// Losses that there would be if several had to share what each has room for.
const FULL: [&str; 3] = ["ring_full", "memory_full", "stack_lost"];

/// Sockets of one process along one path before its peers go away.
const SOCKETS: usize = 3;

fn program(name: &str, room: u32) -> Result<PathBuf> {
    variant("images.c", Variant { name, room, kind: "-no-pie" })
}

/// Two programs with the same addresses and other names.
struct Servers<'a> {
    alpha: Shape<'a>,
    beta: Shape<'a>,
}

/// Sockets that each of them has leaked.
struct Leaked {
    alpha: Vec<Ports>,
    beta: Vec<Ports>,
}

impl<'a> Servers<'a> {
    fn start(pair: &'a NetPair) -> Result<Self> {
        let alpha = Shape::start(pair, &program("alpha", 1024)?)?;
        Ok(Self { alpha, beta: Shape::start(pair, &program("beta", 2048)?)? })
    }

    fn leak(&mut self) -> Result<Leaked> {
        let mut leaked = Leaked { alpha: Vec::new(), beta: Vec::new() };
        for _ in 0..SOCKETS {
            leaked.alpha.push(self.alpha.accept("accept")?);
            leaked.beta.push(self.beta.accept("accept")?);
        }
        self.alpha.leak();
        self.beta.leak();
        Ok(leaked)
    }
}

/// What every one of the tool must say of a socket in the same words.
fn verdict(leak: &Value) -> Value {
    let keys = ["cookie", "kind", "cause", "role", "netns", "opener", "holders"];
    let same = keys.iter().map(|key| ((*key).to_owned(), leak[*key].clone()));
    let frames = leak["open_stack"]["frames"].clone();
    Value::Object(same.chain([("frames".to_owned(), frames)]).collect())
}

impl Leaked {
    /// Each socket with its opener's stack.
    fn told_by(&self, tool: &mut Running, servers: &Servers<'_>) -> Result<Vec<Value>> {
        let alpha = self.alpha.iter().map(|ports| (*ports, servers.alpha.pid(), &ALPHA));
        let beta = self.beta.iter().map(|ports| (*ports, servers.beta.pid(), &BETA));
        let all = alpha.chain(beta).map(|(ports, pid, functions)| {
            let told = Told::of(tool, ports)?;
            told.expect(functions)?;
            ensure!(told.opener == Some(pid.into()), "{pid} opened it: {told:?}");
            tool.wait_leak("it", |leak| bench::is_about(leak, ports).then(|| verdict(leak)))
        });
        all.collect()
    }

    /// [`Self::told_by`] each of the tool, in the same words.
    fn told_alike(&self, tools: &mut [&mut Running], servers: &Servers<'_>) -> Result<()> {
        let mut first = None;
        for tool in tools {
            let told = self.told_by(tool, servers)?;
            let first = first.get_or_insert_with(|| told.clone());
            ensure!(*first == told, "one says {first:#?}\nanother {told:#?}");
        }
        Ok(())
    }
}

/// What the kernel keeps for a run; none of it is another's.
fn objects(tools: &[&Running]) -> Result<Vec<Vec<Object>>> {
    let held = tools.iter().map(|tool| bpf::held_by(tool.pid()));
    let held = held.collect::<Result<Vec<_>>>()?;
    let mut seen = BTreeSet::new();
    for object in held.iter().flatten() {
        ensure!(seen.insert(*object), "{object:?} belongs to two");
    }
    ensure!(held.iter().all(|held| !held.is_empty()), "nothing is loaded");
    Ok(held)
}

fn are_gone(objects: &[Object]) -> Result<()> {
    until("the kernel to take everything back", || {
        let exist = objects.iter().map(|object| object.exists()).collect::<Result<Vec<_>>>()?;
        Ok((!exist.contains(&true)).then_some(()))
    })
}

fn are_there(objects: &[Object]) -> Result<()> {
    for object in objects {
        ensure!(object.exists()?, "{object:?} is gone");
    }
    Ok(())
}

/// Ctrl-C, and a proper end that nothing was lost before.
fn ends_well(tool: Running) -> Result<()> {
    let summary = tool.interrupt()?.expect_code(0)?.summary()?;
    ensure!(FULL.iter().all(|reason| summary["lost"][*reason] == 0), "{summary:#}");
    Ok(())
}

fn killed(tool: Running) -> Result<()> {
    tool.signal(Signal::SIGKILL)?;
    let code = tool.finish(DEADLINE)?.code();
    ensure!(code.is_none(), "it ended by itself: {code:?}");
    Ok(())
}

#[test]
fn leaks_beside_leaks() -> Result<()> {
    let pair = NetPair::new()?;
    let mut tools = [bench::trace(&pair)?, bench::trace(&pair)?, bench::trace(&pair)?];
    let mut servers = Servers::start(&pair)?;
    let leaked = servers.leak()?;
    leaked.told_alike(&mut tools.each_mut(), &servers)?;
    let [first, second, mut third] = tools;
    let [of_first, of_second, of_third] = &objects(&[&first, &second, &third])?[..] else {
        bail!("three were asked for")
    };

    ends_well(first)?;
    are_gone(of_first)?;
    are_there(of_second)?;
    let mut second = second;
    servers.leak()?.told_alike(&mut [&mut second, &mut third], &servers)?;

    killed(second)?;
    are_gone(of_second)?;
    are_there(of_third)?;
    let later = servers.leak()?;
    later.told_by(&mut third, &servers)?;

    // Who comes late knows the same of what happens from then on.
    let mut late = bench::trace(&pair)?;
    servers.leak()?.told_alike(&mut [&mut third, &mut late], &servers)?;
    leaked.told_by(&mut third, &servers)?;
    ends_well(late)?;
    ends_well(third)
}

/// The transitions of a socket, as one run tells them.
fn moves(stream: &mut Stream, ports: Ports, last: &str) -> Result<Vec<Value>> {
    let keys = ["cookie", "from", "to", "role", "opener"];
    until(&format!("{ports:?} in {last}"), || {
        let all = stream.so_far()?;
        let own = all.iter().filter(|line| bench::is_about(line, ports));
        let own: Vec<&Value> = own.collect();
        let is_over = own.last().is_some_and(|line| line["to"] == last);
        let told = |line: &&Value| keys.iter().map(|key| line[*key].clone()).collect();
        Ok(is_over.then(|| own.iter().map(told).collect()))
    })
}

fn moved_alike(streams: &mut [&mut Stream], ports: &[Ports], last: &str) -> Result<()> {
    for ports in ports {
        let mut first = None;
        for stream in &mut *streams {
            let told = moves(stream, *ports, last)?;
            let first = first.get_or_insert_with(|| told.clone());
            ensure!(*first == told, "one says {first:?}\nanother {told:?}");
        }
    }
    Ok(())
}

/// They follow other transitions than `leaks` does, and remember sockets by themselves.
#[test]
fn stream_beside_leaks_and_stream() -> Result<()> {
    let pair = NetPair::new()?;
    let mut leaks = bench::trace(&pair)?;
    let (mut first, mut second) = (Stream::of(&pair)?, Stream::of(&pair)?);
    let mut third = Stream::of(&pair)?;
    let mut servers = Servers::start(&pair)?;
    let leaked = servers.leak()?;
    leaked.told_by(&mut leaks, &servers)?;
    let all = &mut [&mut first, &mut second, &mut third];
    moved_alike(all, &leaked.alpha, "CLOSE_WAIT")?;

    first.finish()?;
    let leaked = servers.leak()?;
    leaked.told_by(&mut leaks, &servers)?;
    moved_alike(&mut [&mut second, &mut third], &leaked.beta, "CLOSE_WAIT")?;

    second.running().signal(Signal::SIGKILL)?;
    let later = servers.leak()?;
    later.told_by(&mut leaks, &servers)?;
    drop(servers);
    moved_alike(&mut [&mut third], &[leaked.alpha, later.beta].concat(), "CLOSE")?;
    ends_well(leaks)?;
    third.finish().map(drop)
}
