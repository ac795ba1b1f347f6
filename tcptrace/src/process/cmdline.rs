//! `/proc/PID/cmdline`: what an interpreter runs.
//!
//! A command line may hold passwords, so never more of it is shown than one word: the script, the
//! jar or the main class. Where that word is not certain there is no label.

use std::path::Path;

use super::read;
use crate::lifecycle::text;

/// A long class path can stand before the main class; more than this is not read.
const CMDLINE_BYTES: u64 = 256 * 1024;
/// A longer word is no name of a script.
const LABEL_BYTES: usize = 1024;

/// How an interpreter's command line reads.
struct Grammar {
    /// Name of the executable, without version.
    names: &'static [&'static str],
    /// Options whose value is the next word.
    with_value: &'static [&'static str],
    /// Options whose value is a name of what runs: a module.
    naming: &'static [&'static str],
    /// Options whose value is code: nothing has a name then.
    code: &'static [&'static str],
    /// First words that are not the script.
    verbs: &'static [&'static str],
}

const GRAMMARS: &[Grammar] = &[
    Grammar {
        names: &["java"],
        with_value: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--upgrade-module-path",
            "--add-modules",
            "--limit-modules",
            "--add-exports",
            "--add-opens",
            "--add-reads",
            "--patch-module",
            "--enable-native-access",
            "--source",
        ],
        naming: &["-m", "--module"],
        code: &[],
        verbs: &[],
    },
    Grammar {
        names: &["python", "pypy"],
        with_value: &["-W", "-X", "--check-hash-based-pycs"],
        naming: &["-m"],
        code: &["-c"],
        verbs: &[],
    },
    Grammar {
        names: &["node", "nodejs"],
        with_value: &["-r", "--require", "--import", "--loader", "-C", "--conditions"],
        naming: &[],
        code: &["-e", "--eval", "-p", "--print", "-pe"],
        verbs: &[],
    },
    Grammar {
        names: &["deno", "bun"],
        with_value: &[],
        naming: &[],
        code: &["-e", "-p", "--eval", "--print"],
        verbs: &["run"],
    },
    Grammar {
        names: &["ruby", "perl", "lua", "luajit", "Rscript", "tclsh"],
        with_value: &["-I", "-r", "-C", "-l"],
        naming: &[],
        code: &["-e", "-E"],
        verbs: &[],
    },
    Grammar {
        names: &["php", "php-cgi"],
        with_value: &["-c", "-d", "-z"],
        naming: &["-f", "--file"],
        code: &["-r", "-B", "-R", "-E"],
        verbs: &[],
    },
    Grammar {
        names: &["sh", "bash", "dash", "zsh", "ksh", "busybox"],
        with_value: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        naming: &[],
        code: &["-c", "-s"],
        verbs: &["sh", "ash"],
    },
    Grammar {
        names: &["dotnet"],
        with_value: &["--additionalprobingpath", "--fx-version", "--roll-forward"],
        naming: &[],
        code: &[],
        verbs: &["exec"],
    },
];

/// What the process runs, where its executable is an interpreter. `dir` is its directory in
/// `/proc`, `exe` the path of its executable.
pub fn label(dir: &Path, exe: Option<&str>) -> Option<String> {
    let grammar = grammar_of(exe?)?;
    let cmdline = read::bytes(&dir.join("cmdline"), CMDLINE_BYTES)?;
    let label = grammar.label(&words(&cmdline))?;
    (label.len() <= LABEL_BYTES).then(|| text::from_bytes(label))
}

fn grammar_of(exe: &str) -> Option<&'static Grammar> {
    let path = exe.strip_suffix(" (deleted)").unwrap_or(exe);
    let name = path.rsplit('/').next().unwrap_or(path);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    GRAMMARS.iter().find(|grammar| grammar.names.contains(&bare))
}

/// The words that end with a NUL; one that was cut by the bound is left out.
fn words(cmdline: &[u8]) -> Vec<&[u8]> {
    let mut words: Vec<&[u8]> = cmdline.split(|byte| *byte == 0).collect();
    words.pop();
    words
}

