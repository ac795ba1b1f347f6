//! What checks have in common.

use crate::doctor::finding::{Finding, Severity};
use crate::doctor::topic::Topic;

/// The findings, or where there are none, that it looks fine.
pub fn or_fine(
    findings: Vec<Finding>,
    topic: &'static Topic,
    fine: impl FnOnce() -> String,
) -> Vec<Finding> {
    if findings.is_empty() {
        return vec![Finding::new(topic, Severity::Ok, fine())];
    }
    findings
}

/// How many of 100.
pub fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}
