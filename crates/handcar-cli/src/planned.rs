//! Words that handcar is going to have: refused by name, so that nobody thinks they took effect.

use clap::error::{ContextKind, ContextValue, ErrorKind};

const OPTIONS: [&str; 2] = ["--dtype", "--replicas"];
const COMMANDS: [&str; 6] = ["doctor", "cost", "slurm", "mpi", "ray", "kubernetes"];

/// The message for an option, command or value that is not built yet; `None` for any other usage error.
pub fn explain(error: &clap::Error) -> Option<String> {
    let (kind, planned): (_, &[&str]) = match error.kind() {
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, &OPTIONS),
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, &COMMANDS),
        _ => return None,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return None };
    let word = word.split(['=', ' ']).next().unwrap_or(word);
    planned.contains(&word).then(|| format!("error: {word} is not built yet; --help lists what is\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn told(args: &str) -> Option<String> {
        explain(&Cli::try_parse_from(args.split(' ')).unwrap_err())
    }

    #[test]
    fn what_is_planned_is_refused_by_name() {
        assert_eq!(
            told("handcar fit x -m m --replicas 2").unwrap(),
            "error: --replicas is not built yet; --help lists what is\n"
        );
        assert!(told("handcar fit x -m m --dtype=f16").unwrap().contains("--dtype is not"));
        assert!(told("handcar simulate cost").unwrap().contains("cost is not"));
        assert!(told("handcar launch slurm -- fit").unwrap().contains("slurm is not"));
        assert_eq!(told("handcar fit x -m m --hogwash"), None);
    }
}
