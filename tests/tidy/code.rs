//! Rust source with comments and literals blanked out, so that a rule about code is not tripped by prose.

/// The source with every comment, string and character literal replaced by spaces; line breaks stay.
pub fn strip(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let end = skipped_end(bytes, i);
        if end == i {
            out.push(bytes[i]);
            i += 1;
        } else {
            out.extend(bytes[i..end].iter().map(|&b| if b == b'\n' { b'\n' } else { b' ' }));
            i = end;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Lines (from 1) of `source` where `word` stands as a whole word in code.
pub fn lines_with_word(source: &str, word: &str) -> Vec<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let found = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            !line[..at].chars().next_back().is_some_and(part)
                && !line[at + word.len()..].chars().next().is_some_and(part)
        })
    };
    strip(source).lines().enumerate().filter(|(_, line)| found(line)).map(|(n, _)| n + 1).collect()
}

/// The end of the comment or literal that starts at `i`; `i` itself when none does.
fn skipped_end(b: &[u8], i: usize) -> usize {
    let rest = &b[i..];
    let word_before = i > 0 && (b[i - 1].is_ascii_alphanumeric() || b[i - 1] == b'_');
    if rest.starts_with(b"//") {
        i + rest.iter().position(|&c| c == b'\n').unwrap_or(rest.len())
    } else if rest.starts_with(b"/*") {
        block_comment_end(b, i)
    } else if rest[0] == b'"' {
        string_end(b, i)
    } else if !word_before && (rest[0] == b'r' || rest.starts_with(b"br")) {
        raw_string_end(b, i)
    } else if rest[0] == b'\'' {
        char_end(b, i)
    } else {
        i
    }
}

fn block_comment_end(b: &[u8], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0);
    while i < b.len() {
        if b[i..].starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if b[i..].starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    b.len()
}

fn string_end(b: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while i < b.len() && b[i] != b'"' {
        i += if b[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(b.len())
}

fn raw_string_end(b: &[u8], start: usize) -> usize {
    let mut i = start + if b[start] == b'b' { 2 } else { 1 };
    let hashes = b[i..].iter().take_while(|&&c| c == b'#').count();
    i += hashes;
    if b.get(i) != Some(&b'"') {
        return start; // `r` of an identifier, or a raw identifier
    }
    let close: Vec<u8> = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let found = b[i + 1..].windows(close.len()).position(|w| w == close);
    found.map_or(b.len(), |at| i + 1 + at + close.len())
}

fn char_end(b: &[u8], start: usize) -> usize {
    match b.get(start + 1) {
        Some(b'\\') => (start + 3..b.len()).find(|&i| b[i] == b'\'').map_or(b.len(), |i| i + 1),
        // A character of any width ends within five bytes; otherwise this is a lifetime.
        Some(_) => {
            let close = (start + 2..(start + 6).min(b.len())).find(|&i| b[i] == b'\'');
            let wide = |end: usize| end == start + 2 || b[start + 1] >= 0x80;
            close.filter(|&end| wide(end)).map_or(start, |end| end + 1)
        }
        None => start,
    }
}

#[test]
fn comments_and_literals_vanish_and_code_stays() {
    let source = "let a = \"unsafe \\\" x\"; // unsafe\n/* unsafe /* x */ unsafe */ b('\\'', 'u', '\"', 'é') <'a> r#\"unsafe\"# r;";
    let code = strip(source);
    assert!(!code.contains("unsafe") && !code.contains('"'), "{code}");
    assert!(code.contains("let a =") && code.contains("<'a>") && code.ends_with("r;"), "{code}");
    assert_eq!(code.lines().count(), 2);
}

#[test]
fn a_word_is_found_whole() {
    assert_eq!(lines_with_word("// x\nunsafe_code\nlet y = unsafe { f() };", "unsafe"), [3]);
    assert_eq!(lines_with_word("use std::net::TcpStream;", "std::net"), [1]);
}
