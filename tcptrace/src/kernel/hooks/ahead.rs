//! Loading ahead: all programs at once. The kernel takes a tenth of a second to verify each program
//! that takes stacks, on one CPU; attaching what is loaded takes no time.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use aya::Ebpf;
use aya::programs::Program;

use super::Hook;
use super::form::{Form, Ground, Point};

/// Loads the programs of hooks, each in the first form that the kernel takes, and others. Whatever cannot
/// be loaded is tried again where it is attached, which says why.
pub fn load(ebpf: &mut Ebpf, ground: &Ground<'_>, hooks: &[&Hook], others: &[Point]) {
    let mut open: Vec<&'static [Form]> = hooks.iter().map(|hook| hook.forms).collect();
    let mut others = others;
    loop {
        let own = open.iter().filter_map(|forms| forms.first()).flat_map(|form| form.points);
        let points: BTreeMap<_, _> =
            own.chain(others).map(|point| (point.program, point)).collect();
        if points.is_empty() {
            return;
        }
        let refused = at_once(ebpf, ground, &points);
        let is_refused = |point: &Point| refused.contains(point.program);
        let next = |forms: &&'static [Form]| {
            let (first, rest) = forms.split_first()?;
            first.points.iter().any(is_refused).then_some(rest)
        };
        (open, others) = (open.iter().filter_map(next).collect(), &[]);
    }
}

/// Each program in a thread of its own. Returns those that the kernel has no place for, or refuses.
fn at_once(
    ebpf: &mut Ebpf,
    ground: &Ground<'_>,
    points: &BTreeMap<&'static str, &Point>,
) -> BTreeSet<&'static str> {
    let wanted =
        ebpf.programs_mut().filter_map(|(name, program)| Some((*points.get(name)?, program)));
    thread::scope(|scope| {
        let load = |(point, program): (&Point, &mut Program)| {
            (point.program, point.load(program, ground).is_ok())
        };
        let threads: Vec<_> = wanted
            .filter_map(|job| thread::Builder::new().spawn_scoped(scope, move || load(job)).ok())
            .collect();
        let ended = threads.into_iter().filter_map(|thread| thread.join().ok());
        ended.filter(|(_, is_loaded)| !is_loaded).map(|(name, _)| name).collect()
    })
}
