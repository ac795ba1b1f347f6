//! Whether a setting should be changed.

use super::default::KernelFacts;
use super::risk::{Setting, harm};
use super::setting::Sysctl;
use super::value::{normal, same};
use crate::doctor::finding::Change;

/// What to do about a setting. The tokens are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// This kernel has it no more.
    Gone,
    /// Its file is not there: the module is not loaded, or this network namespace has none.
    Absent,
    /// Something that was found asks for another value.
    Change,
    /// Its value is known to do harm.
    Reconsider,
    /// Nothing that was found would be helped by changing it.
    Leave,
}

impl Word {
    /// Frozen token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Absent => "absent",
            Self::Change => "change",
            Self::Reconsider => "reconsider",
            Self::Leave => "leave",
        }
    }
}

/// A setting, judged.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Which.
    pub sysctl: &'static Sysctl,
    /// Its value, numbers joined by single blanks; `None`: there is none.
    pub value: Option<String>,
    /// Its default on this kernel; `None`: not known.
    pub default: Option<String>,
    /// What to do.
    pub word: Word,
    /// Why.
    pub why: String,
}

/// Judges a setting by its value (`None`: it has no file) and by what the findings ask for.
#[must_use]
pub fn judge(
    sysctl: &'static Sysctl,
    value: Option<&str>,
    kernel: &KernelFacts,
    changes: &[Change],
) -> Verdict {
    let default = sysctl.default.on(kernel);
    let value = value.map(normal);
    let (word, why) = match &value {
        None => without_value(sysctl, kernel),
        Some(value) => {
            let setting = Setting { value, default: default.as_deref(), kernel };
            with_value(sysctl, &setting, changes)
        }
    };
    Verdict { sysctl, value, default, word, why }
}

fn without_value(sysctl: &Sysctl, kernel: &KernelFacts) -> (Word, String) {
    match sysctl.gone_in(kernel.version) {
        Some(why) => (Word::Gone, why.to_owned()),
        None => (
            Word::Absent,
            "it is not there: its module is not loaded, or this network namespace has none"
                .to_owned(),
        ),
    }
}

fn with_value(sysctl: &Sysctl, setting: &Setting<'_>, changes: &[Change]) -> (Word, String) {
    let wanted = changes
        .iter()
        .find(|change| change.sysctl == sysctl.name && !same(&change.value, setting.value));
    if let Some(change) = wanted {
        return (Word::Change, change.why.clone().into_owned());
    }
    if let Some(why) = harm(sysctl.risks, setting) {
        return (Word::Reconsider, why.to_owned());
    }
    let why = match setting.default {
        Some(default) if same(default, setting.value) => {
            "it has its default, and nothing that was found here is helped by another value"
        }
        _ => "nothing that was found here is helped by another value",
    };
    (Word::Leave, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::sysctl::{all, find};

    const KERNEL: KernelFacts = KernelFacts {
        version: (6, 18),
        ehash_entries: Some(262_144),
        memory_bytes: Some(24 << 30),
        page_size: 4096,
    };

    fn change(sysctl: &'static str, value: &str) -> Change {
        Change { sysctl, value: value.to_owned(), why: "bursts are dropped".into() }
    }

    fn judged(name: &str, value: Option<&str>, changes: &[Change]) -> Verdict {
        judge(find(name).unwrap(), value, &KERNEL, changes)
    }

    #[test]
    fn tokens_are_frozen() {
        let words = [Word::Gone, Word::Absent, Word::Change, Word::Reconsider, Word::Leave];
        let tokens = words.map(Word::token);
        assert_eq!(tokens, ["gone", "absent", "change", "reconsider", "leave"]);
    }

    #[test]
    fn what_is_not_there_is_gone_or_absent() {
        let gone = judged("tcp_tw_recycle", None, &[]);
        assert_eq!((gone.word, gone.value, gone.default), (Word::Gone, None, None));
        assert!(gone.why.contains("4.12"));
        assert_eq!(judged("nf_conntrack_max", None, &[]).word, Word::Absent);
        let old = KernelFacts { version: (4, 9), ..KERNEL };
        let recycle = find("tcp_tw_recycle").unwrap();
        assert_eq!(judge(recycle, None, &old, &[]).word, Word::Absent);
        assert_eq!(judge(recycle, Some("1"), &old, &[]).word, Word::Reconsider);
        assert_eq!(judge(recycle, Some("0"), &old, &[]).word, Word::Leave);
    }

    #[test]
    fn a_finding_asks_for_another_value() {
        let asked = [change("net.ipv4.tcp_sack", "1"), change("net.core.somaxconn", "8192")];
        let verdict = judged("somaxconn", Some("4096\n"), &asked);
        assert_eq!((verdict.word, &verdict.why[..]), (Word::Change, "bursts are dropped"));
        assert_eq!(verdict.value.as_deref(), Some("4096"));
        assert_eq!(judged("somaxconn", Some("8192"), &asked).word, Word::Leave);
        assert_eq!(judged("somaxconn", None, &asked).word, Word::Absent);
        let ranges = [change("net.ipv4.ip_local_port_range", "15000 60999")];
        let has = judged("ip_local_port_range", Some("15000\t60999\n"), &ranges);
        assert_eq!(has.word, Word::Leave);
    }

    #[test]
    fn what_does_harm_is_reconsidered_unless_a_finding_names_it() {
        assert_eq!(judged("tcp_max_tw_buckets", Some("5000"), &[]).word, Word::Reconsider);
        let asked = [change("net.ipv4.tcp_max_tw_buckets", "262144")];
        assert_eq!(judged("tcp_max_tw_buckets", Some("5000"), &asked).word, Word::Change);
        assert_eq!(judged("tcp_max_tw_buckets", Some("262144"), &[]).word, Word::Leave);
    }

    #[test]
    fn every_setting_at_its_default_is_left_alone() {
        for sysctl in all() {
            let Some(default) = sysctl.default.on(&KERNEL) else { continue };
            let verdict = judge(sysctl, Some(&default.replace(' ', "\t")), &KERNEL, &[]);
            assert_eq!(verdict.word, Word::Leave, "{}", sysctl.name);
            assert!(verdict.why.contains("default"), "{}", sysctl.name);
        }
    }
}
