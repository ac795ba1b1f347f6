//! The answer of `doctor`.

mod explain;
mod json;
mod table;

pub use explain::{Subject, explain, explain_json};
pub use json::json;
pub use table::table;

pub use super::page::Style;

#[cfg(test)]
pub(super) mod tests;
