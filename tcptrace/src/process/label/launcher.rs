//! Launchers: programs that serve an application which their command line names.

use super::grammar::Program;
use crate::lifecycle::text;

const LAUNCHERS: &[&str] = &[
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "granian",
    "waitress-serve",
    "celery",
    "dramatiq",
    "flask",
];
/// Options whose value is the application.
const APP: &[&str] = &["-A", "--app"];
/// Options that take no value: what stands behind one is not its value, which may be a secret.
const FLAGS: &[&str] = &[
    "--call",
    "--capture-output",
    "--daemon",
    "-D",
    "--factory",
    "--no-access-log",
    "--no-sendfile",
    "--no-use-colors",
    "--preload",
    "--proxy-headers",
    "--reload",
    "--reuse-port",
    "--use-colors",
];

/// `gunicorn app:app`; `None`: it is no launcher, or what it serves is not certain.
pub fn label(program: &Program<'_>) -> Option<String> {
    let name = program.name.rsplit(|byte| *byte == b'/').next()?;
    if !has(LAUNCHERS, name) {
        return None;
    }
    let app = by_option(program.arguments).or_else(|| by_place(program.arguments))?;
    Some(format!("{} {}", text::from_bytes(name), text::from_bytes(app)))
}

/// `-A shop.tasks`, `--app=shop`.
fn by_option<'a>(arguments: &[&'a [u8]]) -> Option<&'a [u8]> {
    let apart = arguments.windows(2).filter_map(|pair| match pair {
        [option, value] if has(APP, option) => Some(*value),
        _ => None,
    });
    let joined = arguments.iter().filter_map(|word| word.strip_prefix(b"--app="));
    apart.chain(joined).find(|app| is_module(app) || is_object(app))
}

/// A `module:app` that is no option's value.
fn by_place<'a>(arguments: &[&'a [u8]]) -> Option<&'a [u8]> {
    let before = std::iter::once(&b""[..]).chain(arguments.iter().copied());
    let takes_value =
        |option: &[u8]| option.starts_with(b"-") && !option.contains(&b'=') && !has(FLAGS, option);
    arguments
        .iter()
        .zip(before)
        .find_map(|(word, before)| (!takes_value(before) && is_object(word)).then_some(*word))
}

/// `module:app`, `package.module:make()`.
fn is_object(word: &[u8]) -> bool {
    let mut parts = word.splitn(2, |byte| *byte == b':');
    let (Some(module), Some(object)) = (parts.next(), parts.next()) else {
        return false;
    };
    is_module(module) && is_module(object.strip_suffix(b"()").unwrap_or(object))
}

/// Names with dots between them.
fn is_module(word: &[u8]) -> bool {
    word.split(|byte| *byte == b'.').all(|name| {
        let starts = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        starts && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    })
}

fn has(list: &[&str], word: &[u8]) -> bool {
    list.iter().any(|known| known.as_bytes() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label_of(line: &str) -> Option<String> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        label(&Program { name: words[0], is_file: true, arguments: &words[1..] })
    }

    #[test]
    fn a_launcher_serves_an_application() {
        for (line, expected) in [
            ("/usr/bin/gunicorn app:app", "gunicorn app:app"),
            ("gunicorn -b 0.0.0.0:8000 -w 4 shop.web:make()", "gunicorn shop.web:make()"),
            ("gunicorn --bind=localhost:80 --preload app:app", "gunicorn app:app"),
            ("uvicorn main:app --host h:p", "uvicorn main:app"),
            ("celery -A shop.tasks worker -l info", "celery shop.tasks"),
            ("flask --app=hello run", "flask hello"),
        ] {
            assert_eq!(label_of(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_not_certain_is_not_shown() {
        for line in [
            "gunicorn",
            "gunicorn app",
            "gunicorn --password user:s3cret",
            "gunicorn -b localhost:8000",
            "celery -A redis://:s3cret@host worker",
            "celery -b amqp://u:s3cret@host",
            "gunicorn -A",
            "manage.py app:app",
        ] {
            assert_eq!(label_of(line), None, "{line}");
        }
    }
}
