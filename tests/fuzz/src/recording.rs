//! Recordings, which anybody may send.

use tcptrace::lifecycle::dwell::census::{Ages, note};
use tcptrace::lifecycle::dwell::key::By;
use tcptrace::lifecycle::dwell::population::Population;
use tcptrace::lifecycle::event::Event;
use tcptrace::lifecycle::names::fill_in_stacks;
use tcptrace::source::recording::{Events, Item, Moment, Reader, check};

use super::kernel;

/// Looks of one recording that are printed.
const LOOKS: usize = 4;

/// A recording as it stands in a file.
pub fn whole(bytes: &[u8]) {
    let _ = check(bytes);
    looks(bytes);
    transitions(bytes);
}

fn looks(bytes: &[u8]) {
    let Ok(mut reader) = Reader::new(bytes) else { return };
    let mut looks = 0;
    while let Ok(Some(item)) = reader.next_item() {
        let Item::Look(recorded) = item else { continue };
        looks += 1;
        if looks <= LOOKS {
            let mut leaks = recorded.look.find(0).leaks;
            fill_in_stacks(&mut leaks, &mut |id| {
                recorded.stacks.get(&id).cloned().unwrap_or_default()
            });
            kernel::report(recorded.look, b"recorded");
        }
    }
}

fn transitions(bytes: &[u8]) {
    let Ok(reader) = Reader::new(bytes) else { return };
    let (mut transitions, mut population) = (Vec::new(), Population::default());
    for moment in Events::new(reader).map_while(Result::ok) {
        match moment {
            Moment::Event(Event::Transition(transition)) => {
                population.apply(&transition);
                transitions.push(transition);
            }
            Moment::Counted(sockets) => population.count(&sockets),
            Moment::Census { .. } => population.settle(),
            Moment::Look { dead, .. } => population.find_dead(&dead),
        }
    }
    let mut ages = Ages::new();
    population.stills(0).for_each(|still| note(&mut ages, &still, By::Comm));
    kernel::show(&transitions);
}

/// A recording whose checksums are right, which no engine would find out: each frame is a byte for
/// its kind, two for its length, and so many bytes.
pub fn frames(mut bytes: &[u8]) {
    let mut file = b"tcptrace.rec\x01\0\0\0".to_vec();
    let mut number = 0_u32;
    while let [kind, low, high, rest @ ..] = bytes {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (body, rest) = rest.split_at(length);
        push(&mut file, *kind, number, body);
        (bytes, number) = (rest, number + 1);
    }
    whole(&file);
}

/// Adds a frame as `docs/recording.md` describes it.
fn push(file: &mut Vec<u8>, kind: u8, number: u32, body: &[u8]) {
    let length = u32::try_from(body.len()).expect("a body of 64 KiB at most");
    let start = file.len();
    // Kind, codec, two unused bytes.
    file.extend_from_slice(&[kind % 11, 0, 0, 0]);
    for word in [number, length, length, crc32fast::hash(body)] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    let checksum = crc32fast::hash(&file[start..]);
    file.extend_from_slice(&checksum.to_le_bytes());
    file.extend_from_slice(body);
}
