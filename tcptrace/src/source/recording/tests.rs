//! Recordings made by hand: read back, cut, damaged, made up.

use tcptrace_common::Wire as _;
use tcptrace_common::census::{CensusMemory, CensusRow};

use super::fixtures::{BOOT, SECOND, SERVER, details, look, named, stack};
use super::frame::{Frame, FrameReader, Frames, Kind, Next};
use super::*;
use crate::lifecycle::census::Counted;
use crate::lifecycle::event::Event;
use crate::lifecycle::look::Look;

/// A look at `now` seconds at sockets 1, 2 … that have leaked for so many seconds.
fn leaks(now: u64, ages: &[u64]) -> Look {
    let sockets = (1..).zip(ages).map(|(cookie, age)| fixtures::leaking(cookie, now, *age));
    look(now, sockets.collect())
}

fn record(cookie: u64) -> tcptrace_common::record::TransitionRecord {
    fixtures::record(cookie, 0)
}

/// A census with an event in it, then two looks, with events before, between and behind them.
fn sample() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, &Header::new(BOOT * SECOND, 0)).unwrap();
    writer.begin_census().unwrap();
    writer.event(&record(7)).unwrap();
    [counted(1, true), counted(2, false)].iter().for_each(|own| writer.counted(own).unwrap());
    writer.end_census(8).unwrap();
    for (now, ages) in [(100, &[90, 5][..]), (105, &[95, 10, 1])] {
        writer.event(&record(now)).unwrap();
        let look = leaks(now, ages);
        assert!(writer.look(&look, &named(&look)).unwrap());
    }
    writer.event(&record(1)).unwrap();
    let (totals, written) = writer.finish().unwrap();
    assert_eq!((totals.events, totals.looks), (4, 2));
    assert_eq!(written, bytes.len() as u64);
    bytes
}

/// A moment, in two words.
fn told(moment: &Moment) -> String {
    match moment {
        Moment::Event(Event::Transition(transition)) => {
            format!("event {}", transition.record.cookie)
        }
        Moment::Counted(sockets) => format!("{} counted", sockets.len()),
        Moment::Census { now_ns } => format!("census {now_ns}"),
        Moment::Look { dead, .. } => format!("look, {} dead", dead.len()),
    }
}

/// A socket of a census, with what is remembered of it or without.
fn counted(cookie: u64, is_remembered: bool) -> Counted {
    let row = CensusRow { cookie, state: 1, netns: 3, ..CensusRow::default() };
    let memory = CensusMemory { now_ns: 9, since_ns: 4, state: 1, ..CensusMemory::default() };
    Counted::new(row, is_remembered.then_some(memory)).unwrap()
}

/// Reads all of a recording; what it has, or what is wrong with it.
fn read_all(bytes: &[u8]) -> anyhow::Result<Vec<Item>> {
    let mut reader = Reader::new(bytes)?;
    let mut items = Vec::new();
    while let Some(item) = reader.next_item()? {
        items.push(item);
    }
    Ok(items)
}

fn looks(items: &[Item]) -> usize {
    items.iter().filter(|item| matches!(item, Item::Look(_))).count()
}

/// The frames of a recording, and where each ends.
fn frames(bytes: &[u8]) -> (Vec<Frame>, Vec<usize>) {
    let mut reader = FrameReader::new(&bytes[16..], 16);
    let (mut frames, mut ends) = (Vec::new(), Vec::new());
    while let Next::Frame(frame) = reader.next(false).unwrap() {
        frames.push(frame);
        ends.push(usize::try_from(reader.position).unwrap());
    }
    (frames, ends)
}

/// A sound recording of any frames.
fn joined(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let preamble = [&MAGIC[..], &VERSION.to_le_bytes(), &[0; 2]].concat();
    let mut out = Frames::begin(&mut bytes, &preamble).unwrap();
    for Frame { kind, bytes } in frames {
        out.write(kind.unwrap(), bytes).unwrap();
    }
    bytes
}

