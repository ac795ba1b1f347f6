//! Whether an address can be a return address: whether the code before it is a call.

use super::arch::Arch;

/// Bytes before a return address that hold the longest call.
pub const CALL_BYTES: usize = 7;
/// `call rel32`.
const CALL: u8 = 0xe8;
/// `call r/m64` where the next byte says so in bits 3 to 5.
const INDIRECT: u8 = 0xff;

/// Bytes of code that tell where the interpreter of a Java virtual machine is returned to.
pub const RETURN_BYTES: usize = 12;
/// It pushes such an address and jumps. The code there restores `rsp` from the frame and clears
/// the slot: `mov rsp, [rbp - 16]; mov qword ptr [rbp - 16], 0`.
const JAVA_RETURN: &[u8] = &[0x48, 0x8b, 0x65, 0xf0, 0x48, 0xc7, 0x45, 0xf0, 0, 0, 0, 0];
/// The same since JDK 22: `mov rcx, [rbp - 16]; lea rsp, [rbp + rcx * 8]`.
const JAVA_22_RETURN: &[u8] = &[0x48, 0x8b, 0x4d, 0xf0, 0x48, 0x8d, 0x64, 0xcd, 0];

/// Whether this is the code at a place where the interpreter of a Java virtual machine is returned
/// to, which no call comes before.
#[must_use]
pub fn is_java_return(code: [u8; RETURN_BYTES]) -> bool {
    code.starts_with(JAVA_RETURN) || code.starts_with(JAVA_22_RETURN)
}

/// Where a method returns to the stub by which native code calls Java: `mov rdi, [rbp - 40]; mov
/// esi, [rbp - 32]; cmp esi, …`.
const JAVA_STUB: &[u8] = &[0x48, 0x8b, 0x7d, 0xd8, 0x8b, 0x75, 0xe0, 0x83, 0xfe];

/// Whether the code at a return address shows that the function keeps `rbp` for its frame, though
/// compiled Java does not: the interpreter, and the stub that Java is called by.
#[must_use]
pub fn has_java_frame(code: [u8; RETURN_BYTES]) -> bool {
    is_java_return(code) || code.starts_with(JAVA_STUB)
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// To this distance from the return address.
    Direct(i32),
    /// Through a register or memory.
    Indirect,
}

/// The call that ends where `code` ends; `None`: there is none.
#[must_use]
pub fn before(arch: Arch, code: [u8; CALL_BYTES]) -> Option<Call> {
    match arch {
        Arch::X86_64 => x86_64(code),
        Arch::Aarch64 => aarch64(code),
    }
}

/// Where bytes can be read both ways, the call is taken to be indirect, of which less can be said.
fn x86_64(code: [u8; CALL_BYTES]) -> Option<Call> {
    if (2..=CALL_BYTES).any(|length| is_indirect(&code[CALL_BYTES - length..])) {
        return Some(Call::Indirect);
    }
    let [.., CALL, a, b, c, d] = code else { return None };
    Some(Call::Direct(i32::from_le_bytes([a, b, c, d])))
}

/// `bl` with a distance in words from itself, `blr`, `blraa` and its like (Arm ARM, C4.1).
fn aarch64(code: [u8; CALL_BYTES]) -> Option<Call> {
    let [.., a, b, c, d] = code;
    let word = u32::from_le_bytes([a, b, c, d]);
    if word >> 26 == 0b10_0101 {
        let words = ((word << 6) as i32) >> 6;
        return Some(Call::Direct(words * 4 - 4));
    }
    let is_plain = word & 0xffff_fc1f == 0xd63f_0000;
    let is_signed = word & 0xfeff_f800 == 0xd63f_0800;
    (is_plain || is_signed).then_some(Call::Indirect)
}

