//! What is lost while a run goes on: how much more since the user was last told.

/// Counts that the user was told.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    told: Vec<(&'static str, u64)>,
}

impl Losses {
    /// What has grown since the last call: frozen token and by how much.
    pub fn grown(&mut self, now: &[(&'static str, u64)]) -> Vec<(&'static str, u64)> {
        let before =
            |token: &str| self.told.iter().find(|(own, _)| *own == token).map_or(0, |own| own.1);
        let growth = now.iter().map(|(token, count)| (*token, count.saturating_sub(before(token))));
        let grown = growth.filter(|(_, count)| *count > 0).collect();
        let told = now.iter().map(|(token, count)| (*token, before(token).max(*count))).collect();
        self.told = told;
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once() {
        let mut losses = Losses::default();
        assert!(losses.grown(&[("ring_full", 0), ("memory_full", 0)]).is_empty());
        assert_eq!(losses.grown(&[("ring_full", 7), ("memory_full", 0)]), [("ring_full", 7)]);
        assert!(losses.grown(&[("ring_full", 7), ("memory_full", 0)]).is_empty());
        let both = losses.grown(&[("ring_full", 9), ("memory_full", 1)]);
        assert_eq!(both, [("ring_full", 2), ("memory_full", 1)]);
        assert!(losses.grown(&[("ring_full", 8)]).is_empty(), "a counter that shrinks is no loss");
        assert!(losses.grown(&[("ring_full", 9)]).is_empty(), "what was told is not told again");
    }
}
