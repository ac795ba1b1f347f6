//! A bar for a share.

/// Parts of a block, an eighth each more.
const PARTS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A bar of at most `columns`; what is not 0 has an eighth of a column at least.
pub fn bar(part: u64, whole: u64, columns: usize) -> String {
    if part == 0 || whole == 0 {
        return String::new();
    }
    let columns = columns as u64;
    let eighths = (u128::from(part) * u128::from(columns * 8)).div_ceil(u128::from(whole));
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX).min(columns as usize * 8);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(rest) = (eighths % 8).checked_sub(1) {
        bar.push(PARTS[rest]);
    }
    bar
}

/// `82.9%`; never `0.0%` for what is not 0, nor `100.0%` for what is not all.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    match tenths {
        0 if part > 0 => "<0.1%".to_owned(),
        1000.. if part < whole => ">99.9%".to_owned(),
        _ => format!("{}.{}%", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_gone() {
        assert_eq!(bar(1, 1, 4), "████");
        assert_eq!(bar(1, 2, 4), "██");
        assert_eq!(bar(3, 16, 4), "▊");
        assert_eq!(bar(1, 1_000_000, 4), "▏");
        assert_eq!((bar(0, 5, 4), bar(0, 0, 4)), (String::new(), String::new()));
        assert_eq!(bar(u64::MAX, u64::MAX, 4), "████");
    }

    #[test]
    fn a_percentage_does_not_round_to_none_or_all() {
        assert_eq!(percent(1, 3), "33.3%");
        assert_eq!(percent(1, 100_000), "<0.1%");
        assert_eq!(percent(99_999, 100_000), ">99.9%");
        assert_eq!((percent(0, 5), percent(5, 5)), ("0.0%".to_owned(), "100.0%".to_owned()));
        assert_eq!(percent(0, 0), "-");
    }
}
