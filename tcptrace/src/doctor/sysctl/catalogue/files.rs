//! Files of the host. A leaked socket is an open file.

use crate::doctor::sysctl::default::Rule;
use crate::doctor::sysctl::risk::{Risk, few_files};
use crate::doctor::sysctl::setting::{Scope, Sysctl, Topic};

pub(super) const FILES: &[Sysctl] = &[
    Sysctl {
        name: "fs.file-max",
        topic: Topic::Files,
        does: "How many files all processes of the host together may have open. Beyond it, open \
               and accept() fail with ENFILE for all but root.",
        advice_says: "Raise it against too many open files. That error is mostly EMFILE, the limit \
                      of one process (RLIMIT_NOFILE), and not this one. systemd raises this one \
                      to the most anyway.",
        helps: "Where /proc/sys/fs/file-nr comes near it and the files are wanted. Where a leak \
                fills it, it only buys time.",
        harm: "Old advice such as 65535 lowers it by far.",
        source: "fs.rst (admin-guide/sysctl); proc_sys_fs(5); fs/file_table.c files_maxfiles_init()",
        scope: Scope::Host,
        default: Rule::Unknown,
        gone: None,
        risks: &[Risk::Check(few_files)],
    },
    Sysctl {
        name: "fs.nr_open",
        topic: Topic::Files,
        does: "The highest value that RLIMIT_NOFILE, the open files of one process, can be set to.",
        advice_says: "Raise it to millions. That changes no process: the limit of the process \
                      does (LimitNOFILE= of systemd, ulimit -n).",
        helps: "Where a process needs more than 1,048,576 files. It never helps against a leak: a \
                higher limit only lets more leak before the process fails.",
        harm: "Lowered, services whose limit is above it do not start.",
        source: "fs.rst (admin-guide/sysctl); proc_sys_fs(5); getrlimit(2)",
        scope: Scope::Host,
        default: Rule::Always("1048576"),
        gone: None,
        risks: &[Risk::BelowDefaultBy(1, "services whose limit of files is above it do not start")],
    },
];
