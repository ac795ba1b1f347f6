//! Options about how to print.

use clap::{Args, ValueEnum};

use crate::commands::plan::{Color, Format, OutputPlan};

/// Options of every command about how to print; each command has its own formats.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs<F: ValueEnum + Send + Sync + 'static> {
    /// Format of the answer
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    output: F,
    /// When to use colour; NO_COLOR in the environment means never, unless `always` is given
    #[arg(long, value_enum, default_value_t = TypedColor::Auto, value_name = "WHEN")]
    color: TypedColor,
    /// More on standard error: -v the loader's log and the kernel side's, -vv in detail
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl<F: ValueEnum + Into<Format> + Send + Sync + 'static> OutputArgs<F> {
    /// What it means.
    pub fn plan(self, wide: bool) -> OutputPlan {
        OutputPlan { format: self.output.into(), color: self.color.into(), wide }
    }
}

/// Formats of every command.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TypedFormat {
    Table,
    Json,
}

impl From<TypedFormat> for Format {
    fn from(typed: TypedFormat) -> Self {
        match typed {
            TypedFormat::Table => Self::Table,
            TypedFormat::Json => Self::Json,
        }
    }
}

/// Formats of commands that have stacks to show.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TypedStackFormat {
    /// For people
    Table,
    /// JSON Lines
    Json,
    /// Folded stacks, of the last report alone: process;outer;…;inner count
    Folded,
    /// A flame graph, of the last report alone
    Svg,
}

impl From<TypedStackFormat> for Format {
    fn from(typed: TypedStackFormat) -> Self {
        match typed {
            TypedStackFormat::Table => Self::Table,
            TypedStackFormat::Json => Self::Json,
            TypedStackFormat::Folded => Self::Folded,
            TypedStackFormat::Svg => Self::Svg,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypedColor {
    Auto,
    Always,
    Never,
}

impl From<TypedColor> for Color {
    fn from(typed: TypedColor) -> Self {
        match typed {
            TypedColor::Auto => Self::Auto,
            TypedColor::Always => Self::Always,
            TypedColor::Never => Self::Never,
        }
    }
}
