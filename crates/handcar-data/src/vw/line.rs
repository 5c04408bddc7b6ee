//! The grammar of a line: `[label] [weight] [base] ['tag]|namespace[:scale] name[:value] … |namespace …`

use crate::error::RowError;
use crate::label::LabelKind;
use crate::number;

/// What stands before the first bar.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub label: Option<f32>,
    pub weight: f32,
}

/// Takes what the features of a line are, in their order.
pub(super) trait Sink<'a> {
    /// Takes a namespace at the begin of `rest` if it is one seen before, with a blank behind it, and gives its length.
    fn known(&mut self, rest: &'a [u8]) -> Option<usize>;
    /// A namespace begins; an empty name is the anonymous one.
    fn namespace(&mut self, name: &'a [u8]);
    /// A feature of that namespace. `value`: finite, not zero.
    fn feature(&mut self, name: &'a [u8], value: f32);
}

/// Words before the bar that can be told apart: three numbers, a tag, and one too many.
const WORDS_MAX: usize = 5;

/// Reads what stands before the first bar. `need`: whether there must be a label, of this kind.
pub(super) fn head(text: &[u8], need: bool, kind: LabelKind) -> Result<Head, RowError> {
    match text {
        b"1 " => return Ok(Head { label: Some(1.0), weight: 1.0 }),
        b"-1 " | b"0 " if kind == LabelKind::Binary => return Ok(Head { label: Some(-1.0), weight: 1.0 }),
        _ => {}
    }
    let (mut words, mut n) = ([&text[..0]; WORDS_MAX], 0);
    let all = text.split(|c| blank(*c)).filter(|w| !w.is_empty());
    for (to, word) in words.iter_mut().zip(all) {
        (*to, n) = (word, n + 1);
    }
    // A word that touches the bar is the tag, as is one with a quote; the tag stands last.
    let touches = text.last().is_some_and(|c| !blank(*c));
    let tagged = n > 0 && (touches || words[n - 1].starts_with(b"'"));
    let numbers = &words[..n - tagged as usize];
    let label = match numbers.first() {
        Some(word) => match kind.read(word) {
            Ok(label) => Some(label),
            // Prediction may carry any number in the label's place; there it is no label.
            Err(_) if !need && number::real(word).is_some() => None,
            Err(e) => return Err(e),
        },
        None if !need => None,
        None if tagged => {
            let expected = format!("{} and a blank (what touches | is a tag)", kind.expected());
            return Err(RowError::new("label".to_string(), expected, words[0]));
        }
        None => return Err(RowError::new("label".to_string(), kind.expected(), b"")),
    };
    let weight = match numbers.get(1).map(|word| (word, number::real32(word))) {
        None => 1.0,
        Some((_, Some(w))) if w.is_finite() && w >= 0.0 => w,
        Some((word, _)) => return Err(RowError::new("weight".to_string(), "a finite weight of 0 or more", word)),
    };
    match numbers.get(2) {
        Some(word) if number::real(word) != Some(0.0) => {
            Err(RowError::new("base".to_string(), "0, as a base margin is not supported", word))
        }
        _ if numbers.len() > 3 => {
            Err(RowError::new(None, "at most a label, a weight, a base and a tag before |", text.trim_ascii()))
        }
        _ => Ok(Head { label, weight }),
    }
}

/// Reads what follows the first bar.
pub(super) fn features<'a>(text: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), RowError> {
    let mut at = 0;
    loop {
        let mut scale = 1.0;
        let space = match sink.known(&text[at..]) {
            Some(len) => {
                at += len;
                &text[at - len..at]
            }
            None => {
                let (space, after) = name(text, at);
                at = after;
                if text.get(at) == Some(&b':') {
                    if space.is_empty() {
                        return Err(RowError::new(None, "a namespace or a blank after |", cell(text, at)));
                    }
                    (scale, at) = real(text, at + 1, || format!("namespace {}", show(b"", space)))?;
                }
                sink.namespace(space);
                space
            }
        };
        loop {
            while text.get(at).is_some_and(|c| blank(*c)) {
                at += 1;
            }
            match text.get(at) {
                None => return Ok(()),
                Some(b'|') => break,
                Some(b':') => {
                    return Err(RowError::new(place(space), "a name before :", cell(text, at)));
                }
                _ => {}
            }
            let (feature, after) = name(text, at);
            at = after;
            let mut value = scale;
            if text.get(at) == Some(&b':') {
                let own;
                (own, at) = real(text, at + 1, || show(space, feature))?;
                value = own * scale;
                if !value.is_finite() {
                    let product = format!("{own} · {scale}");
                    return Err(RowError::new(show(space, feature), "a finite value", product.as_bytes()));
                }
            }
            // As Vowpal Wabbit does: what is zero is not there.
            if value != 0.0 {
                sink.feature(feature, value);
            }
        }
        at += 1;
    }
}

/// `namespace^name`, as Vowpal Wabbit writes it; features of the anonymous namespace are written as they are.
pub(super) fn show(space: &[u8], name: &[u8]) -> String {
    let bar = if space.is_empty() || name.is_empty() { "" } else { "^" };
    format!("{}{bar}{}", String::from_utf8_lossy(space), String::from_utf8_lossy(name))
}

fn place(space: &[u8]) -> Option<String> {
    (!space.is_empty()).then(|| format!("namespace {}", String::from_utf8_lossy(space)))
}

#[inline]
fn blank(c: u8) -> bool {
    matches!(c, b' ' | b'\t')
}

/// The name at `at`, and the position after it.
#[inline]
fn name(text: &[u8], at: usize) -> (&[u8], usize) {
    let mut end = at;
    // Lengths vary at random: the wrong guess of where a loop ends would cost more than looking at eight bytes.
    while let Some(eight) = text[end..].first_chunk::<8>() {
        let len = name_bytes(*eight);
        end += len;
        if len < 8 {
            return (&text[at..end], end);
        }
    }
    end += text[end..].iter().position(|&c| blank(c) || c == b':' || c == b'|').unwrap_or(text.len() - end);
    (&text[at..end], end)
}

/// How many of eight bytes stand before a blank, a colon or a bar.
#[inline]
fn name_bytes(text: [u8; 8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let x = u64::from_le_bytes(text);
    // The lowest byte that a subtraction borrows from is the first that is zero, here: the first of that letter.
    let first = |c: u8| {
        let y = x ^ (c as u64 * ONES);
        y.wrapping_sub(ONES) & !y
    };
    let ends = (first(b' ') | first(b'\t') | first(b':') | first(b'|')) & (0x80 * ONES);
    ends.trailing_zeros() as usize / 8
}

/// What stands at `at` up to a blank or bar.
#[inline]
fn cell(text: &[u8], at: usize) -> &[u8] {
    let rest = &text[at..];
    &rest[..rest.iter().position(|&c| blank(c) || c == b'|').unwrap_or(rest.len())]
}

/// The finite number at `at`, and the position after it.
#[inline]
fn real(text: &[u8], at: usize, column: impl Fn() -> String) -> Result<(f32, usize), RowError> {
    let cell = cell(text, at);
    match number::real32(cell) {
        Some(v) if v.is_finite() => Ok((v, at + cell.len())),
        _ => Err(RowError::new(column(), "a finite number", cell)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_label_weight_base_and_tag() {
        let labelled = |label, weight| Head { label: Some(label), weight };
        let cases = [
            ("1 ", labelled(1.0, 1.0)),
            ("+1\t", labelled(1.0, 1.0)),
            ("-1 2.5 ", labelled(-1.0, 2.5)),
            ("0 0 0 ", labelled(-1.0, 0.0)),
            (" 1.0  3  0.0 'tag ", labelled(1.0, 3.0)),
            ("1 3 tag", labelled(1.0, 3.0)),
            ("1 'tag", labelled(1.0, 1.0)),
            ("1 2 0 7", labelled(1.0, 2.0)),
        ];
        for (text, expected) in cases {
            for need in [true, false] {
                assert_eq!(head(text.as_bytes(), need, LabelKind::Binary), Ok(Head { ..expected }), "{text:?}");
            }
        }
        for text in ["", " ", "'tag ", "tag", "1", "3 "] {
            assert_eq!(
                head(text.as_bytes(), false, LabelKind::Binary),
                Ok(Head { label: None, weight: 1.0 }),
                "{text:?}"
            );
            assert!(head(text.as_bytes(), true, LabelKind::Binary).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_end_at_blanks_colons_and_bars() {
        for letter in 0..=255u8 {
            for at in 0..8 {
                let mut text = *b"abcdefgh";
                text[at] = letter;
                let expected = if b" \t:|".contains(&letter) { at } else { 8 };
                assert_eq!(name_bytes(text), expected, "{letter:#x} at {at}");
            }
        }
        assert_eq!(name(b"xa_name_of_twenty_by: ", 1), (&b"a_name_of_twenty_by"[..], 20));
    }

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl<'a> Sink<'a> for Seen {
        fn known(&mut self, _: &'a [u8]) -> Option<usize> {
            None
        }
        fn namespace(&mut self, name: &'a [u8]) {
            self.0.push(format!("|{}", String::from_utf8_lossy(name)));
        }
        fn feature(&mut self, name: &'a [u8], value: f32) {
            self.0.push(format!("{}:{value}", String::from_utf8_lossy(name)));
        }
    }

    #[test]
    fn features_have_names_values_and_scales() {
        let cases = [
            ("", "|"),
            (" x y:2", "| x:1 y:2"),
            ("a x:-1e1 |b:0.5 y  z:4 |", "|a x:-10 |b y:0.5 z:2 |"),
            ("a|b x|c\ty:3|d", "|a |b x:1 |c y:3 |d"),
            ("a:2 x:0 y:1", "|a y:2"),
            ("été ü=1:7 'q \"r", "|été ü=1:7 'q:1 \"r:1"),
        ];
        for (text, expected) in cases {
            let mut seen = Seen::default();
            features(text.as_bytes(), &mut seen).unwrap();
            assert_eq!(seen.0.join(" "), expected, "{text:?}");
        }
    }
}
