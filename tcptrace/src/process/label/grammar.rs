//! How the command lines of interpreters read: which word is what runs.

/// How an interpreter's command line reads.
pub struct Grammar {
    /// Name of the executable, without version.
    names: &'static [&'static str],
    /// Options whose value is the next word.
    with_value: &'static [&'static str],
    /// Options whose value is the module that runs.
    modules: &'static [&'static str],
    /// Options whose value is the script.
    files: &'static [&'static str],
    /// Options whose value is code: nothing has a name then.
    code: &'static [&'static str],
    /// First words that are not the script.
    verbs: &'static [&'static str],
    /// Ends of words that are files; empty: all are.
    suffixes: &'static [&'static str],
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
        modules: &["-m", "--module"],
        files: &[],
        code: &[],
        verbs: &[],
        suffixes: &[".jar", ".java"],
    },
    Grammar {
        names: &["python", "pypy"],
        with_value: &["-W", "-X", "--check-hash-based-pycs"],
        modules: &["-m"],
        files: &[],
        code: &["-c"],
        verbs: &[],
        suffixes: &[],
    },
    Grammar {
        names: &["node", "nodejs"],
        with_value: &["-r", "--require", "--import", "--loader", "-C", "--conditions"],
        modules: &[],
        files: &[],
        code: &["-e", "--eval", "-p", "--print", "-pe"],
        verbs: &[],
        suffixes: &[],
    },
    Grammar {
        names: &["deno", "bun"],
        with_value: &[],
        modules: &[],
        files: &[],
        code: &["-e", "-p", "--eval", "--print"],
        verbs: &["run"],
        suffixes: &[],
    },
    Grammar {
        names: &["ruby", "perl", "lua", "luajit", "Rscript", "tclsh"],
        with_value: &["-I", "-r", "-C", "-l"],
        modules: &[],
        files: &[],
        code: &["-e", "-E"],
        verbs: &[],
        suffixes: &[],
    },
    Grammar {
        names: &["php", "php-cgi"],
        with_value: &["-c", "-d", "-z"],
        modules: &[],
        files: &["-f", "--file"],
        code: &["-r", "-B", "-R", "-E"],
        verbs: &[],
        suffixes: &[],
    },
    Grammar {
        names: &["sh", "bash", "dash", "zsh", "ksh", "busybox"],
        with_value: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        modules: &[],
        files: &[],
        code: &["-c", "-s"],
        verbs: &["sh", "ash"],
        suffixes: &[],
    },
    Grammar {
        names: &["dotnet"],
        with_value: &["--additionalprobingpath", "--fx-version", "--roll-forward"],
        modules: &[],
        files: &[],
        code: &[],
        verbs: &["exec"],
        suffixes: &[],
    },
];

/// What an interpreter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program<'a> {
    /// The word that names it.
    pub name: &'a [u8],
    /// Whether that is a file's name, not that of a module or a class.
    pub is_file: bool,
    /// The words behind it.
    pub arguments: &'a [&'a [u8]],
}

/// The grammar for an executable; `None`: it is no interpreter.
pub fn of(exe: &str) -> Option<&'static Grammar> {
    let path = exe.strip_suffix(" (deleted)").unwrap_or(exe);
    let name = path.rsplit('/').next().unwrap_or(path);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    GRAMMARS.iter().find(|grammar| grammar.names.contains(&bare))
}

impl Grammar {
    /// The first word that is neither an option nor the value of one. Where it is not certain
    /// which that is, there is none.
    pub fn program<'a>(&self, words: &'a [&'a [u8]]) -> Option<Program<'a>> {
        let mut rest = words.get(1..)?;
        let mut verbs = self.verbs;
        loop {
            let (word, behind) = rest.split_first()?;
            rest = behind;
            if *word == b"--" || has(self.files, word) {
                return self.named_by(rest, true);
            } else if has(self.modules, word) {
                return self.named_by(rest, false);
            } else if has(self.code, word) || self.is_code_in_cluster(word) {
                return None;
            } else if has(self.with_value, word) {
                rest = rest.get(1..)?;
            } else if has(verbs, word) {
                verbs = &[];
            } else if word.is_empty() || *word == b"-" {
                return None;
            } else if !matches!(word.first(), Some(b'-' | b'+' | b'@')) {
                return Some(Program { name: word, is_file: self.is_file(word), arguments: rest });
            }
        }
    }

    fn named_by<'a>(&self, rest: &'a [&'a [u8]], is_file: bool) -> Option<Program<'a>> {
        let (name, arguments) = rest.split_first()?;
        let is_file = is_file && self.is_file(name);
        (!name.is_empty()).then_some(Program { name, is_file, arguments })
    }

    fn is_file(&self, word: &[u8]) -> bool {
        let ends = |suffix: &&str| word.ends_with(suffix.as_bytes());
        self.suffixes.is_empty() || self.suffixes.iter().any(ends)
    }

    /// Whether a cluster of one-letter options ends in one whose value is code: `-uc`.
    fn is_code_in_cluster(&self, word: &[u8]) -> bool {
        let [b'-', letters @ .., last] = word else {
            return false;
        };
        let clustered = !letters.is_empty() && letters.iter().all(u8::is_ascii_alphabetic);
        clustered && has(self.code, &[b'-', *last])
    }
}

fn has(list: &[&str], word: &[u8]) -> bool {
    list.iter().any(|known| known.as_bytes() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&[u8]> {
        line.split(' ').map(str::as_bytes).collect()
    }

    fn is(exe: &str, line: &str, expected: &str) {
        let words = words(line);
        let program = of(exe).unwrap().program(&words).unwrap();
        assert_eq!(str::from_utf8(program.name), Ok(expected), "{line}");
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
            assert_eq!(of(exe).unwrap().program(&words(line)), None, "{line}");
        }
    }

    #[test]
    fn other_programs_have_no_grammar() {
        assert!(of("/usr/sbin/nginx").is_none());
        assert!(of("/usr/bin/javac").is_none());
        assert!(of("").is_none());
    }

    #[test]
    fn odd_command_lines() {
        let python = of("/usr/bin/python3").unwrap();
        for words in [&[][..], &[&b""[..]], &[b"python3", b""], &[b"python3", b"--", b""]] {
            assert_eq!(python.program(words), None, "{words:?}");
        }
    }

    #[test]
    fn files_are_told_from_modules_and_classes() {
        for (exe, line, is_file) in [
            ("/usr/bin/python3", "python3 app.py -x", true),
            ("/usr/bin/python3", "python3 -m app -x", false),
            ("/bin/java", "java -jar x.jar -x", true),
            ("/bin/java", "java com.example.Broker -x", false),
            ("/usr/bin/php8.2", "php -f x -x", true),
            ("/bin/bash", "bash -- run -x", true),
        ] {
            let words = words(line);
            let program = of(exe).unwrap().program(&words).unwrap();
            assert_eq!(
                (program.is_file, program.arguments),
                (is_file, &[&b"-x"[..]][..]),
                "{line}"
            );
        }
    }
}
