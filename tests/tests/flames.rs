//! Folded stacks and flame graphs of a real leak.

use anyhow::{Context, Result, ensure};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::stacks::build::{Variant, variant};
use tcptrace_tests::stacks::shape::{Shape, Told};
use tcptrace_tests::tool::{Running, command};

/// Three sockets of one path and one of another, in a format.
fn leak(format: &str) -> Result<String> {
    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    let options = ["leaks", "-o", format, "--min-age", "1s", "--interval", "1s", "--netns", &place];
    let drawing = Running::start(command(&options)?)?;
    drawing.wait_tracing()?;
    let mut tool = bench::trace(&pair)?;
    let of = Variant { name: "alpha", room: 1024, kind: "-no-pie" };
    let program = variant("images.c", of)?;
    let mut shape = Shape::start(&pair, &program)?;
    let mut sockets = Vec::new();
    for how in ["accept", "accept", "accept", "short"] {
        sockets.push(shape.accept(how)?);
    }
    shape.leak();
    for ports in sockets {
        let told = Told::of(&mut tool, ports)?;
        ensure!(told.status == "ok", "{told:?}");
    }
    let finished = drawing.interrupt()?.expect_code(0)?;
    let lines: Vec<_> = finished.stdout.iter().map(|line| line.text()).collect();
    Ok(lines.join("\n"))
}

#[test]
fn folded() -> Result<()> {
    let text = leak("folded")?;
    println!("{text}");
    let mut counts = Vec::new();
    for line in text.lines() {
        let (stack, count) = line.rsplit_once(' ').context("no count")?;
        ensure!(stack.contains("_start;") && stack.contains("main;"), "{line}");
        let end = ["alpha_outer", "alpha_inner", "__libc_accept"].join(";");
        ensure!(stack.ends_with(&end), "{line}");
        counts.push(count.parse::<u64>()?);
    }
    counts.sort_unstable();
    ensure!(counts == [1, 3], "{text}");
    Ok(())
}

#[test]
fn svg() -> Result<()> {
    let text = leak("svg")?;
    ensure!(text.contains("<svg") && text.trim_end().ends_with("</svg>"), "{text}");
    for function in ["alpha_outer", "alpha_inner", "__libc_accept", "main"] {
        ensure!(text.contains(&format!("<title>{function} ")), "no {function} in {text}");
    }
    if let Some(path) = std::env::var_os("TCPTRACE_TEST_SVG") {
        std::fs::write(path, text)?;
    }
    Ok(())
}
