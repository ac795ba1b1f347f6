//! What the name in a perf map says.

/// A function made at run time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JitName {
    /// Its name.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

/// What V8 puts before the name of a function of JavaScript.
const V8_KINDS: [&str; 6] =
    ["JS:", "LazyCompile:", "Function:", "InterpretedFunction:", "Script:", "Eval:"];
/// How the code was made: interpreted, baseline, optimised …
const V8_TIERS: [char; 5] = ['~', '*', '^', '+', '-'];

/// Takes apart what V8 writes (`JS:*serve /srv/app.js:12:3`); any other name is a function.
#[must_use]
pub fn jit_name(name: &str) -> JitName {
    let kind = V8_KINDS.iter().find_map(|kind| name.strip_prefix(kind));
    let Some(rest) = kind else {
        return JitName { function: name.to_owned(), ..JitName::default() };
    };
    let rest = rest.strip_prefix(V8_TIERS).unwrap_or(rest);
    let (place, line) = without_position(rest);
    let Some(line) = line else {
        return JitName { function: named(rest), ..JitName::default() };
    };
    let (function, file) = split(place);
    let file = (!file.is_empty()).then(|| file.to_owned());
    JitName { function: named(function), file, line: Some(line) }
}

fn named(function: &str) -> String {
    if function.is_empty() { "(anonymous)".to_owned() } else { function.to_owned() }
}

/// `serve app.js:12:3` → `serve app.js` and 12; the column may be missing.
fn without_position(text: &str) -> (&str, Option<u32>) {
    let last = |text: &str| -> Option<(usize, u32)> {
        let at = text.rfind(':')?;
        Some((at, text[at + 1..].parse().ok()?))
    };
    let Some((end, number)) = last(text) else { return (text, None) };
    match last(&text[..end]) {
        Some((start, line)) => (&text[..start], Some(line)),
        None => (&text[..end], Some(number)),
    }
}

/// `get port app.js` → `get port` and `app.js`. A function has no blank in its name but for that
/// of an accessor; a file may have some.
fn split(place: &str) -> (&str, &str) {
    let Some((first, rest)) = place.split_once(' ') else { return (place, "") };
    let property = rest.split_once(' ').map(|(property, _)| property);
    // `get` may be the whole name as well: then a file follows.
    let property = property.filter(|name| !name.contains(['/', ':']));
    match property {
        Some(property) if matches!(first, "get" | "set") => {
            let end = first.len() + 1 + property.len();
            (&place[..end], &place[end + 1..])
        }
        _ => (first, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_v8_tell_file_and_line() {
        for (name, function, file, line) in [
            ("JS:*serve /srv/app.js:12:3", "serve", "/srv/app.js", 12),
            ("LazyCompile:~internalConnect node:net:1038:25", "internalConnect", "node:net", 1038),
            ("JS:~internalConnect node:net:1038:25", "internalConnect", "node:net", 1038),
            ("JS:^get port /srv/my app.js:7:9", "get port", "/srv/my app.js", 7),
            ("JS:~get node:internal/helpers:270:12", "get", "node:internal/helpers", 270),
            ("JS:~get /srv/my app.js:2:1", "get", "/srv/my app.js", 2),
            ("Function:~ /srv/app.js:1:1", "(anonymous)", "/srv/app.js", 1),
            ("JS:*f a.js:5", "f", "a.js", 5),
            ("Script:~ file:///srv/m.mjs:1:1", "(anonymous)", "file:///srv/m.mjs", 1),
        ] {
            let found = jit_name(name);
            let expected =
                JitName { function: function.into(), file: Some(file.into()), line: Some(line) };
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn other_names_stay_as_they_are() {
        for name in [
            "java.net.Socket Srv.outer(java.net.ServerSocket, int)",
            "Interpreter",
            "Builtin:CallFunction_ReceiverIsAny",
            "RegExp:a:1:2",
            "",
        ] {
            let expected = JitName { function: name.into(), ..JitName::default() };
            assert_eq!(jit_name(name), expected);
        }
        assert_eq!(jit_name("JS:*eval").function, "eval");
        assert_eq!(jit_name("JS:").function, "(anonymous)");
        assert_eq!(jit_name("JS:*:1:2").function, "(anonymous)");
        assert_eq!(jit_name("JS:~f x:99999999999:1").file, Some("x:99999999999".into()));
    }
}
