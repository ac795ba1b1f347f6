//! Numbers and addresses as text, without taking memory.

use std::io::Write as _;
use std::net::IpAddr;

/// An integer in decimal.
pub fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The last `digits` decimal digits of a number, with leading zeros.
pub fn digits(mut number: u64, digits: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for place in out[start..].iter_mut().rev() {
        *place += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// An address; IPv6 as RFC 5952 has it, without brackets.
pub fn address(addr: IpAddr, out: &mut Vec<u8>) {
    match addr {
        IpAddr::V4(addr) => {
            // The longest one, `255.255.255.255`, filled from its beginning.
            let (mut text, mut length) = ([b'.'; 16], 0);
            for octet in addr.octets() {
                length += write_octet(octet, &mut text, length) + 1;
            }
            out.extend_from_slice(&text[..length - 1]);
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(addr) => _ = write!(out, "{addr}"),
    }
}

/// Writes 0 to 255 at a place; returns the number of digits.
fn write_octet(octet: u8, text: &mut [u8; 16], at: usize) -> usize {
    let digits = [b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10];
    let skipped = usize::from(octet < 100) + usize::from(octet < 10);
    for (place, digit) in text[at..].iter_mut().zip(&digits[skipped..]) {
        *place = *digit;
    }
    3 - skipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_and_digits() {
        assert_eq!(text(|out| integer(u64::MAX, out)), "18446744073709551615");
        assert_eq!(text(|out| integer(-7, out)), "-7");
        assert_eq!(text(|out| digits(7, 3, out)), "007");
        assert_eq!(text(|out| digits(123_456_789, 9, out)), "123456789");
        assert_eq!(text(|out| digits(1234, 3, out)), "234");
    }

    #[test]
    fn addresses_are_written_as_the_library_does() {
        for octet in 0..=255 {
            let addr = std::net::Ipv4Addr::new(octet, 0, octet, octet);
            assert_eq!(text(|out| address(addr.into(), out)), addr.to_string());
        }
        for addr in ["0.0.0.0", "10.0.0.7", "255.255.255.255", "::", "::1", "2001:db8::a:0:1"] {
            let parsed: IpAddr = addr.parse().unwrap();
            assert_eq!(text(|out| address(parsed, out)), addr);
        }
    }
}
