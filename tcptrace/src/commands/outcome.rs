//! How a run ended.

/// How a run ended, when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, and what was asked for with `--exit-code` was found.
    Found,
}
