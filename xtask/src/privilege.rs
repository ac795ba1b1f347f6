//! Who we are, and how to do what only root may.

use std::ffi::OsStr;
use std::fs;
use std::io::{IsTerminal as _, stdin};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::step;
use crate::toolchain::lookup;

/// How to do what only root may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// We are root.
    Root,
    /// sudo works here; it may ask for a password.
    Sudo,
    /// There is no way.
    None,
}

/// Capabilities that let tcptrace run without being root: CAP_PERFMON and CAP_BPF.
const ENOUGH_TO_TRACE: u64 = (1 << 38) | (1 << 39);

impl Privilege {
    /// Looks at this process and at sudo.
    pub fn find() -> Result<Self> {
        if Identity::read()?.is_root() {
            return Ok(Self::Root);
        }
        if lookup::on_path("sudo").is_none() {
            return Ok(Self::None);
        }
        // Without a terminal nobody can type a password, so sudo must do without.
        let usable = can_ask() || step::succeeds(Command::new("sudo").args(["-n", "true"]));
        Ok(if usable { Self::Sudo } else { Self::None })
    }

    /// A command that runs `program` as root with these variables set; `None` where there is no
    /// way.
    pub fn command(self, program: impl AsRef<OsStr>, envs: &[(&str, &OsStr)]) -> Option<Command> {
        match self {
            Self::Root => {
                let mut command = Command::new(program);
                command.envs(envs.iter().copied());
                Some(command)
            }
            // sudo clears the environment, so `env` sets it again.
            Self::Sudo => {
                let mut command = Command::new("sudo");
                if !can_ask() {
                    command.arg("-n");
                }
                command.args(["--", "env"]);
                for (name, value) in envs {
                    let mut pair = OsStr::new(name).to_owned();
                    pair.push("=");
                    pair.push(value);
                    command.arg(pair);
                }
                command.arg(program);
                Some(command)
            }
            Self::None => None,
        }
    }
}

fn can_ask() -> bool {
    stdin().is_terminal()
}

/// Whether a program that we start can trace, though we are not root.
pub fn children_may_trace() -> Result<bool> {
    Ok(Identity::read()?.may_trace())
}

/// What the kernel says of this process.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    effective_uid: u32,
    /// The capabilities that survive the start of another program.
    ambient: u64,
}

impl Identity {
    fn read() -> Result<Self> {
        let file = "/proc/self/status";
        let status = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        Self::parse(&status).with_context(|| format!("{file} has no Uid or no CapAmb"))
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            effective_uid: field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?,
            ambient: u64::from_str_radix(field("CapAmb:")?.trim(), 16).ok()?,
        })
    }

    fn is_root(&self) -> bool {
        self.effective_uid == 0
    }

    fn may_trace(&self) -> bool {
        self.ambient & ENOUGH_TO_TRACE == ENOUGH_TO_TRACE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "Name:\tx\nUid:\t1000\t1001\t1000\t1000\nCapAmb:\t000000c000000000\n";

    #[test]
    fn reads_the_effective_uid_and_the_ambient_set() {
        let identity = Identity::parse(USER).unwrap();
        assert_eq!(identity, Identity { effective_uid: 1001, ambient: 0xc0_0000_0000 });
        assert!(!identity.is_root());
        assert!(identity.may_trace());
    }

    #[test]
    fn one_capability_is_not_enough() {
        let identity = Identity { effective_uid: 1000, ambient: 1 << 39 };
        assert!(!identity.may_trace());
    }

    #[test]
    fn a_status_without_the_fields_is_an_error() {
        assert_eq!(Identity::parse("Name:\tx\n"), None);
    }

    #[test]
    fn root_gets_the_variables_directly() {
        let command = Privilege::Root.command("true", &[("A", OsStr::new("b c"))]).unwrap();
        assert_eq!(step::show(&command), "A='b c' true");
    }

    #[test]
    fn sudo_gets_the_variables_through_env() {
        let command = Privilege::Sudo.command("true", &[("A", OsStr::new("b c"))]).unwrap();
        let shown = step::show(&command);
        assert!(shown.starts_with("sudo ") && shown.ends_with("-- env 'A=b c' true"), "{shown}");
    }

    #[test]
    fn without_privilege_there_is_no_command() {
        assert!(Privilege::None.command("true", &[]).is_none());
    }
}