/// Whether `code` is exactly one indirect near call, without the prefix that it may have.
fn is_indirect(code: &[u8]) -> bool {
    let [INDIRECT, modrm, rest @ ..] = code else { return false };
    let (mode, operation, rm) = (modrm >> 6, (modrm >> 3) & 7, modrm & 7);
    if operation != 2 {
        return false;
    }
    let sib = (mode != 3 && rm == 4).then(|| rest.first().copied()).flatten();
    let has_sib = mode != 3 && rm == 4;
    let displacement = match mode {
        1 => 1,
        2 => 4,
        0 if rm == 5 || sib.is_some_and(|sib| sib & 7 == 5) => 4,
        _ => 0,
    };
    rest.len() == usize::from(has_sib) + displacement
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(code: &[u8]) -> Option<Call> {
        let mut bytes = [0x90; CALL_BYTES];
        bytes[CALL_BYTES - code.len()..].copy_from_slice(code);
        before(Arch::X86_64, bytes)
    }

    #[test]
    fn each_form_of_a_call() {
        assert_eq!(call(&[0xe8, 0xf0, 0xff, 0xff, 0xff]), Some(Call::Direct(-16)));
        for indirect in [
            &[0xff, 0xd0][..],                     // call rax
            &[0x41, 0xff, 0xd4],                   // call r12
            &[0xff, 0x10],                         // call [rax]
            &[0xff, 0x14, 0xc8],                   // call [rax + rcx * 8]
            &[0xff, 0x14, 0xc5, 0, 1, 0, 0],       // call [rax * 8 + disp32]
            &[0xff, 0x50, 0x18],                   // call [rax + disp8]
            &[0xff, 0x54, 0x24, 0x18],             // call [rsp + disp8]
            &[0xff, 0x15, 0x10, 0x20, 0, 0],       // call [rip + disp32]
            &[0xff, 0x90, 0x10, 0x20, 0, 0],       // call [rax + disp32]
            &[0xff, 0x94, 0x24, 0x10, 0x20, 0, 0], // call [rsp + disp32]
        ] {
            assert_eq!(call(indirect), Some(Call::Indirect), "{indirect:x?}");
        }
    }

    #[test]
    fn each_form_of_a_call_on_aarch64() {
        let call = |word: u32| {
            let mut bytes = [0; CALL_BYTES];
            bytes[CALL_BYTES - 4..].copy_from_slice(&word.to_le_bytes());
            before(Arch::Aarch64, bytes)
        };
        assert_eq!(call(0x9400_0001), Some(Call::Direct(0))); // bl .+4
        assert_eq!(call(0x97ff_ffff), Some(Call::Direct(-8))); // bl .-4
        assert_eq!(call(0xd63f_0100), Some(Call::Indirect)); // blr x8
        assert_eq!(call(0xd63f_08ff), Some(Call::Indirect)); // blraaz x7
        assert_eq!(call(0xd73f_0a11), Some(Call::Indirect)); // blraa x16, x17
        for word in [0x1400_0001, 0xd61f_0100, 0xd65f_03c0, 0xd400_0001] {
            assert_eq!(call(word), None, "{word:x}"); // b, br, ret, svc
        }
    }

    #[test]
    fn what_keeps_a_frame_in_java() {
        let code = |start: &[u8]| {
            let mut code = [0x90; RETURN_BYTES];
            code[..start.len()].copy_from_slice(start);
            code
        };
        assert!(has_java_frame(code(JAVA_RETURN)) && has_java_frame(code(JAVA_STUB)));
        assert!(!is_java_return(code(JAVA_STUB)) && !has_java_frame(code(&[])));
    }

    #[test]
    fn other_instructions_are_no_calls() {
        for code in [
            &[0x90][..],
            &[0xc3],
            &[0xff, 0xe0],             // jmp rax
            &[0xff, 0x25, 1, 0, 0, 0], // jmp [rip + disp32]
            &[0xe9, 1, 0, 0, 0],       // jmp rel32
            &[0xff, 0x50],             // cut short
            &[0x0f, 0x05],             // syscall
        ] {
            assert_eq!(call(code), None, "{code:x?}");
        }
    }
}
