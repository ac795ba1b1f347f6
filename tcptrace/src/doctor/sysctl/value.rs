//! Values as text: of one number or several, with white space of any kind between them.

/// The words of `value`, joined by single blanks: what two values are compared by.
#[must_use]
pub fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether both say the same.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// The numbers of `value`; `None`: something in it is no decimal number, or there is nothing in it.
#[must_use]
pub fn numbers(value: &str) -> Option<Vec<i64>> {
    let numbers: Option<Vec<i64>> =
        value.split_whitespace().map(|word| word.parse().ok()).collect();
    numbers.filter(|numbers| !numbers.is_empty())
}

/// The one number that `value` is.
#[must_use]
pub fn number(value: &str) -> Option<i64> {
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_of_any_kind_separates() {
        assert_eq!(normal("\t4096\t131072  33554432\n"), "4096 131072 33554432");
        assert_eq!(normal(" \n"), "");
        assert!(same("32768\t60999\n", "32768 60999"));
        assert!(!same("32768 60999", "3276860999"));
    }

    #[test]
    fn numbers_are_numbers_only() {
        assert_eq!(numbers("1\t-2 3\n"), Some(vec![1, -2, 3]));
        assert_eq!(numbers("1 x"), None);
        assert_eq!(numbers(""), None);
        assert_eq!(number(" 60\n"), Some(60));
        assert_eq!(number("60 61"), None);
    }
}
