//! Warnings and notices: on standard error, each once.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::errand;
use crate::kernel::hooks::Status;
use crate::kernel::host::Host;
use crate::kernel::load::Kernel;
use crate::lifecycle::report::Degradation;
use crate::lifecycle::text::visible;

/// What this host lacks, as far as known, and what of it was said already.
#[derive(Default)]
pub struct Notices {
    all: Vec<Degradation>,
    said: HashSet<Cow<'static, str>>,
    /// What stands before each sentence.
    preface: &'static str,
}

impl Notices {
    /// What is known before the first snapshot.
    #[must_use]
    pub fn of(host: &Host, kernel: &Kernel) -> Self {
        let mut notices = Self::of_host(host);
        notices.add_hooks(kernel);
        notices
    }

    /// What is known of the rights of this process, whatever the kernel side can do.
    #[must_use]
    pub fn of_host(host: &Host) -> Self {
        let mut notices = Self::default();
        if !host.in_initial_pid_namespace {
            notices.add(
                "not-initial-pid-namespace",
                "processes outside this pid namespace are invisible: sockets that they hold seem \
                 to be held by nobody (held-by-kernel); run on the host (docker run --pid=host)",
            );
        }
        if !host.may_enter_namespaces() {
            notices.add(
                "own-namespace-only",
                "without CAP_SYS_ADMIN other network namespaces are read only as far as processes \
                 hold their sockets; run as root",
            );
        }
        if !host.may_inspect() {
            notices.add(
                "other-users-hidden",
                "without CAP_SYS_PTRACE the names and the network namespaces of other users' \
                 processes stay unknown; run as root with all capabilities",
            );
        }
        notices
    }

    /// What a command lacks that only counts transitions, which are seen wherever they are.
    #[must_use]
    pub fn of_hooks(kernel: &Kernel) -> Self {
        let mut notices = Self::default();
        notices.add_hooks(kernel);
        notices
    }

    fn add_hooks(&mut self, kernel: &Kernel) {
        for (hook, status) in &kernel.hooks {
            if let (Status::Missing(reason), Some(cost)) = (status, hook.cost) {
                self.add(hook.degradation, &format!("{}: {cost} [{reason}]", hook.point()));
            }
        }
        if !kernel.absent_fields.is_empty() {
            let fields = kernel.absent_fields.join(", ");
            self.add(
                "fields-absent",
                &format!("this kernel lacks {fields}; what rests on them is unknown"),
            );
        }
    }

    /// None yet; what will be known is about the host of a recording. What the recording itself
    /// lacks was said already.
    #[must_use]
    pub fn of_recording(lacks: &[Degradation]) -> Self {
        let said = lacks.iter().map(|lack| lack.token.clone()).collect();
        Self { preface: "recorded: ", said, ..Self::default() }
    }

    /// Adds degradations.
    pub fn add_all(&mut self, lacks: &[Degradation]) {
        for lack in lacks {
            self.add(lack.token.clone(), &lack.sentence);
        }
    }

    /// Adds a degradation, the same one again without effect.
    pub fn add(&mut self, token: impl Into<Cow<'static, str>>, sentence: &str) {
        let token = token.into();
        if self.all.iter().all(|known| known.token != token) {
            self.all.push(Degradation { token, sentence: sentence.to_owned() });
        }
    }

    /// All of them, for the report.
    #[must_use]
    pub fn all(&self) -> &[Degradation] {
        &self.all
    }

    /// Prints those that were not printed yet.
    pub fn say(&mut self) {
        for degradation in &self.all {
            if self.said.insert(degradation.token.clone()) {
                warn(&format!("{}{}", self.preface, degradation.sentence));
            }
        }
    }
}

/// One line on standard error. Nothing can be done where that is closed.
pub fn warn(sentence: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "tcptrace: {}", visible(sentence));
}

/// One line where this process cannot end yet, because threads of it read what nobody gives.
pub fn say_who_is_left_behind() {
    let pids: Vec<String> = errand::left_behind().iter().map(u32::to_string).collect();
    if !pids.is_empty() {
        let them = pids.join(", ");
        warn(&format!(
            "the file system on which files of process {them} lie does not answer; where that is FUSE, \
             the kernel lets tcptrace end only when it does"
        ));
    }
}
