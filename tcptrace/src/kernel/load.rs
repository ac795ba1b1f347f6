//! Loading the kernel side and attaching its hooks.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{Btf as KernelBtf, Ebpf, EbpfLoader, Endianness, include_bytes_aligned};
use tcptrace_common::field::{self, ABSENT, Field, Need};
use tcptrace_common::memory::NEAR_SOCKETS;
use tcptrace_common::mini::way;
use tcptrace_common::setting::{COUNT, Setting};

use super::btf::Btf;
use super::damage::Damage;
use super::filter::KernelFilter;
use super::histogram::{self, HistogramWish};
use super::hooks::{Ground, Group, HOOKS, Hook, NESTED, Status, ahead};
use super::host::{Host, raise_descriptor_limit};
use super::mini::{self, Settler};
use super::nested::Nested;
use super::ring::Ring;
use super::stacks::StackMaps;
use super::{census, counters, observer, offsets, snapshot, symbols};
use crate::lifecycle::budget::{Budget, SMALLEST_RING};
use crate::lifecycle::dwell::dwells::Dwells;
use crate::lifecycle::dwell::key::By;

/// Where the kernel describes its types.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The oldest kernel on which everything that a report needs is there.
const OLDEST: (u32, u32) = (6, 1);

static PROGRAMS: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcptrace-bpf"));

/// What a census is to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct CensusWish {
    /// States that are counted: bit `1 << number`; a request counts as `SYN_RECV`, a dead socket
    /// as `CLOSE`.
    pub states: u64,
    /// Whether what is remembered of a socket is wanted too.
    pub memory: bool,
}

/// What the kernel side is to do.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// States whose end is worth a record: bit `1 << number`.
    pub record_states: u64,
    /// Whether every transition is followed, or those alone that a report of leaks needs.
    pub follow: bool,
    /// Dwells shorter than this many ns are not worth a record.
    pub record_min_dwell_ns: u64,
    /// How much memory it may use.
    pub budget: Budget,
    /// How much of the kernel side's own log is wanted: 0 none, 1 what is odd, 2 everything.
    pub verbosity: u8,
    /// What a census shows.
    pub census: CensusWish,
    /// Which hooks are wanted.
    pub groups: Vec<Group>,
    /// Which sockets are worth a record.
    pub filter: KernelFilter,
    /// Dwells to count, where any.
    pub histogram: Option<HistogramWish>,
}

impl Wish {
    fn wants(&self, group: Group) -> bool {
        self.groups.contains(&group)
    }

    /// For how many sockets there is room far away.
    fn sockets(&self) -> u32 {
        if self.wants(Group::Life) { self.budget.sockets } else { 1 }
    }

    /// The same for mini-sockets.
    fn mini_sockets(&self) -> u32 {
        if self.wants(Group::MiniSockets) { self.budget.sockets } else { 1 }
    }

    /// Whether sockets are remembered near first, which takes room for a good number of them.
    fn remembers_near(&self) -> bool {
        self.wants(Group::Life) && self.budget.sockets >= NEAR_SOCKETS
    }
}

