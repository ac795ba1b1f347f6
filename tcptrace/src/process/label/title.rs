//! The title that a process gave itself in place of its command line: `postgres: app shop
//! 10.0.0.5(40012) idle`.

use crate::lifecycle::text;

/// Characters of a title.
const TITLE_MAX: usize = 48;

/// The title, where the first word of the command line is one: a name that fits that of the
/// process, `: `, and what it does. Only that word is looked at, and no more of it than is no
/// argument.
pub fn of(cmdline: &[u8], comm: &[u8]) -> Option<String> {
    let first = cmdline.split(|byte| *byte == 0).next()?;
    let colon = first.windows(2).position(|pair| pair == b": ")?;
    let name = first.get(..colon).filter(|name| !name.is_empty())?;
    let fits = !comm.is_empty() && (first.starts_with(comm) || comm.starts_with(name));
    let title = fits.then(|| without_arguments(&text::from_bytes(first)))?;
    title.contains(": ").then(|| bounded(&title))
}

/// Up to the first word that may be an argument: some programs put their command line behind.
fn without_arguments(title: &str) -> String {
    let is_argument =
        |word: &&str| word.starts_with(['-', '(']) || word.contains('=') || word.contains("://");
    let words: Vec<&str> = title.split_whitespace().take_while(|word| !is_argument(word)).collect();
    words.join(" ")
}

fn bounded(title: &str) -> String {
    match title.char_indices().nth(TITLE_MAX) {
        None => title.to_owned(),
        Some(_) => title.chars().take(TITLE_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(line: &str, comm: &str) -> Option<String> {
        of(line.as_bytes(), comm.as_bytes())
    }

    #[test]
    fn titles_say_what_a_process_does() {
        for (line, comm) in [
            ("postgres: app shop 10.0.0.5(40012) SELECT", "postgres"),
            ("nginx: worker process", "nginx"),
            ("php-fpm: pool www", "php-fpm8.2"),
            ("gunicorn: worker [app:app]", "gunicorn: worke"),
        ] {
            assert_eq!(title(line, comm).as_deref(), Some(line));
            assert_eq!(title(&format!("{line}\0\0\0s3cret=1\0"), comm).as_deref(), Some(line));
        }
    }

    #[test]
    fn arguments_in_a_title_are_left_out() {
        let celery = "[celeryd: celery@h:MainProcess] -active- (worker -b redis://:s3cret@h)";
        let shown = title(celery, "[celeryd: celer");
        assert_eq!(shown.as_deref(), Some("[celeryd: celery@h:MainProcess]"));
        let shown = title("nginx: master process /usr/sbin/nginx -g s3cret;", "nginx");
        assert_eq!(shown.as_deref(), Some("nginx: master process /usr/sbin/nginx"));
        assert_eq!(title("app: key=s3cret", "app"), None, "nothing is left");
    }

    #[test]
    fn what_is_no_title_is_none() {
        for (line, comm) in [
            ("curl\0Authorization: s3cret\0", "curl"),
            ("Authorization: s3cret", "curl"),
            ("/opt/odd dir/app", "app"),
            (": s3cret", "app"),
            ("app: x", ""),
            ("", "app"),
        ] {
            assert_eq!(title(line, comm), None, "{line}");
        }
    }

    #[test]
    fn a_title_is_bounded() {
        let shown = title(&format!("postgres: {}", "ä".repeat(100)), "postgres").unwrap();
        assert_eq!(shown.chars().count(), TITLE_MAX);
        assert!(shown.ends_with("ä…"), "{shown}");
    }
}
