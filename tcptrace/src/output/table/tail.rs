//! What stands behind the cause in a group's line: age, growth, descriptors.

use super::name;
use crate::lifecycle::age::Age;
use crate::lifecycle::cause::Cause;
use crate::lifecycle::report::{FdUse, Group};
use crate::output::units;

/// The parts, most important first.
pub fn parts(group: &Group) -> Vec<String> {
    let mut parts = vec![format!("oldest {}", units::age(oldest(group)))];
    parts.extend(group.growth.map(units::growth));
    parts.extend(group.fds.as_ref().map(|fds| descriptors(group, fds)));
    parts
}

/// The greatest age that is certain; an exact one goes before a bound of the same value.
fn oldest(group: &Group) -> Age {
    let ages = group.leaks.iter().map(|leak| leak.age);
    ages.max_by_key(|age| (age.at_least(), age.is_exact())).unwrap_or(Age::Unknown)
}

/// `fds 41/64, full in 1m21s`. A connection that was never accepted takes no descriptor, so its
/// group says only whether there is one left.
fn descriptors(group: &Group, fds: &FdUse) -> String {
    let filling = group.cause != Cause::NeverAccepted || fds.used >= fds.limit;
    let full = units::exhaustion(fds).filter(|_| filling);
    let full = full.map(|full| format!(", {full}")).unwrap_or_default();
    format!("{}{}{full}", units::fds(fds), whose(group, fds))
}

/// Whose descriptors they are, where the line does not begin with that process.
fn whose(group: &Group, fds: &FdUse) -> String {
    let only = group.by.is_none() || group.blamed.len() == 1;
    let first = group.blamed.first().map(|holder| holder.party.pid);
    if only && first == Some(fds.pid) {
        return String::new();
    }
    let owner = group.blamed.iter().find(|holder| holder.party.pid == fds.pid);
    owner.map_or_else(
        || format!(" of [{}]", fds.pid),
        |owner| format!(" of {}", name::party(&owner.party)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures;

    /// The cell of the first group of [`fixtures::servers`] whose blamed process has this name.
    fn shown(comm: &str, change: impl Fn(&mut FdUse)) -> String {
        let mut groups = fixtures::servers().groups;
        let group = groups.iter_mut().find(|group| group.blamed[0].party.comm == comm).unwrap();
        change(group.fds.as_mut().unwrap());
        parts(group).pop().unwrap()
    }

    #[test]
    fn a_forecast_stands_behind_the_numbers() {
        assert_eq!(shown("java", |_| ()), "fds 41/64, full in 1m21s");
        assert_eq!(shown("java", |fds| fds.used = 64), "fds 64/64, full");
        assert_eq!(shown("java", |fds| fds.exhausted_in_ns = None), "fds 41/64");
        assert_eq!(shown("gunicorn", |_| ()), "fds 62/1024 of gunicorn[4627], full in 45m12s");
    }

    #[test]
    fn what_was_never_accepted_fills_nothing() {
        assert_eq!(shown("nginx", |fds| fds.used = 10), "fds 10/64");
        assert_eq!(shown("nginx", |_| ()), "fds 64/64, full");
    }
}
