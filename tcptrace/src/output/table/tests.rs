use super::*;
use crate::output::fixtures;
use crate::output::golden::assert_golden;

fn shown(report: &Report, style: Style) -> String {
    let mut out = Vec::new();
    Table::new(style).write(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn rows(width: usize) -> Style {
    Style { width, rows: true, ..Style::default() }
}

fn colored() -> Style {
    Style { color: true, ..Style::default() }
}

#[test]
fn groups_look_as_agreed() {
    assert_golden("groups.txt", &shown(&fixtures::full(), Style::default()));
}

#[test]
fn rows_look_as_agreed() {
    assert_golden("rows.txt", &shown(&fixtures::full(), rows(Style::DEFAULT_WIDTH)));
    assert_golden("rows_wide.txt", &shown(&fixtures::full(), rows(usize::MAX)));
}

#[test]
fn colours_look_as_agreed() {
    assert_golden("groups_color.txt", &shown(&fixtures::full(), colored()));
}

#[test]
fn groups_by_something_else_name_it_and_who_holds_them() {
    let mut report = fixtures::full();
    for group in &mut report.groups {
        group.by = Some(("remote".into(), "10.0.0.\x1b7".into()));
    }
    assert_golden("groups_by.txt", &shown(&report, Style::default()));
}

#[test]
fn leaks_of_servers_look_as_agreed() {
    assert_golden("servers.txt", &shown(&fixtures::servers(), Style::default()));
}

#[test]
fn columns_do_not_jump_when_groups_go() {
    let mut table = Table::new(Style::default());
    let mut report = fixtures::servers();
    let mut column = |report: &Report| {
        let mut out = Vec::new();
        table.write(report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let line = text.lines().find(|line| line.contains("redis-server[24780]  ")).unwrap();
        line.find("eof-not-read").unwrap()
    };
    let before = column(&report);
    report.groups.drain(..4);
    assert_eq!(column(&report), before);
}

#[test]
fn no_leaks_are_one_line() {
    let text = shown(&fixtures::empty(), Style::default());
    let expected = "no leaks: 0 sockets older than 30s · 5 checked · traced 42s · 0 lost · \
                    checked 02:18:00Z\n";
    assert_eq!(text, expected);
}

#[test]
fn lines_keep_within_their_width() {
    for report in [fixtures::full(), fixtures::servers(), fixtures::populated()] {
        for width in [60, 80, Style::DEFAULT_WIDTH] {
            let text = shown(&report, Style { width, ..Style::default() });
            let widest = text.lines().map(cell::width).max();
            assert!(widest <= Some(width), "{widest:?} > {width}\n{text}");
        }
        for width in [90, Style::DEFAULT_WIDTH] {
            let text = shown(&report, rows(width));
            assert!(text.lines().map(cell::width).max() <= Some(width), "{text}");
        }
    }
}

#[test]
fn even_a_silly_width_is_no_panic() {
    for width in 0..40 {
        shown(&fixtures::full(), Style { width, ..Style::default() });
        shown(&fixtures::servers(), Style { width, ..Style::default() });
        shown(&fixtures::full(), rows(width));
    }
}

#[test]
fn nothing_raw_reaches_the_terminal() {
    use crate::lifecycle::text::is_hazard;
    for style in [Style::default(), rows(usize::MAX)] {
        let text = shown(&fixtures::full(), style);
        assert!(text.lines().all(|line| !line.contains(is_hazard)), "{text:?}");
        assert!(text.contains("\\x1b[2J"));
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let mut text = shown(&fixtures::full(), colored());
    while let Some(start) = text.find('\x1b') {
        let end = start + text[start..].find('m').unwrap();
        text.replace_range(start..=end, "");
    }
    let plain = shown(&fixtures::full(), Style::default());
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, plain.lines().collect::<Vec<_>>());
}

#[test]
fn reports_after_the_first_are_set_off() {
    let mut table = Table::new(Style::default());
    let mut out = Vec::new();
    table.write(&fixtures::empty(), &mut out).unwrap();
    table.write(&fixtures::empty(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[1]), (3, ""));
}

#[test]
fn a_failing_output_is_an_error() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = Table::new(Style::default()).write(&fixtures::full(), &mut Full).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
