//! A reader of BTF, the kernel's description of its own types: enough to find the byte offset of
//! a struct's member and the number of parameters of a function type.
//!
//! Format: `Documentation/bpf/btf.rst`. Every read is checked; damaged data gives an error.

use anyhow::{Context as _, Result, bail, ensure};

const MAGIC: u16 = 0xeb9f;
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// How deep anonymous members and chains of typedefs are followed.
const MAX_DEPTH: u32 = 32;
/// Members that are looked at for one of them: more than any struct of the kernel has.
const MAX_MEMBERS: u32 = 1 << 16;

/// The types of one BTF blob.
pub struct Btf {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Start of each type in `types`; index 0 is type id 1.
    starts: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Type {
    name: u32,
    info: u32,
    /// Size or referred type.
    value: u32,
    /// Where what follows the common part begins.
    extra: usize,
}

impl Type {
    fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    fn count(self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// Whether member offsets carry a bit-field size in their top byte.
    fn has_bit_fields(self) -> bool {
        self.info >> 31 == 1
    }

    /// Bytes of kind-specific data behind the common part.
    fn extra_size(self) -> Result<usize> {
        Ok(match self.kind() {
            INT | VAR | DECL_TAG => 4,
            ARRAY => 12,
            STRUCT | UNION | DATASEC | ENUM64 => 12 * self.count(),
            ENUM | FUNC_PROTO => 8 * self.count(),
            PTR..=TYPE_TAG => 0,
            kind => bail!("BTF has a type of unknown kind {kind}"),
        })
    }
}

impl Btf {
    /// Reads a blob in the byte order of this machine.
    ///
    /// # Errors
    ///
    /// When it is not BTF or is cut short.
    pub fn parse(blob: &[u8]) -> Result<Self> {
        let magic = blob.get(..2).and_then(|bytes| bytes.try_into().ok());
        ensure!(magic.map(u16::from_ne_bytes) == Some(MAGIC), "not BTF: wrong magic number");
        let header = word(blob, 4)? as usize;
        let section = |at: usize| -> Result<Vec<u8>> {
            let start = header + word(blob, at)? as usize;
            let end = start + word(blob, at + 4)? as usize;
            blob.get(start..end).map(<[u8]>::to_vec).context("BTF is cut short")
        };
        let mut btf = Self { types: section(8)?, strings: section(16)?, starts: Vec::new() };
        let mut at = 0;
        while at < btf.types.len() {
            btf.starts.push(u32::try_from(at)?);
            let entry = btf.read_type(at)?;
            at = entry.extra + entry.extra_size()?;
        }
        Ok(btf)
    }

    fn read_type(&self, at: usize) -> Result<Type> {
        Ok(Type {
            name: word(&self.types, at)?,
            info: word(&self.types, at + 4)?,
            value: word(&self.types, at + 8)?,
            extra: at + 12,
        })
    }

    fn by_id(&self, id: u32) -> Option<Type> {
        let start = self.starts.get(usize::try_from(id.checked_sub(1)?).ok()?)?;
        self.read_type(*start as usize).ok()
    }

    /// Whether the string at an offset, which ends with a NUL, is `name`. The end is not looked for:
    /// a string may be as long as all of them.
    fn is_named(&self, offset: u32, name: &str) -> bool {
        let tail = self.strings.get(offset as usize..).unwrap_or_default();
        let rest = tail.strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| *byte == 0))
    }

    fn find(&self, kind: u32, name: &str) -> Option<Type> {
        self.starts.iter().find_map(|start| {
            let entry = self.read_type(*start as usize).ok()?;
            (entry.kind() == kind && self.is_named(entry.name, name)).then_some(entry)
        })
    }