#[test]
fn what_was_written_is_read() {
    let items = read_all(&sample()).unwrap();
    let [
        Item::Counted(none),
        Item::Counted(sockets),
        Item::Records(during),
        Item::Census { now_ns: 8 },
        Item::Records(first),
        Item::Look(one),
        Item::Records(_),
        Item::Look(two),
        Item::Records(_),
    ] = &items[..]
    else {
        panic!("{items:?}")
    };
    assert_eq!((none.len(), &sockets[..]), (0, &[counted(1, true), counted(2, false)][..]));
    assert_eq!((&during[..], &first[..]), (&[record(7)][..], &[record(100)][..]));
    for (recorded, now, ages) in [(one, 100, &[90, 5][..]), (two, 105, &[95, 10, 1])] {
        let (read, written) = (&recorded.look, leaks(now, ages));
        assert_eq!(read.rows.held, written.rows.held);
        assert_eq!(read.rows.sockets, written.rows.sockets);
        assert_eq!(read.rows.namespaces.missed().collect::<Vec<_>>(), [3]);
        assert_eq!(
            read.history.entries().collect::<Vec<_>>(),
            written.history.entries().collect::<Vec<_>>()
        );
        assert_eq!((read.now_ns, read.wall_ns), (written.now_ns, written.wall_ns));
        assert_eq!((&read.lost, &read.degradations), (&written.lost, &written.degradations));
        assert_eq!(recorded.processes, [((SERVER, 70), details(SERVER))].into());
        assert_eq!(recorded.stacks[&1001], stack(1001));
        assert_eq!(recorded.stacks.len(), 2);
    }
}

#[test]
fn the_events_alone_come_in_order_with_the_clock() {
    let bytes = sample();
    let mut events = Events::new(Reader::new(&bytes[..]).unwrap());
    assert_eq!(events.wall_offset_ns(), BOOT * SECOND);
    let moments: Vec<String> = events.by_ref().map(|moment| told(&moment.unwrap())).collect();
    assert_eq!(
        moments,
        [
            "0 counted",
            "2 counted",
            "event 7",
            "census 8",
            "event 100",
            "look, 0 dead",
            "event 105",
            "look, 0 dead",
            "event 1"
        ]
    );
    assert_eq!(events.lost(), [("ring_full".into(), 3)]);
}

/// Whatever is cut off: all frames before it are read, and the rest is told.
#[test]
fn a_recording_that_was_cut_anywhere_is_read_up_to_there() {
    let whole = sample();
    let (kinds, ends) = frames(&whole);
    for length in 0..whole.len() {
        let cut = &whole[..length];
        if length < ends[0] {
            let error = check(cut).unwrap_err().to_string();
            let expected = if length == 0 { "it is empty" } else { "it was cut short" };
            assert!(error.starts_with(expected) && Reader::new(cut).is_err(), "{length}: {error}");
            continue;
        }
        let frames = ends.iter().filter(|end| **end <= length).count();
        let rest = (length - ends[frames - 1]) as u64;
        let state = if rest == 0 { State::Unended } else { State::Cut(rest) };
        let looks_left = kinds[..frames].iter().filter(|own| own.kind == Some(Kind::Look)).count();
        assert_eq!(check(cut).unwrap(), Soundness { state, looks: looks_left as u64 }, "{length}");
        assert_eq!(looks(&read_all(cut).unwrap()), looks_left, "{length}");
    }
    assert_eq!(check(&whole[..]).unwrap(), Soundness { state: State::Ended, looks: 2 });
}

/// A crash of the host can leave a file that is as long as it was to be and has zeros at its end.
#[test]
fn zeros_at_the_end_are_a_cut() {
    let (whole, (_, ends)) = (sample(), frames(&sample()));
    for count in [24, 25, 5000] {
        let zeros = [&whole[..ends[3]], &vec![0; count][..]].concat();
        assert_eq!(check(&zeros[..]).unwrap().state, State::Cut(count as u64));
    }
    let behind = [&whole[..], &[0; 30]].concat();
    assert!(check(&behind[..]).unwrap_err().to_string().contains("behind its end"));
}

#[test]
fn a_damaged_byte_is_noticed_wherever_it_is() {
    let whole = sample();
    for at in 0..whole.len() {
        for flip in [1, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            assert!(check(&damaged[..]).is_err(), "byte {at}");
        }
    }
}

#[test]
fn frames_that_are_missing_or_come_twice_are_noticed() {
    let (whole, (_, ends)) = (sample(), frames(&sample()));
    let without = [&whole[..ends[1]], &whole[ends[2]..]].concat();
    let twice = [&whole[..ends[2]], &whole[ends[1]..]].concat();
    for damaged in [without, twice] {
        let error = check(&damaged[..]).unwrap_err().to_string();
        assert!(error.contains("frames are missing"), "{error}");
    }
}

