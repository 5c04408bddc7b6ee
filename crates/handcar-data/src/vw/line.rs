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

/// A text and where its words may end, gone through from the front to the back.
pub(super) struct Words<'t, 'm> {
    text: &'t [u8],
    /// The positions of all bytes of [`MARKS`].
    marks: &'m [u32],
    /// How many of them have been passed.
    passed: usize,
}

/// What ends a word.
pub(super) const MARKS: [u8; 5] = *b" \t:|\n";

impl<'t, 'm> Words<'t, 'm> {
    /// `marks`: where the bytes of [`MARKS`] stand.
    pub fn new(text: &'t [u8], marks: &'m [u32]) -> Self {
        Self { text, marks, passed: 0 }
    }

    /// Where the word at `at` ends.
    #[inline]
    fn end(&mut self, at: usize) -> usize {
        while let Some(&mark) = self.marks.get(self.passed) {
            if mark as usize >= at {
                return mark as usize;
            }
            self.passed += 1;
        }
        self.text.len()
    }

    /// Where the next mark after one is.
    #[inline]
    fn after(&mut self) -> usize {
        self.passed += 1;
        self.marks.get(self.passed).map_or(self.text.len(), |&mark| mark as usize)
    }
}

/// Reads what follows a line's first bar, which is in front of `line.start`.
pub(super) fn features<'t>(
    words: &mut Words<'t, '_>,
    line: std::ops::Range<usize>,
    sink: &mut impl Sink<'t>,
) -> Result<(), RowError> {
    let text = &words.text[..line.end];
    let mut at = line.start;
    loop {
        let mut scale = 1.0;
        let space = match sink.known(&text[at..]) {
            Some(len) => {
                at += len;
                &text[at - len..at]
            }
            None => {
                let space = &text[at..words.end(at).min(text.len())];
                at += space.len();
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
        let mut end = words.end(at).min(text.len());
        loop {
            let (word, mark) = (&text[at..end], text.get(end).copied());
            at = end;
            let mut value = scale;
            match mark {
                Some(b' ' | b'\t') | None => {}
                Some(b'|') if word.is_empty() => break,
                Some(b':') if word.is_empty() => {
                    return Err(RowError::new(place(space), "a name before :", cell(text, at)));
                }
                Some(b':') => {
                    let own;
                    (own, at) = real(text, at + 1, || show(space, word))?;
                    value = own * scale;
                    if !value.is_finite() {
                        let product = format!("{own} · {scale}");
                        return Err(RowError::new(show(space, word), "a finite value", product.as_bytes()));
                    }
                }
                Some(_) => {}
            }
            // As Vowpal Wabbit does: what is zero is not there.
            if value != 0.0 && !word.is_empty() {
                sink.feature(word, value);
            }
            match text.get(at) {
                None => return Ok(()),
                Some(b'|') => break,
                Some(_) if at == end => {
                    at += 1;
                    end = words.after().min(text.len());
                }
                Some(_) => {
                    at += 1;
                    end = words.end(at).min(text.len());
                }
            }
        }
        at += 1;
    }
}

/// `namespace^name`, as Vowpal Wabbit writes it; features of the anonymous namespace are written as they are.
pub(super) fn show(space: &[u8], name: &[u8]) -> String {
    String::from_utf8_lossy(&joined(space, name).concat()).into_owned()
}

/// The same in parts.
pub(super) fn joined<'t>(space: &'t [u8], name: &'t [u8]) -> [&'t [u8]; 3] {
    [space, if space.is_empty() || name.is_empty() { b"" } else { b"^" }, name]
}

/// Whether a byte is one of [`MARKS`].
const IS_MARK: [bool; 256] = {
    let (mut is, mut i) = ([false; 256], 0);
    while i < MARKS.len() {
        is[MARKS[i] as usize] = true;
        i += 1;
    }
    is
};

/// The word at `at`, found without what [`Words`] has noted.
pub(super) fn word(text: &[u8], at: usize) -> &[u8] {
    let rest = &text[at..];
    let word = &rest[..rest.iter().position(|&c| IS_MARK[c as usize]).unwrap_or(rest.len())];
    // A line may end with both letters of old systems.
    if matches!(rest.get(word.len()), None | Some(b'\n')) { word.strip_suffix(b"\r").unwrap_or(word) } else { word }
}

fn place(space: &[u8]) -> Option<String> {
    (!space.is_empty()).then(|| format!("namespace {}", String::from_utf8_lossy(space)))
}

#[inline]
fn blank(c: u8) -> bool {
    matches!(c, b' ' | b'\t')
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
    use handcar_kernels::marks::positions;

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
            let (mut seen, mut marks) = (Seen::default(), Vec::new());
            positions(text.as_bytes(), MARKS, &mut marks);
            features(&mut Words::new(text.as_bytes(), &marks), 0..text.len(), &mut seen).unwrap();
            assert_eq!(seen.0.join(" "), expected, "{text:?}");
        }
    }
}
