//! One line of advice: as in sysctl.conf(5), or as a command that pages print.

/// A setting and its value, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A comment, a blank line, or a command that sets nothing.
    Nothing,
    /// Settings.
    Settings(Vec<Assignment>),
    /// Something else.
    Malformed(&'static str),
}

/// A part of a shell command.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `>` or `>>`.
    Into,
    Pipe,
    /// `;` or `&&`.
    End,
}

/// Reads one line.
pub(super) fn line(text: &str) -> Parsed {
    let text = text.trim();
    if text.is_empty() || text.starts_with(['#', ';']) {
        return Parsed::Nothing;
    }
    let text = text.strip_prefix("$ ").unwrap_or(text).trim();
    let first = text.split_whitespace().find(|word| *word != "sudo").unwrap_or_default();
    match first.rsplit('/').next() {
        Some("sysctl" | "echo" | "printf") if !text.starts_with('=') => shell(text),
        _ => assignment(text),
    }
}

/// `name = value`, as in sysctl.conf(5). A comment behind the value is not part of that format, but
/// pages print it.
fn assignment(text: &str) -> Parsed {
    let Some((name, value)) = text.split_once('=') else {
        return Parsed::Malformed("no setting: it has no =");
    };
    let name = name.trim();
    let name = name.strip_prefix('-').unwrap_or(name).trim();
    if name.is_empty() {
        return Parsed::Malformed("no setting: it has no name");
    }
    if name.contains(char::is_whitespace) {
        return Parsed::Malformed("no setting: its name has a blank");
    }
    let value = unquoted(without_comment(value).trim()).to_owned();
    Parsed::Settings(vec![Assignment { name: name.to_owned(), value }])
}

fn without_comment(value: &str) -> &str {
    let end = [" #", "\t#", " ;", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    end.map_or(value, |end| &value[..end])
}

fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value).trim()
}

/// Commands of a shell, one behind the other.
fn shell(text: &str) -> Parsed {
    let tokens = tokens(text);
    let mut settings = Vec::new();
    for command in tokens.split(|token| *token == Token::End) {
        match run(command) {
            Parsed::Nothing => {}
            Parsed::Settings(more) => settings.extend(more),
            malformed @ Parsed::Malformed(_) => return malformed,
        }
    }
    if settings.is_empty() { Parsed::Nothing } else { Parsed::Settings(settings) }
}

fn run(command: &[Token]) -> Parsed {
    let end = command.iter().position(|token| !matches!(token, Token::Word(_)));
    let (before, after) = command.split_at(end.unwrap_or(command.len()));
    let words: Vec<&str> = words(before).filter(|word| *word != "sudo").collect();
    let Some((program, arguments)) = words.split_first() else { return Parsed::Nothing };
    match program.rsplit('/').next() {
        Some("sysctl") => sysctl(arguments),
        Some("echo" | "printf") => echo(arguments, target(after)),
        _ => Parsed::Nothing,
    }
}

fn words(tokens: &[Token]) -> impl Iterator<Item = &str> {
    tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(&word[..]),
        _ => None,
    })
}

/// The file that output goes to: behind `>`, or the argument of tee(1).
fn target(after: &[Token]) -> Option<&str> {
    if after.first() == Some(&Token::Into) {
        return words(after).next();
    }
    let mut piped = words(after).skip_while(|word| *word == "sudo");
    piped.next().filter(|program| program.rsplit('/').next() == Some("tee"))?;
    piped.find(|word| !word.starts_with('-'))
}

/// `sysctl -w name=value …`. Values of several words that are not quoted belong together, though
/// sysctl(8) would not take them so.
fn sysctl(arguments: &[&str]) -> Parsed {
    let arguments: Vec<&str> =
        arguments.iter().copied().skip_while(|word| word.starts_with('-')).collect();
    if arguments.get(1).is_some_and(|word| word.starts_with('=')) {
        return assignment(&arguments.join(" "));
    }
    let mut settings: Vec<Assignment> = Vec::new();
    for word in arguments {
        match (word.contains('='), settings.last_mut()) {
            (true, _) => match assignment(word) {
                Parsed::Settings(more) => settings.extend(more),
                other => return other,
            },
            (false, Some(last)) => {
                last.value.push(' ');
                last.value.push_str(word);
            }
            (false, None) => {}
        }
    }
    if settings.is_empty() { Parsed::Nothing } else { Parsed::Settings(settings) }
}

