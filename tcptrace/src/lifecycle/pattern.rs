//! Glob patterns for names: `*`, `?`, `[a-z]`, `[!a-z]`, and `\` before a character that is meant
//! as it stands. A pattern matches a whole name; `*` crosses `/`, because a cgroup path is one
//! name here.

use std::fmt;

/// Length of a comm that the kernel keeps, in bytes.
const COMM_BYTES: usize = 15;

/// A glob pattern, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// This character.
    One(char),
    /// Any one character.
    Any,
    /// Any number of any characters.
    Run,
    /// One character within (or, negated, outside of) these ranges.
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// Nothing could match it.
    Empty,
    /// `[` without `]`.
    OpenClass,
    /// `\` at the end.
    OpenEscape,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty pattern matches nothing; write a name such as 'java*'",
            Self::OpenClass => "'[' has no matching ']'; write '\\[' for the character itself",
            Self::OpenEscape => "'\\' at the end; write '\\\\' for the character itself",
        })
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// The pattern is empty or not complete.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let mut items = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            match character {
                '*' if items.last() == Some(&Item::Run) => {}
                '*' => items.push(Item::Run),
                '?' => items.push(Item::Any),
                '[' => items.push(parse_class(&mut rest)?),
                '\\' => items.push(Item::One(rest.next().ok_or(PatternError::OpenEscape)?)),
                other => items.push(Item::One(other)),
            }
        }
        Ok(Self { items })
    }

    /// Parses a pattern for a comm. The kernel keeps 15 bytes of a name, so a longer name without
    /// wildcards is cut to that before it is compared.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_comm(text: &str) -> Result<Self, PatternError> {
        let mut pattern = Self::parse(text)?;
        let mut bytes = 0;
        let plain = pattern.items.iter().all(|item| matches!(item, Item::One(_)));
        if plain {
            pattern.items.retain(|item| {
                bytes += item.bytes();
                bytes <= COMM_BYTES
            });
        }
        Ok(pattern)
    }

    /// Whether the whole of `name` matches. Time is at most proportional to the product of the
    /// lengths.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut item, mut at) = (0, 0);
        // Where to go on after a failure: the item behind the last run, and where that run ends.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (self.items.get(item), name.get(at)) {
                (None, None) => return true,
                (Some(Item::Run), _) => {
                    item += 1;
                    retry = Some((item, at));
                    continue;
                }
                (Some(expected), Some(character)) if expected.takes(*character) => {
                    item += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((behind, end)) if end < name.len() => {
                    (item, at) = (behind, end + 1);
                    retry = Some((behind, end + 1));
                }
                _ => return false,
            }
        }
    }
}

impl Item {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::One(own) => *own == character,
            Self::Any => true,
            Self::Run => false,
            Self::Class { negated, ranges } => {
                let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                inside != *negated
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::One(character) => character.len_utf8(),
            _ => 0,
        }
    }
}

/// Parses what follows `[`; as in the shell a `]` right at the start stands for itself.
fn parse_class(rest: &mut std::str::Chars<'_>) -> Result<Item, PatternError> {
    let mut next = rest.next().ok_or(PatternError::OpenClass)?;
    let negated = matches!(next, '!' | '^');
    if negated {
        next = rest.next().ok_or(PatternError::OpenClass)?;
    }
    let mut ranges: Vec<(char, char)> = Vec::new();
    loop {
        if next == ']' && !ranges.is_empty() {
            return Ok(Item::Class { negated, ranges });
        }
        let low = next;
        next = rest.next().ok_or(PatternError::OpenClass)?;
        if next == '-' {
            next = rest.next().ok_or(PatternError::OpenClass)?;
            if next == ']' {
                ranges.extend([(low, low), ('-', '-')]);
                continue;
            }
            ranges.push((low, next));
            next = rest.next().ok_or(PatternError::OpenClass)?;
        } else {
            ranges.push((low, low));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn a_pattern_matches_the_whole_name() {
        assert!(matches("java", "java"));
        assert!(!matches("java", "javac"));
        assert!(!matches("java", "ajava"));
        assert!(!matches("java", ""));
    }

    #[test]
    fn runs_match_any_number_of_characters_and_slashes() {
        assert!(matches("java*", "java"));
        assert!(matches("*/docker-*.scope", "/system.slice/docker-12.scope"));
        assert!(matches("*a*b*c*", "xxaxxbxxc"));
        assert!(!matches("*a*b*c", "xxaxxbxxcx"));
        assert!(matches("*", ""));
        assert!(matches("a**b", "ab"));
    }

    #[test]
    fn one_character_and_classes() {
        assert!(matches("py?hon[23]", "python3"));
        assert!(!matches("python[23]", "python4"));
        assert!(matches("[!a-c]x", "dx"));
        assert!(!matches("[!a-c]x", "bx"));
        assert!(matches("[]]", "]"));
        assert!(matches("[a-]", "-"));
        assert!(matches("日?語", "日本語"));
    }

    #[test]
    fn escaped_characters_stand_for_themselves() {
        assert!(matches("\\*", "*"));
        assert!(!matches("\\*", "x"));
    }

    #[test]
    fn a_pattern_that_is_not_complete_is_an_error() {
        assert_eq!(Pattern::parse(""), Err(PatternError::Empty));
        for text in ["[", "[a", "[!", "[a-", "[]"] {
            assert_eq!(Pattern::parse(text), Err(PatternError::OpenClass), "{text}");
        }
        assert_eq!(Pattern::parse("a\\"), Err(PatternError::OpenEscape));
    }

    #[test]
    fn a_long_plain_name_matches_the_comm_that_the_kernel_cut() {
        let long = Pattern::parse_comm("systemd-networkd-dispatcher").unwrap();
        assert!(long.matches("systemd-network"));
        assert!(!long.matches("systemd-networ"));
        let glob = Pattern::parse_comm("systemd-networkd*").unwrap();
        assert!(!glob.matches("systemd-network"));
    }

    #[test]
    fn hostile_patterns_end() {
        let pattern = "*a".repeat(50);
        assert!(!matches(&pattern, &"a".repeat(49)));
        assert!(!matches(&format!("{pattern}b"), &"a".repeat(2000)));
    }
}