/// Sound to all checksums, and wrong: each byte of each frame's contents.
#[test]
fn no_made_up_contents_make_it_panic() {
    let (frames, _) = frames(&sample());
    let (mut read, mut refused) = (0, 0);
    for (number, frame) in frames.iter().enumerate() {
        let copy = || frames.iter().map(|own| Frame { kind: own.kind, bytes: own.bytes.clone() });
        for at in 0..frame.bytes.len() {
            for value in [b'9', 0xff] {
                let mut made_up: Vec<Frame> = copy().collect();
                made_up[number].bytes[at] = value;
                match read_all(&joined(&made_up)) {
                    Ok(items) => {
                        read += 1;
                        for item in items {
                            let Item::Look(recorded) = item else { continue };
                            let _ = recorded.look.find(30 * SECOND);
                        }
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} {refused}");
}

#[test]
fn lengths_that_lie_take_no_memory() {
    let mut bytes = joined(&frames(&sample()).0[..1]);
    let mut head = [0_u8; 24];
    (head[0], head[1], head[4]) = (Kind::Rows as u8, 1, 1);
    head[8..16].fill(0xff);
    let checksum = crc32fast::hash(&head[..20]);
    head[20..].copy_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(&head);
    assert!(check(&bytes[..]).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn a_look_without_end_is_refused() {
    let (all, _) = frames(&sample());
    let line = [&br#"{"pid":1,"start_time_ns":0,"exe":""#[..], &vec![b'x'; 8 << 20], b"\"}\n"];
    let line = line.concat();
    let mut made_up = vec![Frame { kind: Some(Kind::Header), bytes: all[0].bytes.clone() }];
    made_up.extend((0..5).map(|_| Frame { kind: Some(Kind::Processes), bytes: line.clone() }));
    let error = format!("{:#}", read_all(&joined(&made_up)).unwrap_err());
    assert!(error.contains("too large"), "{error}");
}

#[test]
fn a_clock_that_runs_back_is_refused() {
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, &Header::new(0, 0)).unwrap();
    for now in [105, 100] {
        writer.look(&leaks(now, &[1]), &[]).unwrap();
    }
    writer.finish().unwrap();
    let error = format!("{:#}", read_all(&bytes).unwrap_err());
    assert!(error.contains("clock runs back"), "{error}");
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let (mut all, _) = frames(&sample());
    let header = String::from_utf8(all[0].bytes.clone()).unwrap();
    all[0].bytes = header.replacen('{', r#"{"new":[1,{"a":2}],"#, 1).into_bytes();
    let mut bytes = joined(&all[..1]);
    let mut head = [0_u8; 24];
    (head[0], head[4]) = (99, 1);
    let checksum = crc32fast::hash(&head[..20]);
    head[20..].copy_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(&head);
    assert_eq!(check(&bytes[..]).unwrap().state, State::Unended);
    assert_eq!(read_all(&bytes).unwrap().len(), 0);
    let mut record = record(5).as_bytes().to_vec();
    record[0] = 200;
    let mut events = u16::try_from(record.len()).unwrap().to_le_bytes().to_vec();
    events.extend_from_slice(&record);
    let unknown = Frame { kind: Some(Kind::Events), bytes: events };
    let header = Frame { kind: Some(Kind::Header), bytes: all[0].bytes.clone() };
    let items = read_all(&joined(&[header, unknown])).unwrap();
    assert!(matches!(&items[..], [Item::Records(records)] if records.is_empty()));
}

#[test]
fn what_is_no_recording_says_so() {
    let says = |bytes: &[u8]| check(bytes).unwrap_err().to_string();
    assert_eq!(says(b""), "it is empty");
    assert_eq!(says(b"hello, world"), "it is no recording of tcptrace");
    assert_eq!(says(b"\x7fELF"), "it is no recording of tcptrace");
    let mut newer = sample();
    newer[12] = 2;
    assert!(
        says(&newer).starts_with("it was made by a newer tcptrace (format 2, this one reads 1)")
    );
    assert!(Reader::new(&newer[..]).is_err());
    let mut other = Header::new(0, 0);
    other.endian = "big".to_owned();
    let bytes =
        joined(&[Frame { kind: Some(Kind::Header), bytes: serde_json::to_vec(&other).unwrap() }]);
    assert!(Reader::new(&bytes[..]).unwrap_err().to_string().contains("byte order"));
}

#[test]
fn a_disk_that_fills_up_is_an_error_and_leaves_whole_frames() {
    let whole = sample();
    for room in [10, 1000, whole.len() - 1] {
        let mut disk = vec![0; room];
        let mut out = &mut disk[..];
        let written = Writer::begin(&mut out, &Header::new(0, 0)).and_then(|mut writer| {
            let look = leaks(100, &[90, 5]);
            writer.event(&record(1))?;
            (0..100).try_for_each(|_| writer.look(&look, &named(&look)).map(|_| ()))?;
            writer.finish().map(|_| ())
        });
        assert!(written.is_err(), "{room}");
    }
}