/// `echo value > /proc/sys/…`, or `echo 'name = value' >> /etc/sysctl.conf`.
fn echo(arguments: &[&str], target: Option<&str>) -> Parsed {
    let said: Vec<&str> =
        arguments.iter().copied().skip_while(|word| matches!(*word, "-n" | "-e")).collect();
    let said = said.join(" ");
    match target {
        Some(file) if file.starts_with("/proc/sys/") => {
            let (name, value) = (file.to_owned(), said.trim().to_owned());
            Parsed::Settings(vec![Assignment { name, value }])
        }
        _ if said.contains('=') => assignment(&said),
        _ => Parsed::Nothing,
    }
}

/// Splits as a shell does, without its expansions.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '>' | '|' | ';' | '&') => {
                tokens.extend(word.take().map(Token::Word));
                let token = match character {
                    '>' => Token::Into,
                    '|' => Token::Pipe,
                    _ => Token::End,
                };
                // `>>`, `&&` and `||` are one.
                if tokens.last() != Some(&token) {
                    tokens.push(token);
                }
            }
            (None, character) if character.is_whitespace() => {
                tokens.extend(word.take().map(Token::Word));
            }
            (None, character) => word.get_or_insert_default().push(character),
        }
    }
    tokens.extend(word.map(Token::Word));
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Vec<(String, String)> {
        match line(text) {
            Parsed::Settings(settings) => {
                settings.into_iter().map(|setting| (setting.name, setting.value)).collect()
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    fn one(text: &str) -> (String, String) {
        let settings = settings(text);
        assert_eq!(settings.len(), 1, "{text}");
        settings.into_iter().next().unwrap()
    }

    #[test]
    fn lines_of_sysctl_conf() {
        for text in [
            "net.ipv4.tcp_tw_reuse = 1",
            "net.ipv4.tcp_tw_reuse=1",
            "  -net.ipv4.tcp_tw_reuse =  1 \r",
            "- net.ipv4.tcp_tw_reuse = 1",
            "net.ipv4.tcp_tw_reuse = 1  # reuse",
            "net.ipv4.tcp_tw_reuse = \"1\"",
        ] {
            assert_eq!(one(text), ("net.ipv4.tcp_tw_reuse".into(), "1".into()), "{text}");
        }
        assert_eq!(one("net/ipv4/x=4096 87380\t1"), ("net/ipv4/x".into(), "4096 87380\t1".into()));
        assert_eq!(one("a ="), ("a".into(), String::new()));
        assert_eq!(one("a = b=c"), ("a".into(), "b=c".into()));
    }

    #[test]
    fn nothing_and_nonsense() {
        for text in
            ["", " \t\r", "# a = b", "; a = b", "sysctl -p", "sysctl --system", "echo hello"]
        {
            assert_eq!(line(text), Parsed::Nothing, "{text}");
        }
        for text in ["cat <<EOF", "= 1", "-", "- = 2", "two words = 1", "EOF"] {
            assert!(matches!(line(text), Parsed::Malformed(_)), "{text}");
        }
    }

    #[test]
    fn commands() {
        for text in [
            "sysctl -w net.ipv4.tcp_rmem='4096 87380 16777216'",
            "$ sudo /sbin/sysctl -q -w \"net.ipv4.tcp_rmem=4096 87380 16777216\"",
            "sysctl -w net.ipv4.tcp_rmem=4096 87380 16777216",
            "sysctl -w net.ipv4.tcp_rmem = 4096 87380 16777216",
            "sysctl net.ipv4.tcp_rmem=\"4096 87380 16777216\" # buffers",
            "echo 'net.ipv4.tcp_rmem = 4096 87380 16777216' >> /etc/sysctl.conf",
            "echo \"net.ipv4.tcp_rmem=4096 87380 16777216\" | sudo tee -a /etc/sysctl.conf",
        ] {
            let wanted = ("net.ipv4.tcp_rmem".into(), "4096 87380 16777216".into());
            assert_eq!(one(text), wanted, "{text}");
        }
        for text in [
            "echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse",
            "echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse",
            "echo -n \"1\" >> /proc/sys/net/ipv4/tcp_tw_reuse",
            "sudo echo 1 | sudo tee /proc/sys/net/ipv4/tcp_tw_reuse > /dev/null",
        ] {
            let wanted = ("/proc/sys/net/ipv4/tcp_tw_reuse".into(), "1".into());
            assert_eq!(one(text), wanted, "{text}");
        }
        let both = settings("sysctl -w a.b=1 c.d=2 && echo 3 > /proc/sys/e; sysctl -p");
        let names: Vec<_> = both.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(names, ["a.b=1", "c.d=2", "/proc/sys/e=3"]);
    }

    #[test]
    fn any_text_is_survived() {
        let parts =
            ["sysctl", "-w", "echo", " ", "=", ">", "|", "'", "\"", "#", "\u{0}", "é", "a", "-"];
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                text.push_str(parts[(state >> 33) as usize % parts.len()]);
            }
            let _ = line(&text);
        }
    }
}
