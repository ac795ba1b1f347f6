//! What a recording says of itself first.

use serde::{Deserialize, Serialize};

use super::layout::{Layouts, present};

/// The first frame of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the tool that made it.
    pub tool: String,
    /// Kernel release of the host.
    pub kernel: String,
    /// Architecture: `x86_64`, `aarch64`.
    pub arch: String,
    /// `little` or `big`: order of the bytes in wire structs.
    pub endian: String,
    /// When it began, ns since 1970.
    pub wall_ns: u64,
    /// The same moment on the clock of all records and rows, ns.
    pub monotonic_ns: u64,
    /// Time from one look to the next, ns.
    pub interval_ns: u64,
    /// Whether stacks were taken.
    pub stacks: bool,
    /// What kind of host it is.
    pub host: HostFacts,
    /// How the wire structs lie in memory.
    pub layouts: Layouts,
}

/// Facts about the host, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Lockdown mode of the kernel, where it could be read.
    #[serde(default)]
    pub lockdown: Option<String>,
    /// Whether every process of the host could be seen.
    pub sees_all_processes: bool,
    /// Hooks and whether each was in place: `attached`, another form, or why it was missing.
    #[serde(default)]
    pub hooks: Vec<(String, String)>,
    /// Fields that the kernel's structs lacked.
    #[serde(default)]
    pub absent_fields: Vec<String>,
}

/// Byte order of this machine, as [`Header::endian`] has it.
const ENDIAN: &str = if cfg!(target_endian = "little") { "little" } else { "big" };

impl Header {
    /// The header of a recording that begins at a moment, told on both clocks, on this machine.
    #[must_use]
    pub fn new(wall_ns: u64, monotonic_ns: u64) -> Self {
        Self {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: String::new(),
            arch: std::env::consts::ARCH.to_owned(),
            endian: ENDIAN.to_owned(),
            wall_ns,
            monotonic_ns,
            interval_ns: 0,
            stacks: false,
            host: HostFacts::default(),
            layouts: present(),
        }
    }

    /// Wall clock minus monotonic clock when it began, ns.
    #[must_use]
    pub fn wall_offset_ns(&self) -> u64 {
        self.wall_ns.saturating_sub(self.monotonic_ns)
    }

    /// Whether this machine reads integers as they were written.
    #[must_use]
    pub fn is_readable_here(&self) -> bool {
        self.endian == ENDIAN
    }
}
