//! Golden files of the tests: `UPDATE_GOLDEN=1` rewrites them.

use std::path::PathBuf;

/// Fails when `actual` is not what `golden/NAME` holds.
pub fn assert_golden(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/output/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "{name} differs; UPDATE_GOLDEN=1 rewrites it\n--- expected\n{expected}\n--- actual\n{actual}"
    );
}
