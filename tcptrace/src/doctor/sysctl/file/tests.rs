use super::*;

const KERNEL: KernelFacts = KernelFacts {
    version: (6, 18),
    ehash_entries: Some(262_144),
    memory_bytes: Some(24 << 30),
    page_size: 4096,
};

/// A host with some values that are not the default.
fn value_of(name: &str) -> Option<String> {
    let value = match name {
        "net.core.somaxconn" => "1024",
        "net.ipv4.tcp_tw_reuse" => "2",
        "net.ipv4.tcp_fin_timeout" => "30",
        "net.ipv4.tcp_rmem" => "4096\t131072\t6291456",
        "net.ipv4.tcp_syncookies" => "0",
        "net.ipv4.ip_local_port_range" => "32768\t60999",
        _ => return None,
    };
    Some(format!("{value}\n"))
}

fn asked() -> [Change; 2] {
    let change = |sysctl, value: &str, why: &'static str| Change {
        sysctl,
        value: value.to_owned(),
        why: why.into(),
    };
    [
        change("net.core.somaxconn", "8192", "bursts are dropped"),
        change("net.ipv4.ip_local_port_range", "1024 65535", "ports run out"),
    ]
}

fn checked(text: &[u8]) -> Vec<Line> {
    check(text, &value_of, &KERNEL, &asked())
}

fn outcome(text: &str) -> (Outcome, String) {
    let lines = checked(text.as_bytes());
    assert_eq!(lines.len(), 1, "{text}");
    (lines[0].word, lines[0].why.clone())
}

#[test]
fn tokens_are_frozen() {
    use Outcome::{Default, Gone, Harmful, Malformed, NoHelp, Same, Unknown, WouldHelp};
    let all = [Gone, Unknown, Same, Default, WouldHelp, Harmful, NoHelp, Malformed];
    let tokens = all.map(Outcome::token).join(" ");
    assert_eq!(tokens, "gone unknown same default would-help harmful no-help malformed");
}

#[test]
fn each_outcome() {
    for (text, word) in [
        ("net.ipv4.tcp_tw_recycle = 1", Outcome::Gone),
        ("net.ipv4.ip_conntrack_max = 65536", Outcome::Gone),
        ("vm.swappiness = 10", Outcome::Unknown),
        ("net.ipv4.tcp_fin_timeout = 30", Outcome::Same),
        ("net/ipv4/tcp_rmem = 4096 131072 6291456", Outcome::Same),
        ("net.ipv4.tcp_fin_timeout = 60", Outcome::Default),
        ("net.core.somaxconn = 8192", Outcome::WouldHelp),
        ("net.core.somaxconn = 65535", Outcome::WouldHelp),
        ("net.core.somaxconn = 128", Outcome::Harmful),
        ("net.core.somaxconn = 1000", Outcome::NoHelp),
        ("net.ipv4.tcp_syncookies = 0", Outcome::Harmful),
        ("net.ipv4.ip_local_port_range = 1024\t65535", Outcome::WouldHelp),
        ("net.ipv4.ip_local_port_range = 1025 65535", Outcome::Harmful),
        ("net.ipv4.tcp_tw_reuse = 1", Outcome::NoHelp),
        ("net.netfilter.nf_conntrack_max = 1000000", Outcome::NoHelp),
        ("net.ipv4.tcp_fin_timeout =", Outcome::Malformed),
        ("net.ipv4.tcp_fin_timeout = 30s", Outcome::Malformed),
        ("please set tcp_fin_timeout", Outcome::Malformed),
    ] {
        assert_eq!(outcome(text).0, word, "{text}");
    }
}

#[test]
fn reasons_say_what_counts() {
    assert_eq!(outcome("net.core.somaxconn=8192").1, "bursts are dropped");
    assert!(outcome("net.core.somaxconn=65535").1.contains("asks for 8192"));
    assert!(outcome("net.core.somaxconn=1000").1.contains("the other way"));
    assert!(outcome("vm.swappiness=1").1.contains("not checked"));
    let why = outcome("net.ipv4.tcp_tw_reuse=1").1;
    assert!(why.contains("nothing that was found") && why.contains("TIME_WAIT"), "{why}");
    assert!(outcome("net.ipv4.tcp_tw_recycle=1").1.contains("4.12"));
}

#[test]
fn an_empty_list_of_ports_is_a_value() {
    let (word, why) = outcome("net.ipv4.ip_local_reserved_ports =");
    assert_eq!(word, Outcome::Default, "{why}");
    assert_eq!(outcome("net.ipv4.ip_local_reserved_ports = 8080,9000-9010").0, Outcome::NoHelp);
}

#[test]
fn what_exists_is_not_gone() {
    let lines = check(b"net.ipv4.tcp_tw_recycle=1", &|_| Some("0".into()), &KERNEL, &[]);
    assert_eq!(lines[0].word, Outcome::Harmful);
}

#[test]
fn lines_are_numbered_and_comments_left_out() {
    let text = b"\xef\xbb\xbf# TIME_WAIT\r\n\r\n; old\r\nnet.ipv4.tcp_tw_reuse = 1\r\n\
                 echo 30 > /proc/sys/net/ipv4/tcp_fin_timeout\n\
                 sysctl -w net.core.somaxconn=8192 vm.x=1\nsysctl -p\n";
    let lines = checked(text);
    let seen: Vec<_> =
        lines.iter().map(|line| (line.number, &line.name[..], &line.wanted[..])).collect();
    assert_eq!(
        seen,
        [
            (4, "net.ipv4.tcp_tw_reuse", "1"),
            (5, "/proc/sys/net/ipv4/tcp_fin_timeout", "30"),
            (6, "net.core.somaxconn", "8192"),
            (6, "vm.x", "1"),
        ]
    );
    assert_eq!(lines[1].sysctl.map(|sysctl| sysctl.name), Some("net.ipv4.tcp_fin_timeout"));
    assert!(checked(b"").is_empty());
}

#[test]
fn bytes_of_any_kind_are_survived() {
    let lines = checked(b"net.ipv4.\xff\x1b[31m = \x00\nx\x07=1\n\xff\xfe\nnet.ipv4.tcp_sack=\xc3");
    let words: Vec<_> = lines.iter().map(|line| line.word).collect();
    use Outcome::{Malformed, Unknown};
    assert_eq!(words, [Unknown, Unknown, Malformed, Malformed]);
}

#[test]
fn what_is_too_long_is_said() {
    let mut text = vec![b'a'; LINE_BYTES + 1];
    text.extend(b"\nnet.ipv4.tcp_tw_reuse = 1\n");
    let lines = checked(&text);
    assert_eq!((lines[0].number, lines[0].word), (1, Outcome::Malformed));
    assert!(lines[0].why.contains("longer than"));
    assert_eq!((lines[1].number, lines[1].word), (2, Outcome::NoHelp));
}

#[test]
fn what_is_too_much_is_said() {
    let full = checked("#\n".repeat(LINES).as_bytes());
    assert!(full.is_empty());
    let more = checked(format!("{}a=1\n", "#\n".repeat(LINES)).as_bytes());
    assert_eq!((more.len(), more[0].number), (1, LINES + 1));
    assert!(more[0].why.contains("were not read"));
    let many = checked(format!("sysctl -w{}\n", " a=1".repeat(900)).repeat(LINES).as_bytes());
    assert!(many.len() <= SETTINGS + 900 + 1, "{}", many.len());
    assert_eq!(many.last().map(|line| line.word), Some(Outcome::Malformed));
}