    /// Byte offset of a member of a struct. `path` may lead through named members
    /// (`ns.inum`); members of anonymous structs and unions are found as the struct's own.
    /// `None` where there is no such struct or member, or the member is a bit field that does not
    /// begin on a byte.
    #[must_use]
    pub fn member_offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut entry = self.find(STRUCT, structure)?;
        let mut bits = 0_u32;
        let mut left = MAX_MEMBERS;
        for (index, name) in path.split('.').enumerate() {
            if index > 0 {
                entry = self.composite(self.by_id(entry.value)?)?;
            }
            let (offset, member) = self.member(entry, name, 0, &mut left)?;
            bits = bits.checked_add(offset)?;
            entry = member;
        }
        bits.is_multiple_of(8).then_some(bits / 8)
    }

    /// The member `name` of a struct or union: its offset in bits, and a [`Type`] whose `value`
    /// is the member's type. No more than `left` members are looked at.
    fn member(&self, entry: Type, name: &str, depth: u32, left: &mut u32) -> Option<(u32, Type)> {
        (0..entry.count()).find_map(|index| {
            *left = left.checked_sub(1)?;
            let at = entry.extra + 12 * index;
            let member = self.read_type(at).ok()?;
            let mask = if entry.has_bit_fields() { 0x00ff_ffff } else { u32::MAX };
            let bits = member.value & mask;
            let member = Type { value: member.info, ..member };
            if self.is_named(member.name, name) {
                return Some((bits, member));
            }
            if !self.is_named(member.name, "") || depth == MAX_DEPTH {
                return None;
            }
            let inner = self.composite(self.by_id(member.value)?)?;
            let (offset, found) = self.member(inner, name, depth + 1, left)?;
            Some((bits.checked_add(offset)?, found))
        })
    }

    /// The struct or union behind typedefs and qualifiers.
    fn composite(&self, entry: Type) -> Option<Type> {
        let entry = self.resolve(entry)?;
        matches!(entry.kind(), STRUCT | UNION).then_some(entry)
    }

    fn resolve(&self, mut entry: Type) -> Option<Type> {
        for _ in 0..MAX_DEPTH {
            match entry.kind() {
                TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => {
                    entry = self.by_id(entry.value)?
                }
                _ => return Some(entry),
            }
        }
        None
    }

    /// How many arguments a raw tracepoint passes. `None` where there is no such tracepoint.
    #[must_use]
    pub fn tracepoint_arguments(&self, name: &str) -> Option<usize> {
        let pointer = self.resolve(self.find(TYPEDEF, &format!("btf_trace_{name}"))?)?;
        let prototype = self.by_id(pointer.value)?;
        // The first parameter is the tracepoint's own `void *`.
        (prototype.kind() == FUNC_PROTO).then(|| prototype.count().saturating_sub(1))
    }

    /// How many arguments a function of the kernel's takes. `None` where there is no such function.
    #[must_use]
    pub fn function_arguments(&self, name: &str) -> Option<usize> {
        let prototype = self.by_id(self.find(FUNC, name)?.value)?;
        (prototype.kind() == FUNC_PROTO).then(|| prototype.count())
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let word = bytes.get(at..).and_then(|tail| tail.first_chunk()).context("BTF is cut short")?;
    Ok(u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a blob out of words for the type section and one string section.
    fn blob(types: &[u32], strings: &[u8]) -> Vec<u8> {
        let type_length = u32::try_from(types.len() * 4).unwrap();
        let string_length = u32::try_from(strings.len()).unwrap();
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_ne_bytes());
        bytes.extend([1, 0]);
        for word in [24, 0, type_length, type_length, string_length].iter().chain(types) {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(strings);
        bytes
    }

    const fn info(kind: u32, count: u32) -> u32 {
        kind << 24 | count
    }

    /// `int; struct inner { int x; int y; }; struct outer { union { int a; struct inner b; }; }`
    fn nested() -> Vec<u8> {
        let strings = b"\0int\0inner\0x\0y\0outer\0a\0b\0";
        let types = [
            1,
            info(INT, 0),
            4,
            0, // 1: int
            5,
            info(STRUCT, 2),
            8,
            11,
            1,
            0,
            13,
            1,
            32, // 2: inner
            0,
            info(UNION, 2),
            8,
            21,
            1,
            0,
            23,
            2,
            0, // 3: anonymous union
            15,
            info(STRUCT, 2),
            12,
            0,
            1,
            0,
            0,
            3,
            32, // 4: outer, an int then the union
        ];
        blob(&types, strings)
    }

    #[test]
    fn finds_members_through_anonymous_and_named_ones() {
        let btf = Btf::parse(&nested()).unwrap();
        assert_eq!(btf.member_offset("inner", "y"), Some(4));
        assert_eq!(btf.member_offset("outer", "a"), Some(4));
        assert_eq!(btf.member_offset("outer", "b.y"), Some(8));
        assert_eq!(btf.member_offset("outer", "z"), None);
        assert_eq!(btf.member_offset("outer", "a.x"), None);
        assert_eq!(btf.member_offset("nothing", "a"), None);
    }

    #[test]
    fn damaged_blobs_are_errors_and_never_panic() {
        let whole = nested();
        for length in 0..whole.len() - 26 {
            assert!(Btf::parse(&whole[..length]).is_err());
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            if let Ok(btf) = Btf::parse(&damaged) {
                let _ = btf.member_offset("outer", "b.y");
            }
        }
    }

    /// Offsets that add up to more than there can be, and a union that has itself as members.
    #[test]
    fn what_cannot_be_is_not_found() {
        let strings = b"\0s\0a\0b\0";
        let far = u32::MAX - 7;
        let nested = [1, info(STRUCT, 1), 4, 3, 2, far, 0, info(STRUCT, 1), 4, 5, 1, far];
        let btf = Btf::parse(&blob(&nested, strings)).unwrap();
        assert_eq!(btf.member_offset("s", "a.b"), None);
        let own = [1, info(STRUCT, 2), 4, 0, 1, 0, 0, 1, 0];
        let btf = Btf::parse(&blob(&own, strings)).unwrap();
        assert_eq!(btf.member_offset("s", "b"), None);
    }

    #[test]
    fn reads_the_running_kernel() {
        let btf = Btf::parse(&std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
        assert_eq!(btf.member_offset("sock_common", "skc_daddr"), Some(0));
        assert_eq!(btf.tracepoint_arguments("inet_sock_set_state"), Some(3));
        assert_eq!(btf.tracepoint_arguments("no_such_tracepoint"), None);
        assert_eq!(btf.function_arguments("security_sock_graft"), Some(2));
        assert_eq!(btf.function_arguments("no_such_function"), None);
    }
}