/// The kernel side, loaded and attached. Dropping it detaches everything; so does the kernel
/// when the process ends in any way, because nothing is pinned.
pub struct Kernel {
    ebpf: Ebpf,
    /// Each hook and whether it is in place.
    pub hooks: Vec<(&'static Hook, Status)>,
    /// Kernel struct fields that are absent here, `struct.member`; none of them required.
    pub absent_fields: Vec<String>,
    nested: Nested,
    settler: Option<Settler>,
    damage: Damage,
}

impl Kernel {
    /// Loads and attaches.
    ///
    /// # Errors
    ///
    /// One sentence that says what this host lacks and what to do.
    pub fn start(host: &Host, wish: &Wish) -> Result<Self> {
        if host.capabilities.is_none() {
            bail!("/proc is not mounted here; tcptrace cannot do without it");
        }
        if !host.may_load() {
            bail!("not permitted to load eBPF programs: run as root (sudo tcptrace …)");
        }
        raise_descriptor_limit();
        let (btf, types) = read_btf(Path::new(VMLINUX))?;
        let offsets = offsets::resolve(&btf);
        let absent_fields = check_fields(&offsets)?;
        let settings = settings(host, wish, &offsets);
        let mut loader = EbpfLoader::new();
        shrink_unused(&mut loader, wish);
        let mut ebpf = loader
            .btf(Some(&types))
            .override_global("OFFSETS", &offsets[..], true)
            .override_global("SETTINGS", &settings[..], true)
            .override_global(aya_log::LEVEL, &log_level(wish), false)
            .map_max_entries("EVENTS", wish.budget.ring_bytes)
            .map_max_entries("SOCKETS", wish.sockets())
            .map_max_entries("MINIS_FAR", wish.mini_sockets())
            .load(PROGRAMS)
            .map_err(|error| explain(host, anyhow!(error)))?;
        wish.filter.write(&mut ebpf)?;
        if !host.in_initial_pid_namespace {
            observer::introduce(&mut ebpf, &types)
                .context("cannot tell which pid namespace this is")?;
        }
        let ground = Ground {
            btf: &btf,
            types: &types,
            shows_mini_timer: settings[Setting::MiniTimer as usize] != 0,
        };
        let may_follow = settings[Setting::MiniSockets as usize] != 0;
        let hooks = attach(&mut ebpf, &ground, wish, may_follow);
        let hooks = hooks.map_err(|error| explain(host, error))?;
        let goes_by_timers = |(hook, status): &(&Hook, Status)| {
            hook.group == Group::MiniSockets && mini::way(status) == way::TIMERS
        };
        let settler =
            if hooks.iter().any(goes_by_timers) { Settler::load(&mut ebpf) } else { None };
        let nested = match wish.wants(Group::Life) {
            true => Nested::load(&mut ebpf, &ground),
            false => Nested::Settled,
        };
        Ok(Self { ebpf, hooks, absent_fields, nested, settler, damage: Damage::default() })
    }

    /// Has ends of mini-sockets told that the kernel side has noted and not told yet; see
    /// [`Settler::settle`].
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn settle_ends(&self) -> Result<()> {
        self.settler.as_ref().map_or(Ok(()), |settler| settler.settle(&self.ebpf))
    }

    /// Whether all that stacks cannot do without is attached: a rule of a program that was replaced
    /// would show frames of the wrong one.
    #[must_use]
    pub fn may_take_stacks(&self) -> bool {
        let is_there = |name: &str| {
            let mut hooks = self.hooks.iter();
            hooks.any(|(hook, status)| hook.name == name && *status == Status::Attached)
        };
        is_there("exec") && is_there("fork")
    }

    /// Its transitions; see [`Ring`].
    ///
    /// # Errors
    ///
    /// When they were taken before.
    pub fn ring(&mut self) -> Result<Ring> {
        Ring::take(&mut self.ebpf, self.damage.clone())
    }

    /// Its stacks; see [`StackMaps`].
    ///
    /// # Errors
    ///
    /// When they were taken before.
    pub fn stacks(&mut self) -> Result<StackMaps> {
        StackMaps::take(&mut self.ebpf, self.damage.clone())
    }

    /// The loaded object, for what reads its maps and programs.
    pub fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Lets sockets through a filter on processes although their opener is not known, by cookie; see
    /// [`super::filter::let_through`].
    ///
    /// # Errors
    ///
    /// When there are too many of them.
    pub fn let_through(&mut self, cookies: &HashSet<u64>) -> Result<()> {
        super::filter::let_through(&mut self.ebpf, cookies)
    }

    /// Asks for more processes by pid than the filter did.
    ///
    /// # Errors
    ///
    /// When there are too many of them.
    pub fn ask_for(&mut self, pids: &[u32]) -> Result<()> {
        super::filter::ask_for(&mut self.ebpf, pids)
    }

    /// Attaches what is attached only once it is needed, and brings to light what nothing else does;
    /// see [`super::nested`] and [`super::mini`]. To be asked again after the time that is returned, or
    /// earlier.
    ///
    /// # Errors
    ///
    /// When a map cannot be read.
    pub fn tend(&mut self) -> Result<Duration> {
        let left = self.nested.tend(&mut self.ebpf);
        let Some(settler) = &mut self.settler else { return Ok(left) };
        Ok(left.min(settler.tend(&self.ebpf)?))
    }

    /// The kernel side's counters; see [`counters::read`].
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn counters(&mut self) -> Result<counters::Counters> {
        let counters = counters::read(&mut self.ebpf, &self.damage);
        counters.context("cannot read the kernel side's counters")
    }

