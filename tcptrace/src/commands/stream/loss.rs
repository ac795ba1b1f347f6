//! What is lost is said while it is lost, and at the end.

use std::time::{Duration, Instant};

use anyhow::Result;
use tcptrace_common::counter::Counter;

use crate::commands::notices::warn;
use crate::kernel::load::Kernel;
use crate::lifecycle::losses::Losses;
use crate::lifecycle::stream::Summary;

/// Losses are looked for no more often than this.
const EVERY: Duration = Duration::from_secs(1);

/// Looks for losses.
pub struct LossWatch {
    losses: Losses,
    looked: Instant,
}

impl LossWatch {
    /// Nothing lost yet.
    #[must_use]
    pub fn new() -> Self {
        Self { losses: Losses::default(), looked: Instant::now() }
    }

    /// Says what was lost since the last look, if that is long enough ago.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn look(&mut self, kernel: &mut Kernel) -> Result<()> {
        let since = self.looked.elapsed();
        if since < EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        let counters = kernel.counters()?;
        for (token, count) in self.losses.grown(&counters.lost()) {
            warn(&sentence(token, count, since));
        }
        Ok(())
    }
}

fn sentence(token: &str, count: u64, since: Duration) -> String {
    let remedy = match token {
        token if token == Counter::RingFull.token() => {
            "narrow the filter or raise --ring-size".to_owned()
        }
        _ => "what rests on them is unknown".to_owned(),
    };
    let seconds = since.as_secs().max(1);
    format!("{} events lost ({token}) in the last {seconds}s; {remedy}", grouped(count))
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a table ends with, on standard error.
#[must_use]
pub fn closing_words(summary: &Summary) -> String {
    let mut words = format!(
        "{} transitions shown of {} seen, {} lost",
        grouped(summary.shown),
        grouped(summary.events),
        grouped(summary.lost_total())
    );
    for (token, count) in summary.lost.iter().filter(|(_, count)| *count > 0) {
        words.push_str(&format!(", {token} {}", grouped(*count)));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_said_with_their_remedy() {
        assert_eq!(
            sentence("ring_full", 1234, Duration::from_millis(1009)),
            "1,234 events lost (ring_full) in the last 1s; narrow the filter or raise --ring-size"
        );
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }

    #[test]
    fn the_end_says_what_there_was() {
        let mut summary = Summary { events: 1500, shown: 1200, ..Summary::default() };
        summary.lost = vec![("ring_full".into(), 300), ("memory_full".into(), 0)];
        assert_eq!(
            closing_words(&summary),
            "1,200 transitions shown of 1,500 seen, 300 lost, ring_full 300"
        );
    }
}
