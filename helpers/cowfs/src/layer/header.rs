//! The fields of one tar header block: numbers, names, checksum.
//!
//! The `tar` crate gives the layout of the block; numbers are read here, since its own are unsigned
//! and an image may hold times before 1970.

use tar::Header;

/// Reads a number: octal text, or GNU's base-256 with the top bit of the first byte set, in two's
/// complement. An empty field is 0. `None` where it is neither, or does not fit.
pub fn signed(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => {
            let negative = first & 0x40 != 0;
            let mut value: i128 = if negative { -1 } else { 0 };
            for (at, &byte) in field.iter().enumerate() {
                let byte = match (at, negative) {
                    (0, false) => byte & 0x7f,
                    (0, true) => byte | 0x80,
                    _ => byte,
                };
                value = value.checked_mul(256)? | i128::from(byte);
                if value > i128::from(i64::MAX) || value < i128::from(i64::MIN) {
                    return None;
                }
            }
            i64::try_from(value).ok()
        }
        _ => octal(field),
    }
}

/// Like [`signed`], for what cannot be negative.
pub fn unsigned(field: &[u8]) -> Option<u64> {
    u64::try_from(signed(field)?).ok()
}

fn octal(field: &[u8]) -> Option<i64> {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    let text = field[..end].trim_ascii();
    text.iter().try_fold(0i64, |value, &byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// Whether the header's checksum is right: the sum of its bytes, its own field counted as blanks. Some
/// old archivers summed signed bytes; that is accepted, as GNU tar does.
pub fn checksum_is_right(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let Some(stored) = signed(&bytes[148..156]) else {
        return false;
    };
    let (mut plain, mut with_sign) = (0i64, 0i64);
    for (at, &byte) in bytes.iter().enumerate() {
        let byte = if (148..156).contains(&at) { b' ' } else { byte };
        plain += i64::from(byte);
        with_sign += i64::from(byte as i8);
    }
    stored == plain || stored == with_sign
}

/// The entry's name: that of the name field, after the prefix where the format has one.
pub fn path(header: &Header) -> Vec<u8> {
    let name = until_nul(&header.as_old().name);
    let Some(ustar) = header.as_ustar() else {
        return name.to_vec();
    };
    // star's own format keeps times at the end of the prefix, and says so in the last four bytes.
    let is_star = header.as_bytes()[508..512] == *b"tar\0";
    let prefix = until_nul(if is_star { &ustar.prefix[..131] } else { &ustar.prefix[..] });
    if prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// The target of a link.
pub fn link(header: &Header) -> Vec<u8> {
    until_nul(&header.as_old().linkname).to_vec()
}

/// The device's numbers (major, minor); 0 where the format has no such field.
pub fn device(header: &Header) -> Option<(u32, u32)> {
    let bytes = header.as_bytes();
    if header.as_ustar().is_none() && header.as_gnu().is_none() {
        return Some((0, 0));
    }
    let major = unsigned(&bytes[329..337])?;
    let minor = unsigned(&bytes[337..345])?;
    // The kernel has 12 bits for the major and 20 for the minor number.
    (major < 1 << 12 && minor < 1 << 20).then_some((major as u32, minor as u32))
}

/// The bytes before the first NUL.
pub fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    &field[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_notation() {
        assert_eq!(signed(b"0000644\0"), Some(0o644));
        assert_eq!(signed(b"   644 \0"), Some(0o644));
        assert_eq!(signed(b"\0\0\0\0"), Some(0));
        assert_eq!(signed(b"777777777777"), Some(0o777777777777));
        assert_eq!(signed(b"\x80\0\0\0\0\0\0\x01\0\0\0\0"), Some(1 << 32));
        assert_eq!(signed(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        assert_eq!(signed(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), Some(i64::MAX));
        assert_eq!(signed(b"\x80\0\0\0\x80\0\0\0\0\0\0\0"), None);
        assert_eq!(signed(b"0000648\0"), None);
        assert_eq!(signed(b"-1"), None);
        assert_eq!(unsigned(b"\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
