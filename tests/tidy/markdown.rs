//! The few things the tidy tests read from Markdown: links and fenced blocks.

/// A fenced code block: its language, the line it starts on (from 1) and its text.
pub struct Fence {
    pub language: String,
    pub line: usize,
    pub text: String,
}

/// The fenced code blocks of a page.
pub fn fences(page: &str) -> Vec<Fence> {
    let mut found = Vec::new();
    let mut open: Option<Fence> = None;
    for (n, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Fence { language: language.trim().into(), line: n + 1, text: String::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(fence)) => {
                fence.text.push_str(line);
                fence.text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// The targets of the inline links of a page, outside code.
pub fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("");
            let starts = prose.match_indices("](").map(|(at, _)| &prose[at + 2..]);
            found.extend(starts.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()));
        }
    }
    found
}

#[test]
fn links_are_read_from_prose_and_not_from_code() {
    assert_eq!(links("a [b](c.md) `[x](y)` [d](e.md#f)\n```\n[no](no)\n```\n"), ["c.md", "e.md#f"]);
}

#[test]
fn fences_keep_language_line_and_text() {
    let found = fences("x\n```sh\nls\n```\n");
    assert_eq!((found[0].language.as_str(), found[0].line, found[0].text.as_str()), ("sh", 2, "ls\n"));
}
