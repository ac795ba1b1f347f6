//! Which calls made the sockets of a group what they are: the stacks below it.

use std::collections::BTreeMap;

use super::frames;
use super::style::Style;
use crate::lifecycle::cause::Cause;
use crate::lifecycle::report::{Group, Leak};
use crate::lifecycle::socket::Role;
use crate::lifecycle::stack::{Stack, StackStatus};
use crate::lifecycle::untraced::Untraced;

/// A call that a stack was taken of.
struct Call<'a> {
    what: &'static str,
    stack: &'a Stack,
}

/// The most frequent stack of each kind, a line for what was called above it.
pub fn lines(group: &Group, room: usize, style: &Style) -> Vec<String> {
    let opened = block(group, opened, room, style);
    opened.into_iter().chain(block(group, end_of_file, room, style)).collect()
}

/// Why there is no stack of the call that is to blame, for each socket without one.
pub fn untraced(group: &Group) -> impl Iterator<Item = Untraced> {
    group.leaks.iter().filter_map(|leak| match leak.origin().status {
        StackStatus::NotTraced(why) => Some(why),
        _ => None,
    })
}

fn opened(leak: &Leak) -> Option<Call<'_>> {
    let what = match (leak.cause, leak.role) {
        (Cause::NeverAccepted, _) => "listen() called at",
        (_, Role::Active) => "connected at",
        (_, Role::Passive) => "accepted at",
        (_, Role::Listener | Role::Unknown) => "opened at",
    };
    Some(Call { what, stack: leak.origin() })
}

fn end_of_file(leak: &Leak) -> Option<Call<'_>> {
    let what = match leak.cause {
        Cause::EofReadNotClosed => "read EOF, not closed at",
        _ => "read EOF at",
    };
    Some(Call { what, stack: &leak.eof.as_ref()?.stack })
}

/// Where sockets of one group come from different calls, how many the shown one has:
/// `accepted at (12 of 20)`.
fn block<'a>(
    group: &'a Group,
    of: impl Fn(&'a Leak) -> Option<Call<'a>>,
    room: usize,
    style: &Style,
) -> Vec<String> {
    let calls = group.leaks.iter().filter_map(of);
    let taken = calls.filter(|call| !matches!(call.stack.status, StackStatus::NotTraced(_)));
    let Some((call, count)) = most_frequent(taken) else { return Vec::new() };
    let share = match (count, group.leaks.len()) {
        (count, all) if count == all => String::new(),
        (count, all) => format!(" ({count} of {all})"),
    };
    let mut lines = vec![format!("{}{share}", call.what)];
    lines.extend(frames::lines(call.stack, room, style));
    lines
}

/// Stacks with one key are one call; of those without a key, those that say the same.
fn most_frequent<'a>(calls: impl Iterator<Item = Call<'a>>) -> Option<(Call<'a>, usize)> {
    let mut counts: BTreeMap<_, (Call<'a>, usize)> = BTreeMap::new();
    for call in calls {
        let key = (call.what, call.stack.key.as_deref(), call.stack.status.reason());
        counts.entry(key).or_insert((call, 0)).1 += 1;
    }
    // The first of several that are as frequent, so that it does not change between reports.
    counts.into_values().rev().max_by_key(|(_, count)| *count)
}
