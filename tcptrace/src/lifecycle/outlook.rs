//! How leaks grow, and which processes run out of descriptors through them.

use std::collections::HashMap;

use super::cause::Cause;
use super::growth::{ProcessKey, Sizes, estimated, exhausted_in_ns};
use super::report::{FdUse, Growth, Holder, Leak};

/// What a report's leaks come to beside those of the reports before it.
pub struct Outlook<'a> {
    sizes: &'a Sizes,
    now_ns: u64,
    min_age_ns: u64,
    /// How many descriptors each process has for leaked sockets, whatever their causes: a leak that only
    /// goes from one cause to another takes none.
    held: HashMap<ProcessKey, usize>,
    /// How many a minute it loses to leaks, where that is steady.
    rates: HashMap<ProcessKey, f64>,
}

impl<'a> Outlook<'a> {
    /// Of all leaks of a report, that was made at `now_ns` (monotonic clock).
    pub fn new<'b>(
        sizes: &'a Sizes,
        leaks: impl Iterator<Item = &'b Leak>,
        now_ns: u64,
        min_age_ns: u64,
    ) -> Self {
        let rate = |(process, own): (ProcessKey, Share<'_>)| {
            let trend = match sizes.processes.trend(&process, own.descriptors, now_ns) {
                None => own.estimated(min_age_ns),
                trend => trend.filter(|trend| trend.is_steady).map(|own| own.growth.per_minute),
            };
            Some((process, trend?))
        };
        let shares = shares(leaks);
        let held = shares.iter().map(|(process, own)| (*process, own.descriptors)).collect();
        let rates = shares.into_iter().filter_map(rate).collect();
        Self { sizes, now_ns, min_age_ns, held, rates }
    }

    /// How many descriptors each process has for leaked sockets: what later reports compare with.
    #[must_use]
    pub fn into_held(self) -> HashMap<ProcessKey, usize> {
        self.held
    }

    /// How fast a group grows: from earlier reports, or, in the first one, from the ages of its leaks.
    #[must_use]
    pub fn growth(&self, key: &str, leaks: &[Leak]) -> Option<Growth> {
        let seen = self.sizes.groups.trend(key, leaks.len(), self.now_ns);
        let trend = seen.or_else(|| estimated(leaks.iter(), self.min_age_ns));
        trend.map(|trend| trend.growth)
    }

    /// A process's descriptors, and when they run out; `None` where its limit is not known.
    #[must_use]
    pub fn descriptors(&self, holder: &Holder) -> Option<FdUse> {
        let (pid, used, limit) = (holder.party.pid, holder.fd_used?, holder.fd_limit?);
        let rate = self.rates.get(&process(holder)).copied().unwrap_or(0.0);
        Some(FdUse { pid, used, limit, exhausted_in_ns: exhausted_in_ns(used, limit, rate) })
    }
}

/// What a process holds of leaked sockets.
#[derive(Default)]
struct Share<'a> {
    leaks: Vec<&'a Leak>,
    descriptors: usize,
}

impl Share<'_> {
    /// Descriptors a minute, by the ages of the leaks, where they tell.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn estimated(&self, min_age_ns: u64) -> Option<f64> {
        let trend = estimated(self.leaks.iter().copied(), min_age_ns)?;
        let each = self.descriptors as f64 / self.leaks.len() as f64;
        trend.is_steady.then_some(trend.growth.per_minute * each)
    }
}

/// By process. A leak that several processes hold takes a descriptor of each. One that was never
/// accepted takes none; its listener's are no part of it.
fn shares<'a>(leaks: impl Iterator<Item = &'a Leak>) -> HashMap<ProcessKey, Share<'a>> {
    let mut shares: HashMap<ProcessKey, Share<'a>> = HashMap::new();
    for leak in leaks.filter(|leak| leak.cause != Cause::NeverAccepted) {
        for holder in &leak.holders {
            let own = shares.entry(process(holder)).or_default();
            own.leaks.push(leak);
            own.descriptors += holder.fds.len();
        }
    }
    shares
}

fn process(holder: &Holder) -> ProcessKey {
    (holder.party.pid, holder.party.start_time_ns)
}

#[cfg(test)]
mod tests {
    use super::super::by::By;
    use super::super::group::group;
    use super::super::group::tests::held;
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    #[test]
    fn descriptors_run_out_only_where_growth_is_steady() {
        let leaks = |count: u32| (0..count).map(|fd| held(1, "web", &[fd], 80, 1)).collect();
        let mut sizes = Sizes::default();
        sizes.processes.note(0, HashMap::from([((1, 0), 0)]));
        assert_eq!(exhausted(leaks(10), &sizes), [(1, None)], "a burst");
        sizes.processes.note(MINUTE / 2, HashMap::from([((1, 0), 5)]));
        assert_eq!(exhausted(leaks(10), &sizes), [(1, Some(10 * MINUTE))]);
    }

    /// Who runs out of descriptors, and when, by a report a minute after the first one.
    fn exhausted(leaks: Vec<Leak>, sizes: &Sizes) -> Vec<(u32, Option<u64>)> {
        let groups =
            group(leaks.clone(), By::Process, &Outlook::new(sizes, leaks.iter(), MINUTE, 0));
        let uses = groups.iter().filter_map(|group| group.fds.as_ref());
        uses.map(|own| (own.pid, own.exhausted_in_ns)).collect()
    }

    /// Sizes of which the last two reports had these.
    fn sizes(reports: [HashMap<ProcessKey, usize>; 2]) -> Sizes {
        let mut sizes = Sizes::default();
        for (now_ns, report) in [0, MINUTE / 2].into_iter().zip(reports) {
            sizes.processes.note(now_ns, report);
        }
        sizes
    }

    #[test]
    fn a_leak_that_goes_from_one_cause_to_another_takes_no_descriptor() {
        let mut leaks: Vec<Leak> = (0..10).map(|fd| held(1, "web", &[fd], 80, 1)).collect();
        leaks.iter_mut().take(6).for_each(|leak| leak.cause = Cause::DeadReset);
        let mut sizes = sizes([(); 2].map(|()| HashMap::from([((1, 0), 10)])));
        for (now_ns, dead) in [(0, 0), (MINUTE / 2, 3)] {
            sizes.groups.note(now_ns, HashMap::from([("dead-reset/1".to_owned(), dead)]));
        }
        assert_eq!(exhausted(leaks, &sizes), [(1, None), (1, None)]);
    }

    #[test]
    fn who_shares_a_leak_loses_a_descriptor_too_and_who_inherited_some_loses_no_more() {
        let shared = |fd: u32, descriptors: &[u32]| {
            let mut leak = held(1, "main", descriptors, 80, 1);
            leak.holders.extend(held(2, "worker", &[fd], 80, 1).holders);
            leak
        };
        let leaks: Vec<Leak> = (0..10).map(|fd| shared(fd, &[fd])).collect();
        let both = |size| HashMap::from([((1, 0), size), ((2, 0), size)]);
        assert_eq!(exhausted(leaks, &sizes([both(0), both(5)])), [(1, Some(10 * MINUTE))]);

        let twice: Vec<Leak> = (0..10).map(|fd| shared(fd, &[2 * fd, 2 * fd + 1])).collect();
        let first = |size| HashMap::from([((1, 0), size), ((2, 0), 10)]);
        assert_eq!(exhausted(twice, &sizes([first(0), first(10)])), [(1, Some(5 * MINUTE))]);
    }
}