impl Grammar {
    /// The first word that is neither an option nor the value of one.
    fn label<'a>(&self, words: &[&'a [u8]]) -> Option<&'a [u8]> {
        let has = |list: &[&str], word: &[u8]| list.iter().any(|known| known.as_bytes() == word);
        let mut rest = words.iter().skip(1).copied();
        let mut verbs = self.verbs;
        loop {
            let word = rest.next()?;
            if word == b"--" {
                return rest.next().filter(|word| !word.is_empty());
            }
            if has(self.naming, word) {
                return rest.next().filter(|word| !word.is_empty());
            }
            if has(self.code, word) || self.is_code_in_cluster(word) {
                return None;
            }
            if has(self.with_value, word) {
                rest.next();
            } else if has(verbs, word) {
                verbs = &[];
            } else if word.is_empty() || word == b"-" {
                return None;
            } else if !matches!(word.first(), Some(b'-' | b'+' | b'@')) {
                return Some(word);
            }
        }
    }

    /// Whether a cluster of one-letter options ends in one whose value is code: `-uc`.
    fn is_code_in_cluster(&self, word: &[u8]) -> bool {
        let [b'-', letters @ .., last] = word else {
            return false;
        };
        let clustered = !letters.is_empty() && letters.iter().all(u8::is_ascii_alphabetic);
        let ends_with = |list: &[&str]| list.iter().any(|known| known.as_bytes() == [b'-', *last]);
        clustered && ends_with(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label_of(exe: &str, line: &str) -> Option<String> {
        let mut cmdline = line.replace(' ', "\0").into_bytes();
        cmdline.push(0);
        grammar_of(exe)?.label(&words(&cmdline)).map(text::from_bytes)
    }

    fn is(exe: &str, line: &str, expected: &str) {
        assert_eq!(label_of(exe, line).as_deref(), Some(expected), "{line}");
    }

    #[test]
    fn scripts_jars_and_main_classes() {
        is("/usr/bin/python3.11", "python3 /srv/app.py --token s3cret", "/srv/app.py");
        is("/usr/bin/python3.11 (deleted)", "python3 -u -W ignore app.py", "app.py");
        is("/usr/bin/python3", "python3 -m http.server 8000", "http.server");
        is("/usr/bin/pypy3", "pypy3 -Xdev app.py", "app.py");
        is("/opt/jdk/bin/java", "java -Xmx1g -jar x.jar --password s3cret", "x.jar");
        is("/opt/jdk/bin/java", "java -jar -Dkey=s3cret x.jar", "x.jar");
        is(
            "/bin/java",
            "java -cp a.jar:b.jar -Da=b com.example.Broker start",
            "com.example.Broker",
        );
        is(
            "/bin/java",
            "java --add-opens java.base/x=ALL -p mods -m app/com.example.Main",
            "app/com.example.Main",
        );
        is("/bin/java", "java @options com.example.Broker", "com.example.Broker");
        is("/usr/bin/node", "node --inspect=0.0.0.0:9229 -r dotenv/config server.js", "server.js");
        is("/usr/bin/deno", "deno run --allow-net main.ts", "main.ts");
        is("/usr/bin/perl", "perl -w -I lib app.pl", "app.pl");
        is("/usr/bin/ruby3.1", "ruby bin/rails server", "bin/rails");
        is("/usr/bin/php8.2", "php -d memory_limit=1G artisan queue:work", "artisan");
        is("/bin/bash", "bash -eu -o pipefail run.sh s3cret", "run.sh");
        is("/bin/busybox", "busybox sh run.sh", "run.sh");
        is("/usr/bin/dotnet", "dotnet exec app.dll", "app.dll");
        is("/usr/bin/python3", "python3 -- -odd.py", "-odd.py");
    }

    #[test]
    fn code_on_the_command_line_has_no_name() {
        for (exe, line) in [
            ("/usr/bin/python3", "python3 -c connect('s3cret')"),
            ("/usr/bin/python3", "python3 -uc connect('s3cret')"),
            ("/usr/bin/node", "node -e connect('s3cret')"),
            ("/usr/bin/perl", "perl -we connect"),
            ("/bin/bash", "bash -xc s3cret"),
            ("/usr/bin/python3", "python3"),
            ("/usr/bin/python3", "python3 -"),
            ("/usr/bin/python3", "gunicorn:"),
            ("/usr/bin/java", "java -cp"),
            ("/bin/bash", "-bash"),
        ] {
            assert_eq!(label_of(exe, line), None, "{line}");
        }
    }

    #[test]
    fn other_programs_have_no_label() {
        assert!(grammar_of("/usr/sbin/nginx").is_none());
        assert!(grammar_of("/usr/bin/javac").is_none());
        assert!(grammar_of("").is_none());
    }

    #[test]
    fn odd_command_lines() {
        let python = grammar_of("/usr/bin/python3").unwrap();
        for cmdline in [&b""[..], b"\0", b"\0\0\0", b"python3", b"python3\0cut-by-the-bou"] {
            assert_eq!(python.label(&words(cmdline)), None, "{cmdline:?}");
        }
        let bytes = python.label(&words(b"python3\0/srv/\xff.py\0")).map(text::from_bytes);
        assert_eq!(bytes.as_deref(), Some("/srv/\\xff.py"));
    }
}
