//! Licence expressions of SPDX, as crates have them.

/// Licences that go with `MIT OR Apache-2.0` and ask for no more than a notice.
const ALLOWED: [&str; 9] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an expression can be met with allowed licences, and with `exception` where there is one.
/// An exception to a licence (`WITH`) only adds rights. `/` is how `OR` used to be written.
pub fn is_allowed(expression: &str, exception: Option<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let is_met = any(&mut rest, exception);
    is_met == Some(true) && rest.is_empty()
}

/// `A OR B`. `None`: it makes no sense.
fn any(words: &mut &[&str], exception: Option<&str>) -> Option<bool> {
    let mut is_met = all(words, exception)?;
    while take(words, "OR") {
        is_met |= all(words, exception)?;
    }
    Some(is_met)
}

/// `A AND B`, which binds tighter.
fn all(words: &mut &[&str], exception: Option<&str>) -> Option<bool> {
    let mut is_met = one(words, exception)?;
    while take(words, "AND") {
        is_met &= one(words, exception)?;
    }
    Some(is_met)
}

/// A licence, with what is excepted from it, or an expression in parentheses.
fn one(words: &mut &[&str], exception: Option<&str>) -> Option<bool> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    if *first == "(" {
        let is_met = any(words, exception)?;
        return take(words, ")").then_some(is_met);
    }
    if take(words, "WITH") {
        *words = words.split_first()?.1;
    }
    Some(ALLOWED.contains(first) || exception == Some(*first))
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_says() {
        for (expression, expected) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("GPL-2.0-only OR MIT AND Zlib", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR GPL-2.0-only) AND GPL-3.0-only", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true),
            ("", false),
            ("MIT OR", false),
            ("(MIT", false),
            ("MIT MIT", false),
        ] {
            assert_eq!(is_allowed(expression, None), expected, "{expression}");
        }
    }

    #[test]
    fn an_exception_is_one_more_licence() {
        assert!(is_allowed("(MIT OR Apache-2.0) AND NCSA", Some("NCSA")));
        assert!(!is_allowed("(MIT OR Apache-2.0) AND NCSA", None));
    }
}
