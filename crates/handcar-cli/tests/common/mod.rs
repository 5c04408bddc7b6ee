//! Runs the real program in a directory of its own.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};

/// A temporary directory with its own cache.
pub struct Place {
    dir: tempfile::TempDir,
}

/// How a run of the program ended.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("make a temporary directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("write a test file");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("read a file the program wrote")
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// Files in the directory, without the cache.
    pub fn files(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.dir.path()).expect("list the directory").map(|e| e.expect("an entry").file_name());
        let mut names: Vec<String> =
            names.map(|n| n.to_string_lossy().into_owned()).filter(|n| n != "cache-for-tests").collect();
        names.sort();
        names
    }

    pub fn command(&self, args: &str) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_handcar"));
        c.current_dir(self.dir.path())
            .env("HANDCAR_CACHE_DIR", self.path("cache-for-tests"))
            .args(args.split_whitespace());
        c
    }

    /// Runs the program with arguments that hold no spaces.
    pub fn run(&self, args: &str) -> Ran {
        self.run_with_input(args, b"")
    }

    pub fn run_with_input(&self, args: &str, input: &[u8]) -> Ran {
        let mut c = self.command(args);
        c.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = c.spawn().expect("start handcar");
        let mut stdin = child.stdin.take().expect("piped");
        // A program that refuses its arguments reads nothing: the pipe is then closed, which is fine.
        let _ = stdin.write_all(input);
        drop(stdin);
        let o = child.wait_with_output().expect("run handcar");
        let text = |b| String::from_utf8(b).expect("handcar writes UTF-8");
        Ran { code: o.status.code(), out: text(o.stdout), err: text(o.stderr) }
    }

    /// Runs the program and demands that it succeeds.
    pub fn ok(&self, args: &str) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "handcar {args}\n{}{}", ran.out, ran.err);
        ran
    }

    /// Runs the program and demands that it fails with one error that has all of `words`, and leaves no new file.
    pub fn refused(&self, args: &str, words: &[&str]) {
        let before = self.files();
        let ran = self.run(args);
        assert_eq!(ran.code, Some(1), "handcar {args}\n{}{}", ran.out, ran.err);
        let errors: Vec<&str> = ran.err.lines().filter(|l| l.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "handcar {args}\n{}", ran.err);
        for word in words {
            assert!(errors[0].contains(word), "expected {word:?} in: {}", errors[0]);
        }
        assert_eq!(self.files(), before, "handcar {args} left something behind");
    }

    /// A small libsvm file in which feature 1 speaks for +1 and feature 2 for -1.
    pub fn small_data(&self, name: &str) {
        let row = |i: u32| match i % 7 {
            0 | 3 => format!("+1 1:1 {}:1\n", 3 + i % 5),
            5 => format!("+1 2:1 {}:0.5\n", 3 + i % 5),
            6 => format!("-1 1:1 {}:2\n", 3 + i % 5),
            _ => format!("-1 2:1 {}:1\n", 3 + i % 5),
        };
        self.write(name, (0..400).map(row).collect::<String>());
    }
}

/// The real data that ships with the project.
pub fn adult() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/adult.csv.gz")
}

/// Reads lines until one of them satisfies `wanted`; panics with what was read at the end of the stream.
pub fn read_until(err: &mut BufReader<ChildStderr>, wanted: impl Fn(&str) -> bool) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        let n = err.read_line(&mut line).expect("read a line");
        assert!(n > 0, "the program ended before the line came:\n{all}");
        all.push_str(&line);
        if wanted(line.trim_end()) {
            return line;
        }
    }
}

/// Starts a program with its standard error caught.
pub fn start(mut command: Command) -> (Child, BufReader<ChildStderr>) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("start handcar");
    let err = BufReader::new(child.stderr.take().expect("piped"));
    (child, err)
}

/// Whether a line of progress is that of a finished pass.
pub fn is_pass(line: &str) -> bool {
    line.split_whitespace().next().is_some_and(|w| w.parse::<u64>().is_ok())
}
