use super::*;

fn named(text: &str, address: u64) -> Option<String> {
    let map = PerfMap::parse(text.as_bytes().to_vec());
    map.find(address).map(|name| String::from_utf8_lossy(name).into_owned())
}

/// xorshift64*: the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

#[test]
fn both_spellings_of_numbers_are_read() {
    let text = "1000 20 java.lang.Thread.run()\n0x00007f0000001000 0x0000000000000010 a b\n";
    assert_eq!(named(text, 0x101f).as_deref(), Some("java.lang.Thread.run()"));
    assert_eq!(named(text, 0x7f00_0000_1000).as_deref(), Some("a b"));
    assert_eq!((named(text, 0xfff), named(text, 0x1020), named(text, 0)), (None, None, None));
}

#[test]
fn the_later_entry_counts() {
    let text = "1000 100 old\n1040 20 new\n1050 8 newest\n2000 10 x\n2000 10 y\n";
    let at = |address| named(text, address).unwrap();
    assert_eq!([at(0x1000), at(0x1040), at(0x1050), at(0x1058)], ["old", "new", "newest", "new"]);
    assert_eq!([at(0x1060), at(0x10ff), at(0x2005)], ["old", "old", "y"]);
    let swallowed = "1040 20 early\n1000 100 late\n";
    assert_eq!(named(swallowed, 0x1050).as_deref(), Some("late"));
}

#[test]
fn what_is_no_entry_is_left_out() {
    let good = "10 10 good";
    for bad in [
        "",
        " ",
        "10",
        "10 10",
        "10 10 ",
        "x 10 f",
        "10 x f",
        "10 0 f",
        "+10 10 f",
        "-1 1 f",
        "0x 1 f",
        "ffffffffffffffff 1 f",
        "fffffffffffffffff 1 f",
        "1 ffffffffffffffff f",
        "\0\0 \u{fffd}",
    ] {
        let text = format!("{bad}\n{good}\r\n{bad}");
        assert_eq!(named(&text, 0x18).as_deref(), Some("good"), "{bad:?}");
    }
    let mut raw = b"10 10 \xff\xfe\n20 10 f".to_vec();
    raw.extend([0xff; 9]);
    let map = PerfMap::parse(raw);
    assert_eq!(map.find(0x10), Some(&b"\xff\xfe"[..]));
}

#[test]
fn a_long_name_is_cut() {
    let text = format!("10 10 {}\n", "n".repeat(1 << 20));
    assert_eq!(named(&text, 0x10).unwrap().len(), NAME_MAX);
}

/// Against the plain meaning: the last line that covers an address.
#[test]
fn any_overlap_is_resolved_as_written() {
    let mut random = Random(7);
    for _ in 0..300 {
        let entries: Vec<(u64, u64)> =
            (0..random.below(40)).map(|_| (random.below(64), 1 + random.below(24))).collect();
        let line =
            |(index, (start, size)): (usize, &(u64, u64))| format!("{start:x} {size:x} f{index}\n");
        let text: String = entries.iter().enumerate().map(line).collect();
        let map = PerfMap::parse(text.into_bytes());
        assert!(map.spans.len() <= 2 * entries.len());
        for address in 0..90 {
            let covers = |(start, size): &(u64, u64)| (*start..start + size).contains(&address);
            let expected = entries.iter().rposition(covers).map(|index| format!("f{index}"));
            assert_eq!(map.find(address), expected.as_ref().map(|name| name.as_bytes()));
        }
    }
}

#[test]
fn no_bytes_are_a_panic() {
    const BYTES: &[u8] = b"0123456789abcdefx  \n\n\r\t\0:~*JS\xff";
    let mut random = Random(1);
    for _ in 0..3000 {
        let text: Vec<u8> = (0..random.below(200))
            .map(|_| BYTES[random.below(BYTES.len() as u64) as usize])
            .collect();
        let map = PerfMap::parse(text.clone());
        for address in [0, 1, 0xf, u64::MAX, random.next()] {
            let _ = map.find(address);
        }
        let _ = jit_name(&String::from_utf8_lossy(&text));
        let _ = jit_name(&format!("JS:{}", String::from_utf8_lossy(&text)));
    }
}

/// Entries that all overlap, the worst order for a naive resolution: done in a moment.
#[test]
fn nested_entries_take_no_more_time_than_others() {
    let small = (0..60_000u64).map(|index| format!("{:x} 2 s\n", 0x10_0000 + index * 4));
    let large = (0..60_000u64).map(|index| format!("{index:x} 1000000 l\n"));
    let text: String = large.chain(small).collect();
    let map = PerfMap::parse(text.into_bytes());
    assert_eq!(map.find(0x10_0000), Some(&b"s"[..]));
    assert_eq!(map.find(0x10_0002), Some(&b"l"[..]));
}
