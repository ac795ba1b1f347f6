//! Whether to colour: what was typed, the environment, the terminal.

use std::env;
use std::io::{IsTerminal as _, stdout};

use super::plan::Color;

/// Whether standard output is to be coloured.
#[must_use]
pub fn is_wanted(color: Color) -> bool {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    color.decide(no_color, stdout().is_terminal())
}
