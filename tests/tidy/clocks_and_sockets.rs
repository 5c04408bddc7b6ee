//! Engines without I/O: time, sockets, threads and files enter the parameter server's engines only as arguments.

use crate::code::lines_with_word;
use crate::tree::{expect_none, files, read};

/// Where, and which words may not stand there in code.
const RULES: [(&str, &[&str]); 2] = [
    (
        "crates/handcar-ps/src/engine",
        &[
            "tokio",
            "mio",
            "socket2",
            "rustix",
            "std::net",
            "std::fs",
            "std::thread",
            "std::io",
            "TcpStream",
            "TcpListener",
            "Instant",
            "SystemTime",
            "HashMap::new",
            "RandomState",
        ],
    ),
    ("crates/handcar-base/src", &["std::net", "std::fs", "std::thread", "Instant", "SystemTime"]),
];

#[test]
fn engines_name_no_clock_socket_or_file() {
    let mut wrong = Vec::new();
    for (folder, words) in RULES {
        for file in files(folder, &["rs"]) {
            let source = read(&file);
            for word in words {
                for line in lines_with_word(&source, word) {
                    wrong.push(format!("{}:{line}: {word}", file.display()));
                }
            }
        }
    }
    expect_none("an engine is a state machine: take it as an argument", &wrong);
}
