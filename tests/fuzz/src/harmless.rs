//! What must hold of everything that is printed.

use tcptrace::lifecycle::text::is_hazard;

/// Text for a terminal: lines, and nothing in them that could fool a reader.
pub fn text(output: &[u8]) {
    let text = std::str::from_utf8(output).expect("output is UTF-8");
    let hazard = text.chars().find(|character| *character != '\n' && is_hazard(*character));
    assert_eq!(hazard, None, "in {text:?}");
}

/// JSON Lines: each an object, and nothing that could fool a reader of the raw text.
pub fn json_lines(output: &[u8]) {
    text(output);
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let value: serde_json::Value = serde_json::from_slice(line).expect("a line is JSON");
        assert!(value.is_object(), "{value}");
    }
}
