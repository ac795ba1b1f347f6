//! `NAME --key value …`, and no more than that.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};

/// What was typed.
pub struct Args {
    pub name: String,
    options: BTreeMap<String, String>,
}

impl Args {
    pub fn from_env() -> Result<Self> {
        let mut words = std::env::args().skip(1);
        let name = words.next().context("which scenario?")?;
        let mut options = BTreeMap::new();
        while let Some(word) = words.next() {
            let key = word.strip_prefix("--").with_context(|| format!("not an option: {word}"))?;
            let value = words.next().with_context(|| format!("--{key} needs a value"))?;
            options.insert(key.to_owned(), value);
        }
        Ok(Self { name, options })
    }

    /// An option that must be there.
    pub fn need<T: FromStr>(&self, key: &str) -> Result<T> {
        self.get(key)?.with_context(|| format!("--{key} is missing"))
    }

    /// An option with a default.
    pub fn or<T: FromStr>(&self, key: &str, default: T) -> Result<T> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    fn get<T: FromStr>(&self, key: &str) -> Result<Option<T>> {
        let parse = |text: &String| text.parse().map_err(|_| anyhow!("--{key} {text}?"));
        self.options.get(key).map(parse).transpose()
    }
}
