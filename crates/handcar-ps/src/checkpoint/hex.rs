//! Hexadecimal text for bytes and positions: exact in every JSON reader, where large numbers are not.

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Two lower-case digits a byte.
pub(super) fn encode(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|d| DIGITS[d as usize] as char).collect()
}

/// The bytes of lower-case digits; one text a value, so a changed letter is a changed value or none.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| DIGITS.iter().position(|&d| d == b).map(|d| d as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

/// For `#[serde(with)]` on bytes.
pub(super) mod bytes {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        decode(&text).ok_or_else(|| D::Error::custom("expected pairs of lower-case hexadecimal digits"))
    }
}

/// For `#[serde(with)]` on 64-bit numbers that use all their bits.
pub(super) mod number {
    use super::*;

    pub fn serialize<S: Serializer>(number: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&encode(&number.to_be_bytes()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = decode(&text).and_then(|b| b.try_into().ok());
        bytes.map(u64::from_be_bytes).ok_or_else(|| D::Error::custom("expected 16 lower-case hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_that_encoding_gives_is_read() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
        for text in ["0", "0G", "AB", "é", "0 "] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
