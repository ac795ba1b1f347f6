//! DWARF expressions of the kinds that compilers use for the CFA and for saved registers.

use gimli::{EndianSlice, Expression, LittleEndian, Operation, Register, X86_64, constants};

/// Encoding that `.eh_frame` of x86-64 has; its version matters for none of these operations.
const ENCODING: gimli::Encoding =
    gimli::Encoding { format: gimli::Format::Dwarf32, version: 4, address_size: 8 };
/// Most operations of an expression; that of a PLT has 8.
const MAX_OPERATIONS: usize = 32;

/// What an expression comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// `rsp` + offset.
    Sp(i64),
    /// `rbp` + offset.
    Bp(i64),
    /// The word at `rsp` + offset.
    AtSp(i64),
    /// The word at `rbp` + offset.
    AtBp(i64),
}

/// Evaluates an expression in a frame whose program counter is `pc`; `None` where it comes to
/// something else than a [`Value`].
#[must_use]
pub fn evaluate(expression: Expression<EndianSlice<'_, LittleEndian>>, pc: u64) -> Option<Value> {
    let mut operations = expression.operations(ENCODING);
    let mut stack = Vec::new();
    for _ in 0..MAX_OPERATIONS {
        let next = expression.0.slice().get(operations.offset_from(&expression));
        if next == Some(&constants::DW_OP_piece.0) {
            // Of no use here, and gimli 0.33 multiplies its size without a check.
            return None;
        }
        match operations.next().ok()? {
            None => return stack.pop(),
            Some(operation) => apply(&mut stack, operation, pc)?,
        }
    }
    None
}

fn apply(
    stack: &mut Vec<Value>,
    operation: Operation<EndianSlice<'_, LittleEndian>>,
    pc: u64,
) -> Option<()> {
    let value = match operation {
        Operation::RegisterOffset { register, offset, .. } => of_register(register, offset, pc)?,
        Operation::UnsignedConstant { value } => Value::Number(value),
        Operation::SignedConstant { value } => Value::Number(value.cast_unsigned()),
        Operation::PlusConstant { value } => plus(stack.pop()?, Value::Number(value))?,
        Operation::Deref { size: 8, space: false, .. } => match stack.pop()? {
            Value::Sp(offset) => Value::AtSp(offset),
            Value::Bp(offset) => Value::AtBp(offset),
            _ => return None,
        },
        binary => {
            let (right, left) = (stack.pop()?, stack.pop()?);
            combine(&binary, left, right)?
        }
    };
    stack.push(value);
    Some(())
}

fn of_register(register: Register, offset: i64, pc: u64) -> Option<Value> {
    match register {
        X86_64::RSP => Some(Value::Sp(offset)),
        X86_64::RBP => Some(Value::Bp(offset)),
        X86_64::RA => Some(Value::Number(pc.wrapping_add_signed(offset))),
        _ => None,
    }
}

fn combine(
    operation: &Operation<EndianSlice<'_, LittleEndian>>,
    left: Value,
    right: Value,
) -> Option<Value> {
    if matches!(operation, Operation::Plus) {
        return plus(left, right);
    }
    let (Value::Number(left), Value::Number(right)) = (left, right) else { return None };
    Some(Value::Number(match operation {
        Operation::And => left & right,
        Operation::Shl => left.checked_shl(u32::try_from(right).ok()?)?,
        // DWARF compares as signed.
        Operation::Ge => u64::from(left.cast_signed() >= right.cast_signed()),
        _ => return None,
    }))
}

fn plus(left: Value, right: Value) -> Option<Value> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            Some(Value::Number(left.wrapping_add(right)))
        }
        (Value::Sp(offset), Value::Number(number)) | (Value::Number(number), Value::Sp(offset)) => {
            offset.checked_add(number.cast_signed()).map(Value::Sp)
        }
        (Value::Bp(offset), Value::Number(number)) | (Value::Number(number), Value::Bp(offset)) => {
            offset.checked_add(number.cast_signed()).map(Value::Bp)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Random;
    use super::*;

    fn value(bytes: &[u8], pc: u64) -> Option<Value> {
        evaluate(Expression(EndianSlice::new(bytes, LittleEndian)), pc)
    }

    /// `breg7 8; breg16 0; lit15; and; lit11; ge; lit3; shl; plus`: a PLT entry pushes a word in
    /// its second instruction, which ends at its 11th byte.
    const PLT: &[u8] = &[0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];

    #[test]
    fn an_entry_of_a_plt() {
        assert_eq!(value(PLT, 0x1000), Some(Value::Sp(8)));
        assert_eq!(value(PLT, 0x100a), Some(Value::Sp(8)));
        assert_eq!(value(PLT, 0x100b), Some(Value::Sp(16)));
    }

    #[test]
    fn a_realigned_stack_and_a_signal_frame() {
        assert_eq!(value(&[0x76, 0x78, 0x06], 0), Some(Value::AtBp(-8)));
        assert_eq!(value(&[0x77, 0xa0, 0x01, 0x06], 0), Some(Value::AtSp(160)));
        assert_eq!(value(&[0x76, 0x08, 0x23, 0x10], 0), Some(Value::Bp(24)));
    }

    #[test]
    fn what_is_not_of_these_kinds_is_none() {
        for bytes in [&[][..], &[0x73, 0], &[0x06], &[0x76, 0, 0x06, 0x06], &[0x22], &[0x2f, 0, 0]]
        {
            assert_eq!(value(bytes, 0), None, "{bytes:x?}");
        }
        assert_eq!(value(&[0x2f, 0xfd, 0xff], 0), None, "a jump back to itself");
    }

    #[test]
    fn a_piece_of_any_size_is_none() {
        let huge = [0x93, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(value(&huge, 0), None);
        assert_eq!(value(&[&PLT[..2], &huge].concat(), 0), None);
    }

    #[test]
    fn any_bytes_are_survived() {
        let mut random = Random(2);
        for _ in 0..100_000 {
            let length = random.below(24);
            let bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
            let _ = value(&bytes, random.next());
        }
    }
}