    /// Dwells as counted so far; see [`histogram::read`].
    ///
    /// # Errors
    ///
    /// When the maps cannot be read.
    pub fn dwells(&self, by: By) -> Result<Dwells> {
        histogram::read(&self.ebpf, by)
    }

    /// Rows of a census from descriptors; see [`census::descriptors`].
    ///
    /// # Errors
    ///
    /// When the iterator cannot be run, and those of `each`.
    pub fn count_descriptors(
        &mut self,
        which: census::Descriptors,
        each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        census::descriptors(&mut self.ebpf, which, each)
    }

    /// Rows of a census from the sockets of network namespaces; see [`census::sockets`].
    ///
    /// # Errors
    ///
    /// When the iterator cannot be run, and those of `each`.
    pub fn count_sockets(
        &mut self,
        namespaces: &[super::netns::Namespace],
        each: impl FnMut(&[u8]) -> Result<()> + Send,
    ) -> Result<Vec<u32>> {
        census::sockets(&mut self.ebpf, namespaces, each)
    }

    /// Rows of all descriptors; see [`snapshot::files`].
    ///
    /// # Errors
    ///
    /// When the iterator cannot be run.
    pub fn files(&mut self) -> Result<bytes::Bytes> {
        snapshot::files(&mut self.ebpf)
    }

