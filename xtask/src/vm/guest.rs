//! One virtual machine: boots a kernel under software emulation, runs jobs in it, powers off.
//!
//! The guest sees this machine's files through 9p, under a layer in its memory: the same programs
//! and the same tests run there, and nothing that they write is left.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::cpio::Archive;
use super::emulator::Emulator;
use super::kernel::Unpacked;

/// Emulated, so that it runs where virtualisation of the processor does not.
const MACHINE: [&str; 16] = [
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "max",
    "-smp",
    "2",
    "-m",
    "3G",
    "-display",
    "none",
    "-monitor",
    "none",
    "-nic",
    "none",
    "-no-reboot",
    "-nodefaults",
];

/// To start and to power off, on a busy machine.
const OVERHEAD: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(200);

/// Something that a guest runs.
#[derive(Clone, Debug)]
pub struct Job {
    /// Also what its files are called.
    pub name: String,
    /// After this long it is killed.
    pub limit: Duration,
    /// For the shell; one line without tabs.
    pub command: String,
}

/// What became of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status; `None` where the guest ended before it.
    pub status: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it printed to standard error, or what the guest last said where there is no status.
    pub err: String,
}

/// A machine that is about to boot.
pub struct Guest<'a> {
    /// What it runs in.
    pub emulator: &'a Emulator,
    /// What it boots.
    pub kernel: &'a Unpacked,
    /// For the kernel's command line.
    pub parameters: &'a str,
    /// A directory for its files, on this machine.
    pub home: PathBuf,
    /// Variables of its jobs.
    pub environment: Vec<(&'static str, String)>,
}

impl Guest<'_> {
    /// Boots it and runs the jobs; says of each how it ended as soon as it has.
    pub fn run(&self, jobs: &[Job], mut ended: impl FnMut(&Job, &Answer)) -> Result<Vec<Answer>> {
        self.prepare(jobs)?;
        let mut machine = Running(self.command()?.spawn().context("cannot start qemu")?);
        let limit: Duration = jobs.iter().map(|job| job.limit).sum();
        let end = Instant::now() + limit + OVERHEAD;
        let mut answers = Vec::new();
        loop {
            let is_over = machine.0.try_wait()?.is_some() || Instant::now() >= end;
            while let Some(job) = jobs.get(answers.len())
                && let Some(answer) = self.answer(job)
            {
                ended(job, &answer);
                answers.push(answer);
            }
            if is_over || answers.len() == jobs.len() {
                break;
            }
            thread::sleep(PAUSE);
        }
        let missing = Answer { err: self.last_words(), ..Answer::default() };
        answers.resize(jobs.len(), missing);
        Ok(answers)
    }

    /// The directory that it shares with the guest.
    pub fn shared(&self) -> PathBuf {
        self.home.join("jobs")
    }

    fn prepare(&self, jobs: &[Job]) -> Result<()> {
        if self.home.exists() {
            fs::remove_dir_all(&self.home)?;
        }
        fs::create_dir_all(self.shared())?;
        fs::write(self.home.join("initramfs"), self.initramfs()?)?;
        let mut environment = String::new();
        for (name, value) in &self.environment {
            writeln!(environment, "export {name}='{value}'")?;
        }
        fs::write(self.shared().join("environment"), environment)?;
        let mut list = String::new();
        for job in jobs {
            writeln!(list, "{}\t{}\t{}", job.name, job.limit.as_secs(), job.command)?;
        }
        Ok(fs::write(self.shared().join("list"), list)?)
    }

    fn initramfs(&self) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        for dir in ["bin", "modules", "proc", "host", "layer", "new", "dev"] {
            archive.directory(dir);
        }
        archive.file("init", include_bytes!("init.sh"));
        archive.file("guest", include_bytes!("guest.sh"));
        archive.file("try", include_bytes!("try.sh"));
        archive.file("bin/busybox", &fs::read(&self.kernel.busybox)?);
        let mut order = String::new();
        for (name, module) in self.kernel.modules()? {
            archive.file(&format!("modules/{name}.ko"), &module);
            writeln!(order, "{name}")?;
        }
        archive.file("modules/order", order.as_bytes());
        Ok(archive.finish())
    }

    fn command(&self) -> Result<Command> {
        let mut command = self.emulator.command();
        command.args(MACHINE).stdin(Stdio::null());
        command.arg("-serial").arg(file_option("file:", &self.console()));
        command.arg("-virtfs").arg(share("root", Path::new("/"), ",readonly=on"));
        command.arg("-virtfs").arg(share("jobs", &self.shared(), ""));
        command.arg("-kernel").arg(self.kernel.image()?);
        command.arg("-initrd").arg(self.home.join("initramfs"));
        let parameters = format!("console=ttyS0 quiet panic=-1 {}", self.parameters);
        command.args(["-append", parameters.trim_end()]);
        Ok(command)
    }

    fn console(&self) -> PathBuf {
        self.home.join("console")
    }

    fn answer(&self, job: &Job) -> Option<Answer> {
        let read = |end: &str| fs::read(self.shared().join(format!("{}.{end}", job.name)));
        let status = String::from_utf8(read("status").ok()?).ok()?.trim().parse().ok()?;
        let text = |end| read(end).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let [out, err] = ["out", "err"].map(|end| text(end).unwrap_or_default());
        Some(Answer { status: Some(status), out, err })
    }

    /// The end of what the guest's kernel and its first program printed.
    fn last_words(&self) -> String {
        let said = fs::read(self.console()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        format!("the guest ended before it; it last said: {}", last.trim())
    }
}

/// A process that ends with us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already, both calls only say so.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn share(tag: &str, path: &Path, more: &str) -> String {
    let path = file_option("path=", path);
    // `/` of this machine may have more than one file system, whose inode numbers clash.
    format!("local,{path},mount_tag={tag},security_model=none,multidevs=remap{more}")
}

/// In qemu's options a comma in a name is written twice.
fn file_option(key: &str, path: &Path) -> String {
    format!("{key}{}", path.display().to_string().replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_is_no_option() {
        let option = share("jobs", Path::new("/a,b"), "");
        assert!(option.starts_with("local,path=/a,,b,mount_tag=jobs,"), "{option}");
    }
}
