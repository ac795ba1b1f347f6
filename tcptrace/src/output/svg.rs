//! A flame graph: who leaks sockets, by where they were opened.

use std::io::{self, Write};

use inferno::flamegraph::{Options, from_lines};

use super::folded::Folding;
use super::{Output, units};
use crate::lifecycle::report::Report;

/// Columns of the picture, pixels.
const WIDTH: usize = 1200;

/// A flame graph.
#[derive(Clone, Copy, Debug, Default)]
pub struct Svg(pub Folding);

impl Output for Svg {
    fn write(&mut self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let lines = self.0.lines(report);
        // The picture is finished before it is written: half of one is none.
        let mut picture = Vec::new();
        if lines.is_empty() {
            self.nothing(report, &mut picture)?;
        } else {
            from_lines(&mut self.options(report), lines.iter().map(String::as_str), &mut picture)?;
        }
        out.write_all(&picture)?;
        out.flush()
    }
}

impl Svg {
    fn options(self, report: &Report) -> Options<'static> {
        let mut options = Options::default();
        options.title = "Leaked TCP sockets by where they were opened".to_owned();
        options.subtitle = Some(self.subtitle(report));
        options.count_name = self.0.weight.unit().to_owned();
        options.name_type = "Function:".to_owned();
        options.image_width = Some(WIDTH);
        options.deterministic = true;
        options.min_width = 0.0;
        options
    }

    fn subtitle(self, report: &Report) -> String {
        let all = report.groups.iter().flat_map(|group| &group.leaks);
        let left_out = all.filter(|leak| self.0.weight.of(leak).is_none()).count();
        let left_out = match left_out {
            0 => String::new(),
            some => format!(", {some} of unknown age left out"),
        };
        format!("{}{left_out}", summary(report))
    }

    /// A picture that says that there is nothing to picture.
    fn nothing(self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let what = if report.leaks() == 0 { "nothing leaks" } else { "nothing to weigh" };
        writeln!(
            out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"60\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#f8f8f8\"/>\n\
             <text x=\"50%\" y=\"35\" text-anchor=\"middle\" font-family=\"monospace\">\
             {what}: {}</text>\n</svg>",
            self.subtitle(report)
        )
    }
}

fn summary(report: &Report) -> String {
    let sockets = units::count(u64::try_from(report.leaks()).unwrap_or(u64::MAX), "socket");
    format!(
        "{sockets} older than {} · traced {} · {} lost · {}",
        units::duration(report.min_age_ns),
        units::duration(report.traced_ns),
        report.lost_total(),
        units::rfc3339_seconds(report.checked_at_ns),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::weight::Weight;
    use crate::output::fixtures;

    fn picture(report: &Report, folding: Folding) -> String {
        let mut out = Vec::new();
        Svg(folding).write(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_picture_names_processes_and_functions() {
        let text = picture(&fixtures::servers(), Folding::default());
        assert!(text.starts_with("<?xml") && text.trim_end().ends_with("</svg>"));
        for part in ["nginx+0x2f31a", "take_connection", "22 sockets older than 30s", "postgres"] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn hostile_names_are_text() {
        use crate::lifecycle::text::is_hazard;
        let text = picture(&fixtures::full(), Folding { native: true, ..Folding::default() });
        assert!(text.contains("&lt;script&gt;"), "escaped");
        assert!(!text.contains("<script>"), "inferno's own element has attributes");
        let harmful = |character: char| is_hazard(character) && character != '\n';
        let found: Vec<char> = text.chars().filter(|own| harmful(*own) && *own != '\t').collect();
        assert!(found.is_empty(), "{found:?}");
        assert!(!text.contains('\u{fffe}'));
    }

    #[test]
    fn seconds_say_what_they_leave_out() {
        let folding = Folding { weight: Weight::Seconds, native: false };
        let text = picture(&fixtures::full(), folding);
        assert!(text.contains("1 of unknown age left out") && text.contains("socket-seconds"));
    }

    #[test]
    fn nothing_is_a_picture_too() {
        let text = picture(&fixtures::empty(), Folding::default());
        assert!(text.contains("nothing leaks: 0 sockets older than 30s"), "{text}");
    }

    #[test]
    fn the_same_report_is_the_same_picture() {
        let picture = || picture(&fixtures::servers(), Folding::default());
        assert_eq!(picture(), picture());
    }
}
