//! Options about how to print.

use clap::{Args, ValueEnum};

use crate::commands::plan::{Color, Format, OutputPlan};

/// Options of every command about how to print.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t = TypedFormat::Table, value_name = "FORMAT")]
    output: TypedFormat,
    /// When to use colour; NO_COLOR in the environment means never, unless `always` is given
    #[arg(long, value_enum, default_value_t = TypedColor::Auto, value_name = "WHEN")]
    color: TypedColor,
    /// More on standard error: -v the loader's log and the kernel side's, -vv in detail
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl OutputArgs {
    /// What it means.
    pub fn plan(self, wide: bool) -> OutputPlan {
        OutputPlan { format: self.output.into(), color: self.color.into(), wide }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypedFormat {
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
