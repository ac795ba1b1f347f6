//! What may use what. This table is the architecture; change it on purpose only.

use super::scan::{MAIN, Module, ModulePath};
use super::tree::{Inside, Outside, Place};

/// A top-level module of `tcptrace/src` and the top-level modules that it may use.
struct Layer {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// `main → cli → commands → {source, kernel, process, stacks, output} → doctor → lifecycle`.
/// What is typed stops at `cli`: it makes plans that `commands` or `lifecycle` define.
const LAYERS: [Layer; 11] = [
    Layer { name: MAIN, may_use: &["cli", "commands", "lifecycle"] },
    Layer { name: "cli", may_use: &["commands", "doctor", "lifecycle"] },
    Layer {
        name: "commands",
        may_use: &[
            "source",
            "kernel",
            "process",
            "stacks",
            "output",
            "doctor",
            "lifecycle",
            "errand",
        ],
    },
    Layer { name: "source", may_use: &["lifecycle"] },
    Layer { name: "kernel", may_use: &["doctor", "lifecycle"] },
    Layer { name: "process", may_use: &["doctor", "lifecycle", "errand"] },
    Layer { name: "stacks", may_use: &["lifecycle", "errand"] },
    Layer { name: "output", may_use: &["doctor", "lifecycle"] },
    Layer { name: "doctor", may_use: &["lifecycle"] },
    Layer { name: "lifecycle", may_use: &[] },
    Layer { name: "errand", may_use: &[] },
];

/// Something outside of the package that some layers must not use.
struct Ban {
    what: &'static [&'static str],
    why: &'static str,
    applies: fn(&str) -> bool,
}

const BANS: [Ban; 4] = [
    Ban {
        what: &[
            "std::env",
            "std::fs",
            "std::os",
            "std::process",
            "std::thread",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::ToSocketAddrs",
            "std::net::UdpSocket",
            "std::time::Instant",
            "std::time::SystemTime",
            "aya",
            "aya_log",
            "libc",
            "tokio",
        ],
        why: "it gets finished data and reads nothing: no file, no clock, no kernel",
        applies: |layer| matches!(layer, "lifecycle" | "doctor" | "output"),
    },
    Ban {
        what: &[
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
            "dbg!",
            "std::io::stdin",
            "std::io::stdout",
            "std::io::stderr",
        ],
        why: "where things are printed is decided by commands",
        applies: |layer| matches!(layer, "lifecycle" | "doctor" | "output"),
    },
    Ban { what: &["std::io"], why: "it is pure", applies: |layer| layer == "lifecycle" },
    Ban {
        what: &["clap"],
        why: "what was typed stops at cli",
        applies: |layer| layer != "cli" && layer != MAIN,
    },
];

/// The name by which a module's layer goes; the library's root is one of its own.
fn layer_of(path: &ModulePath) -> &str {
    path.first().map_or("lib", String::as_str)
}

fn find(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == name)
}

/// A top-level module that is not in the table.
pub fn unknown_modules(modules: &[Module]) -> Vec<String> {
    modules
        .iter()
        .filter(|module| module.path.len() == 1 && find(&module.path[0]).is_none())
        .map(|module| {
            format!(
                "{}: the top-level module `{}` has no layer: add it to the table in \
                 xtask/src/layers/rules.rs",
                module.file, module.path[0]
            )
        })
        .collect()
}

/// Judges a use of another module; a line for people if it is forbidden.
pub fn judge_inside(used: &Inside) -> Option<String> {
    let (from, to) = (layer_of(&used.from), layer_of(&used.to));
    if to == "lib" {
        return Some(violation(&used.place, "lib.rs holds `mod` lines; nothing may depend on it"));
    }
    if from == to || find(from).is_some_and(|layer| layer.may_use.contains(&to)) {
        return None;
    }
    Some(violation(&used.place, &format!("`{from}` must not use `{to}`")))
}

/// Judges a use of something outside; a line for people if it is forbidden.
pub fn judge_outside(used: &Outside) -> Option<String> {
    let layer = layer_of(&used.from);
    let ban = BANS
        .iter()
        .find(|ban| (ban.applies)(layer) && ban.what.iter().any(|banned| touches(used, banned)))?;
    let reason = format!("`{layer}` must not use `{}`: {}", used.what.join("::"), ban.why);
    Some(violation(&used.place, &reason))
}

/// Whether this use is of the banned thing or of something in it.
fn touches(used: &Outside, banned: &str) -> bool {
    let banned: Vec<&str> = banned.split("::").collect();
    let shared = used.what.iter().zip(&banned).take_while(|(a, b)| a.as_str() == **b).count();
    shared == banned.len() || (used.is_glob && shared == used.what.len())
}

fn violation(place: &Place, reason: &str) -> String {
    format!("{}:{}: {reason} (`{}`)", place.file, place.line, place.text)
}
