//! What can be typed after `cargo xtask`.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

/// The chores of the tcptrace project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub struct Cli {
    /// The chore.
    #[command(subcommand)]
    pub command: Command,
}

/// One chore.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this machine able to build and test tcptrace
    ///
    /// Finds a compiler for the eBPF half (rustup's nightly if it has rust-src, else Debian's
    /// rustc-web) and a bpf-linker that fits it, and installs what is missing, with apt-get as
    /// root or through sudo. Says each step; says nothing and changes nothing where all is there.
    Setup,

    /// Set up, then build target/release/tcptrace
    Build {
        /// Build target/debug/tcptrace instead
        #[arg(long)]
        debug: bool,
    },

    /// Set up, build, then run tcptrace as root, through sudo where needed
    ///
    /// Example: cargo xtask run -- leaks --min-age 30s
    Run {
        /// What tcptrace gets
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<OsString>,
    },

    /// Set up, build, then start small servers and clients that leak and report on them
    ///
    /// They live in network namespaces of their own and are gone afterwards.
    Demo,

    /// Set up, build, then measure what tcptrace costs on this machine, beside its peers
    ///
    /// As root, through sudo where needed; leaves every setting as it was. `cargo xtask bench --
    /// --help` lists what can be measured. Peers that are not installed are left out (Debian:
    /// libbpf-tools, bpftrace).
    Bench {
        /// What the benchmark gets; nothing: all that runs beside many short connections
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<OsString>,
    },

    /// Set up, then run every check and test; stop at the first failure
    ///
    /// In this order: fmt, clippy (user side, then eBPF side), docs, layers, licences and
    /// sources of crates, unit tests, fuzzing for some seconds, end-to-end tests, kernels. The
    /// end-to-end tests run as root on the real kernel, through sudo where needed; then some of
    /// them on the oldest and the newest kernel of `cargo xtask vm`.
    Test {
        /// Run only the tests whose name contains this, and none of the checks before them
        filter: Option<String>,
    },

    /// Set up, then run the checks and the unit tests of `cargo xtask test`
    ///
    /// Takes neither root, once the set-up is done, nor a kernel that runs eBPF.
    Check,

    /// Feed made-up bytes to everything that reads bytes from strangers
    ///
    /// Each target starts from the inputs in tests/fuzz/corpus, and stops with what it found, if
    /// anything. New inputs that lead to new code are used the next time (target/fuzz).
    Fuzz {
        /// The target; all by default
        target: Option<String>,

        /// Seconds for each target
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        time: u64,
    },

    /// Check the licences and the sources of all crates that are built in
    Deny,

    /// Run the end-to-end tests on other kernels, each in an emulated machine
    ///
    /// Fetches Debian's kernels 5.10, 6.1, 6.12 and the newest (apt-get checks them; they stay in
    /// target/vm and are not installed), boots each under qemu, runs the tests there with a static
    /// tcptrace, and prints a matrix: passed, skipped with the reason, failed. 5.10 must refuse
    /// clearly. Without a filter each other kernel is booted with lockdown=integrity and
    /// lockdown=confidentiality too. A run on all kernels rewrites the table in docs/kernels.md.
    Vm {
        /// Only this kernel (5.10, 6.1, 6.12, newest); may be given more than once
        #[arg(long = "kernel", value_name = "NAME")]
        kernels: Vec<String>,
        /// Run what `cargo xtask test` runs of it
        #[arg(long, conflicts_with_all = ["kernels", "filter"])]
        bounded: bool,
        /// Run only the tests of this file of tests/tests, or those whose name contains this
        filter: Option<String>,
    },

    /// Check that the modules of tcptrace import one another only in the allowed direction
    Layers,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_two_dashes_goes_to_tcptrace() {
        let cli = Cli::try_parse_from(["xtask", "run", "--", "leaks", "--min-age", "30s"]).unwrap();
        let Command::Run { args } = cli.command else { panic!("not run: {cli:?}") };
        assert_eq!(args, ["leaks", "--min-age", "30s"]);
    }
}