    /// Rows of the sockets of network namespaces; see [`snapshot::sockets`].
    ///
    /// # Errors
    ///
    /// When the iterator cannot be run at all.
    pub fn sockets(
        &mut self,
        namespaces: &[super::netns::Namespace],
    ) -> Result<Vec<snapshot::NamespaceRows>> {
        snapshot::sockets(&mut self.ebpf, namespaces)
    }
}

/// Makes maps that nobody uses as small as the kernel lets them be.
fn shrink_unused(loader: &mut EbpfLoader<'_>, wish: &Wish) {
    if !wish.wants(Group::Stacks) {
        loader.map_max_entries("STACKS", SMALLEST_RING).map_max_entries("RULES", 1);
        loader.map_max_entries("PROCESSES", 1).map_max_entries("SEEN", 1);
        loader.map_max_entries("TRAILS", 1).map_max_entries("STACK_DESKS", 1);
    }
    if !wish.remembers_near() {
        loader.map_max_entries("NEAR_ADDRESSES", 1).map_max_entries("NEAR_MEMORIES", 1);
    }
    if !wish.wants(Group::MiniSockets) || !wish.remembers_near() {
        loader.map_max_entries("MINIS_NEAR", 1);
    }
    if !wish.wants(Group::Snapshots) {
        loader.map_max_entries("WAITING", 1);
    }
    let room = wish.histogram.map_or(1, |histogram| match histogram.by {
        By::State => 1,
        _ => histogram.key_buckets,
    });
    loader.map_max_entries("KEY_HISTOGRAMS", room);
    if wish.histogram.is_none() {
        loader.map_max_entries("STATE_HISTOGRAMS", 1);
    }
}

fn read_btf(path: &Path) -> Result<(Btf, KernelBtf)> {
    let blob = fs::read(path).with_context(|| {
        format!(
            "this kernel does not describe its types ({} cannot be read): tcptrace needs a kernel \
             with CONFIG_DEBUG_INFO_BTF=y",
            path.display()
        )
    })?;
    let btf = Btf::parse(&blob).with_context(|| path.display().to_string())?;
    let types = KernelBtf::parse(&blob, Endianness::default())
        .with_context(|| path.display().to_string())?;
    Ok((btf, types))
}

/// The optional fields that are absent.
fn check_fields(offsets: &[u32; field::COUNT]) -> Result<Vec<String>> {
    let mut absent = Vec::new();
    for (field, name) in offsets::absent(offsets) {
        if field.required() {
            bail!("this kernel has no {name}, which tcptrace reads: it is not supported");
        }
        if field.need() == Need::Optional {
            absent.push(name);
        }
    }
    Ok(absent)
}

fn settings(host: &Host, wish: &Wish, offsets: &[u32; field::COUNT]) -> [u64; COUNT] {
    let mut settings = [0; COUNT];
    settings[Setting::RecordStates as usize] = wish.record_states;
    settings[Setting::Follow as usize] = u64::from(wish.follow);
    settings[Setting::RecordMinDwellNs as usize] = wish.record_min_dwell_ns;
    settings[Setting::Stacks as usize] = u64::from(wish.wants(Group::Stacks));
    settings[Setting::Filter as usize] = wish.filter.bits();
    if wish.wants(Group::MiniSockets) {
        settings[Setting::MiniSockets as usize] = u64::from(may_follow_minis(offsets));
        settings[Setting::MiniTimer as usize] = symbols::mini_timer().unwrap_or_default();
    }
    settings[Setting::CensusStates as usize] = wish.census.states;
    settings[Setting::CensusMemory as usize] = u64::from(wish.census.memory);
    settings[Setting::Near as usize] = u64::from(wish.remembers_near());
    settings[Setting::TranslatePids as usize] = u64::from(!host.in_initial_pid_namespace);
    if let Some(histogram) = wish.histogram {
        settings[Setting::HistogramStates as usize] = histogram.states;
        settings[Setting::HistogramBy as usize] = histogram.by.to_kernel().into();
    }
    settings
}

/// Whether everything that is read of mini-sockets is there.
fn may_follow_minis(offsets: &[u32; field::COUNT]) -> bool {
    const READ: [Field; 11] = [
        Field::MiniSubstate,
        Field::MiniTimer,
        Field::TimerFunction,
        Field::TimerExpires,
        Field::TimerPending,
        Field::SkcHash,
        Field::SkcNullsNode,
        Field::NetConnections,
        Field::ConnectionChains,
        Field::ConnectionMask,
        Field::NullsFirst,
    ];
    READ.iter().all(|field| offsets[*field as usize] != ABSENT)
}

/// In aya-log's numbers. Off means that the verifier removes the code.
fn log_level(wish: &Wish) -> u8 {
    match wish.verbosity {
        0 => 0,
        1 => aya_log::Level::Debug as u8,
        _ => aya_log::Level::Trace as u8,
    }
}

fn attach(
    ebpf: &mut Ebpf,
    ground: &Ground<'_>,
    wish: &Wish,
    may_follow_minis: bool,
) -> Result<Vec<(&'static Hook, Status)>> {
    let wanted: Vec<&'static Hook> = HOOKS.iter().filter(|hook| wish.wants(hook.group)).collect();
    let others: &[_] = if wish.wants(Group::Life) { &[NESTED] } else { &[] };
    let is_ready = |hook: &Hook| may_follow_minis || hook.group != Group::MiniSockets;
    let ready: Vec<&Hook> = wanted.iter().copied().filter(|hook| is_ready(hook)).collect();
    ahead::load(ebpf, ground, &ready, others);
    let mut hooks = Vec::new();
    for hook in wanted {
        let attached = if is_ready(hook) {
            hook.attach(ebpf, ground)
        } else {
            Err(anyhow!("this kernel lacks fields of mini-sockets"))
        };
        let status = match attached {
            Ok(status) => status,
            Err(error) if hook.is_required() => {
                return Err(error.context(format!("cannot attach to {}", hook.point())));
            }
            Err(error) => Status::Missing(first_line(&error)),
        };
        // Before transitions are seen, the last of all hooks.
        if hook.group == Group::MiniSockets {
            mini::go(ebpf, mini::way(&status))?;
        }
        hooks.push((hook, status));
    }
    Ok(hooks)
}

/// The reason in one line; verifier logs are long.
fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}

/// Whether the kernel's own answer was `EPERM`.
fn is_denied(error: &anyhow::Error) -> bool {
    let answers = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    answers.into_iter().any(|cause| cause.raw_os_error() == Some(libc::EPERM))
}

/// Puts what is known of the host before what the kernel said.
fn explain(host: &Host, error: anyhow::Error) -> anyhow::Error {
    let reason = if host.lockdown.as_deref() == Some("confidentiality") {
        "the kernel is locked down (lockdown=confidentiality), so eBPF programs may not read its \
         memory: boot with lockdown=integrity or none"
            .to_owned()
    } else if host.version().is_some_and(|version| version < OLDEST) {
        format!(
            "kernel {} is too old: tcptrace needs Linux {}.{} or newer (socket cookies in tracing \
             programs, per-socket memory)",
            host.release, OLDEST.0, OLDEST.1
        )
    } else if is_denied(&error) {
        "the kernel does not permit eBPF here, though the capabilities are there: run as root of \
         the host, not of a user namespace"
            .to_owned()
    } else {
        return error;
    };
    let said = first_line(&error);
    anyhow!("{reason} [{said}]")
}
