//! Tidy tests: the rules of the house that a compiler does not know, checked on the text of the repository.
#![forbid(unsafe_code)]

mod changelog;
mod clocks_and_sockets;
mod code;
mod commands;
mod decisions;
mod edges;
mod file_length;
mod first_line;
mod guide;
mod links;
mod markdown;
mod no_strangers;
mod tree;
mod unsafe_code;
