//! The texts that hashed keys came from, bounded in size.

use crate::section::Section;

/// Text kept at most; names beyond it are shown as hashes.
pub(crate) const TEXT_BYTES_MAX: usize = 32 << 20;

/// Texts by number, in order; none are taken once they no longer fit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    text: Vec<u8>,
    ends: Vec<u32>,
    full: bool,
}

impl Texts {
    /// Adds a text given in parts. What comes after the bound was met has no text.
    pub fn push(&mut self, parts: &[&[u8]]) {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        self.full |= self.text.len() + len > TEXT_BYTES_MAX;
        if !self.full {
            parts.iter().for_each(|p| self.text.extend_from_slice(p));
            self.ends.push(self.text.len() as u32);
        }
    }

    /// The text of a number, counted from 0.
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)? as usize;
        let begin = if number == 0 { 0 } else { self.ends[number - 1] as usize };
        Some(&self.text[begin..end])
    }
}

/// Texts by key.
pub(crate) struct Names {
    /// Ascending.
    pub keys: Section<u64>,
    /// Where each text ends.
    pub ends: Section<u32>,
    pub text: Section<u8>,
}

impl Names {
    /// From pairs in any order, each key once.
    pub fn new(mut pairs: Vec<(u64, &[u8])>) -> Self {
        pairs.sort_unstable_by_key(|p| p.0);
        let (mut keys, mut ends, mut text) = (Vec::new(), Vec::new(), Vec::new());
        for (key, name) in pairs {
            if text.len() + name.len() <= TEXT_BYTES_MAX {
                keys.push(key);
                text.extend_from_slice(name);
                ends.push(text.len() as u32);
            }
        }
        Self { keys: Section::Owned(keys), ends: Section::Owned(ends), text: Section::Owned(text) }
    }

    /// The text of a key, if it is known and valid UTF-8.
    pub fn get(&self, key: u64) -> Option<&str> {
        self.at(self.keys.binary_search(&key).ok()?)
    }

    /// As [`get`](Self::get), of keys that ascend from call to call; `at` begins as 0.
    pub fn next(&self, key: u64, at: &mut usize) -> Option<&str> {
        *at += self.keys[*at..].iter().take_while(|k| **k < key).count();
        if self.keys.get(*at) == Some(&key) { self.at(*at) } else { None }
    }

    fn at(&self, i: usize) -> Option<&str> {
        let begin = if i == 0 { 0 } else { *self.ends.get(i - 1)? };
        std::str::from_utf8(self.text.get(begin as usize..*self.ends.get(i)? as usize)?).ok()
    }
}
