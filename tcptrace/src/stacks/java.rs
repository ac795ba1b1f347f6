//! Whether compiled Java keeps frame pointers, by the options that a Java virtual machine was given.

use std::fs::File;
use std::io::Read as _;

/// Bytes of a process's arguments or environment that are read.
const BYTES_MAX: u64 = 1 << 20;
const OPTION: &[u8] = b"PreserveFramePointer";

/// Whether this Java virtual machine was told to keep frame pointers. Options in a file that an
/// argument names (`@FILE`) are not seen: then stacks are cut although they need not be.
#[must_use]
pub fn keeps_frame_pointers(pid: u32) -> bool {
    let bytes = |name: &str| {
        let mut bytes = Vec::new();
        let file = File::open(format!("/proc/{pid}/{name}")).ok()?;
        file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let environment = bytes("environ").unwrap_or_default();
    decide(&bytes("cmdline").unwrap_or_default(), &environment)
}

/// Of several options the last one counts, in the order in which the machine reads them.
fn decide(arguments: &[u8], environment: &[u8]) -> bool {
    let variable = |name: &[u8]| {
        let mut all = environment.split(|byte| *byte == 0);
        all.find_map(|variable| variable.strip_prefix(name)).unwrap_or_default()
    };
    // What follows is read by the program.
    let own = arguments.split(|byte| *byte == 0).take_while(|argument| *argument != b"-jar");
    [variable(b"_JAVA_OPTIONS=")]
        .into_iter()
        .chain(own.collect::<Vec<_>>().into_iter().rev())
        .chain([variable(b"JDK_JAVA_OPTIONS="), variable(b"JAVA_TOOL_OPTIONS=")])
        .find_map(last)
        .unwrap_or(false)
}

/// The last such option in a text of options.
fn last(options: &[u8]) -> Option<bool> {
    let words = options.split(u8::is_ascii_whitespace).rev();
    words.into_iter().find_map(|word| match word.strip_prefix(b"-XX:")? {
        [b'+', name @ ..] if name == OPTION => Some(true),
        [b'-', name @ ..] if name == OPTION => Some(false),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: &[u8] = b"java\0-Xmx1g\0-XX:+PreserveFramePointer\0-jar\0a.jar\0";

    #[test]
    fn the_last_option_counts() {
        assert!(decide(ON, b""));
        assert!(!decide(b"java\0-jar\0a.jar\0", b""));
        assert!(!decide(b"java\0-XX:+PreserveFramePointer\0-XX:-PreserveFramePointer\0A", b""));
        assert!(decide(b"java\0A\0", b"A=1\0JAVA_TOOL_OPTIONS=-Da=b -XX:+PreserveFramePointer"));
        assert!(!decide(ON, b"_JAVA_OPTIONS=-XX:-PreserveFramePointer\0"));
        assert!(decide(ON, b"JDK_JAVA_OPTIONS=-XX:-PreserveFramePointer\0"));
    }

    #[test]
    fn what_the_program_reads_is_no_option() {
        assert!(!decide(b"java\0-jar\0a.jar\0-XX:+PreserveFramePointer\0", b""));
        assert!(!decide(b"java\0-XX:+PreserveFramePointers\0A\0", b""));
    }
}
