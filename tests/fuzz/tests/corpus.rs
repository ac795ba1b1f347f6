//! The kept inputs, each run once: what was found by fuzzing stays found.

use std::fs;
use std::path::Path;

use tcptrace_fuzz::TARGETS;

#[test]
fn every_kept_input_is_survived() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut count = 0;
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
            let path = entry.unwrap().path();
            // Named before it is run: a hang or an abort says no more than what was printed.
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{name} has no kept input");
    }
}

/// Each folder is some target's.
#[test]
fn no_kept_input_is_left_alone() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(corpus).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(TARGETS.iter().any(|(own, _)| name == *own), "no target {name:?}");
    }
}
