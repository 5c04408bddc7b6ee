//! `Told`: a worker's failure as words that the others receive as a sum with their zeros.

use crate::error::Error;
use crate::fault::Fault;

/// Bytes of the text: room for two names of files with what was expected and found.
const TEXT_BYTES_MAX: usize = 2048;
/// The kind, the length of the text, the text.
const WORDS: usize = 2 + TEXT_BYTES_MAX / 8;

/// What a worker says that has nothing to tell.
pub fn nothing() -> Vec<i64> {
    vec![0; WORDS]
}

/// A failure as words.
pub fn words(error: &Error) -> Vec<i64> {
    let (fault, reason) = match error {
        Error::Checkpoint { fault, reason, .. } => (*fault, reason.clone()),
        other => (Fault::Other, other.to_string()),
    };
    let text = &reason.as_bytes()[..reason.floor_char_boundary(TEXT_BYTES_MAX)];
    let mut bytes = text.to_vec();
    bytes.resize(TEXT_BYTES_MAX, 0);
    let text_words = bytes.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word));
    [fault as i64, text.len() as i64].into_iter().chain(text_words).collect()
}

/// The failure of a worker, from its words.
pub fn error(words: &[i64], op: &'static str, rank: usize) -> Error {
    let fault = Fault::ALL.into_iter().find(|&f| words.first() == Some(&(f as i64))).unwrap_or(Fault::Other);
    let mut text: Vec<u8> = words.iter().skip(2).flat_map(|w| w.to_le_bytes()).collect();
    text.truncate(words.get(1).map_or(0, |&n| n.max(0) as usize));
    Error::Checkpoint { op, by: format!("worker {rank}"), fault, reason: String::from_utf8_lossy(&text).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_over_as_a_sum_with_zeros() {
        let long = "\u{1}é".repeat(5000);
        for reason in ["expected room for 9 bytes at \"/d/x\", got: full", "", &long] {
            let (op, by, fault) = ("save", "worker 3".to_string(), Fault::Full);
            let error = Error::Checkpoint { op, by: by.clone(), fault, reason: reason.into() };
            let said = words(&error);
            assert_eq!(said.len(), nothing().len());
            let Error::Checkpoint { fault: Fault::Full, by: told_by, reason: told, .. } = super::error(&said, op, 3)
            else {
                panic!("another kind")
            };
            assert!(told_by == by && reason.starts_with(&told) && (told == reason || reason.len() > 900), "{told}");
        }
    }
}
