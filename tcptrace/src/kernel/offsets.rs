//! Offsets of the kernel struct fields that the kernel side reads.

use tcptrace_common::field::{ABSENT, COUNT, Field};

use super::btf::Btf;

/// The array `OFFSETS` for the kernel that `btf` describes.
#[must_use]
pub fn resolve(btf: &Btf) -> [u32; COUNT] {
    let mut offsets = [ABSENT; COUNT];
    for (slot, field) in offsets.iter_mut().zip(Field::ALL) {
        let (structure, path) = field.path();
        *slot = btf.member_offset(structure, path).unwrap_or(ABSENT);
    }
    offsets
}

/// The fields that are absent, as `struct.member`.
pub fn absent(offsets: &[u32; COUNT]) -> impl Iterator<Item = (Field, String)> {
    let pairs = Field::ALL.iter().zip(offsets).filter(|(_, offset)| **offset == ABSENT);
    pairs.map(|(field, _)| {
        let (structure, path) = field.path();
        (*field, format!("{structure}.{path}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_every_required_field() {
        let btf = Btf::parse(&std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
        let missing: Vec<_> =
            absent(&resolve(&btf)).filter(|(field, _)| field.required()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
