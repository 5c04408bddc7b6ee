//! `--config FILE.toml`: any option of any command, written once.
//!
//! Keys are the long names of options, `inputs` the inputs. A key at the top belongs to whatever command runs; a key
//! under `[fit]`, `[launch.local]`, ... only to that one. What the command line gives wins.

use anyhow::{Context, Result, bail};
use clap::{ArgAction, ArgMatches, Command, parser::ValueSource};
use std::{ffi::OsString, fs, path::PathBuf};
use toml::{Table, Value};

/// Returns the arguments with those of the config file, if there is one, put in behind the command's name.
///
/// # Errors
/// What is wrong with the file: unreadable, no TOML (with line and column), a key that is no option of the command, a
/// value of the wrong kind. A command line that is wrong by itself is left to the parser.
pub fn expand(grammar: &Command, args: Vec<OsString>) -> Result<Vec<OsString>> {
    // What the file may supply cannot be demanded of the command line yet.
    let Ok(given) = relaxed(grammar.clone()).try_get_matches_from(&args) else { return Ok(args) };
    let Some(path) = given.get_one::<PathBuf>("config") else { return Ok(args) };
    let text = fs::read_to_string(path).with_context(|| format!("read config {}", path.display()))?;
    let table: Table = text.parse().with_context(|| format!("read config {}", path.display()))?;
    let (words, command, matches) = running(grammar, &given);
    let options = options(&table, &words, grammar, command, matches)
        .with_context(|| format!("read config {}", path.display()))?;
    let at = end_of_words(&args, &words);
    Ok(args[..at].iter().cloned().chain(options).chain(args[at..].iter().cloned()).collect())
}

fn relaxed(command: Command) -> Command {
    command.mut_args(|a| a.required(false)).mut_subcommands(relaxed)
}

/// The words of the command that runs (`launch local`), its grammar and its matches.
fn running<'a>(grammar: &'a Command, given: &'a ArgMatches) -> (Vec<&'a str>, &'a Command, &'a ArgMatches) {
    let (mut words, mut command, mut matches) = (Vec::new(), grammar, given);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(next) = command.find_subcommand(name) else { break };
        words.push(name);
        (command, matches) = (next, inner);
    }
    (words, command, matches)
}

fn options(
    table: &Table,
    words: &[&str],
    grammar: &Command,
    command: &Command,
    given: &ArgMatches,
) -> Result<Vec<OsString>> {
    let mut own = Some(table);
    for word in words {
        own = own.and_then(|t| t.get(*word)).and_then(Value::as_table);
    }
    let known: Vec<&str> = grammar.get_subcommands().map(Command::get_name).collect();
    if let Some(name) = table.iter().find(|(k, v)| v.is_table() && !known.contains(&k.as_str())).map(|(k, _)| k) {
        bail!("expected a table to be named after a command ({}), got [{name}]", known.join(", "));
    }
    let mut out = Vec::new();
    // The command's own table speaks for it more closely than the top of the file.
    let shadowed = |key: &str| own.is_some_and(|t| t.contains_key(key));
    let top = table.iter().filter(|(k, v)| !v.is_table() && !shadowed(k));
    for (key, value) in own.into_iter().flatten().filter(|(_, v)| !v.is_table()).chain(top) {
        option(key, value, words, grammar, command, given, &mut out)?;
    }
    Ok(out)
}

fn option(
    key: &str,
    value: &Value,
    words: &[&str],
    grammar: &Command,
    command: &Command,
    given: &ArgMatches,
    out: &mut Vec<OsString>,
) -> Result<()> {
    let mut all = command.get_arguments().chain(grammar.get_arguments().filter(|a| a.is_global_set()));
    let Some(arg) = all.find(|a| a.get_long() == Some(key) || (a.is_positional() && a.get_id() == key)) else {
        bail!(
            "expected an option of `handcar {0}` (see `handcar {0} --help`), got `{key}`; \
             options of one command only go under its name, such as [fit]",
            words.join(" ")
        );
    };
    let id = arg.get_id().as_str();
    if given.try_contains_id(id).unwrap_or(false) && given.value_source(id) == Some(ValueSource::CommandLine) {
        return Ok(());
    }
    let flag = !arg.get_action().takes_values();
    let many = arg.is_positional() || matches!(arg.get_action(), ArgAction::Append);
    match value {
        Value::Boolean(true) if flag => out.push(format!("--{key}").into()),
        Value::Boolean(false) if flag => {}
        Value::Array(items) if many => {
            for item in items {
                out.push(word(arg.is_positional(), key, item)?);
            }
        }
        _ if flag => bail!("`{key}`: expected true or false, got {value}"),
        _ => out.push(word(arg.is_positional(), key, value)?),
    }
    Ok(())
}

fn word(positional: bool, key: &str, value: &Value) -> Result<OsString> {
    let text = match value {
        Value::String(s) => s.clone(),
        Value::Integer(i) => i.to_string(),
        Value::Float(x) => x.to_string(),
        other => bail!("`{key}`: expected a text or a number, got {other}"),
    };
    Ok(if positional { text.into() } else { format!("--{key}={text}").into() })
}

/// Index behind the last word of the command: the words stand in order, with general options between them.
fn end_of_words(args: &[OsString], words: &[&str]) -> usize {
    let mut at = 1;
    for word in words {
        while at < args.len() && args[at] != *word {
            // The value of a general option is no word, even if it reads like one.
            at += if args[at] == "--config" || args[at] == "--log-level" { 2 } else { 1 };
        }
        at += 1;
    }
    at.min(args.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn expanded(toml: &str, args: &str) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), toml).unwrap();
        let args = args.replace("CONFIG", file.path().to_str().unwrap());
        let out = expand(&Cli::command(), args.split(' ').map(OsString::from).collect());
        let out = out.map_err(|e| format!("{e:#}"))?;
        let words: Vec<String> = out.iter().map(|w| w.to_string_lossy().into_owned()).collect();
        Ok(words.join(" ").replace(file.path().to_str().unwrap(), "CONFIG"))
    }

    #[test]
    fn the_file_adds_what_the_line_leaves_out() {
        let toml =
            "l1 = 4\nno-intercept = true\nquiet = false\ninputs = ['a', 'b']\nmodel = 'm'\n[predict]\noutput = 'x'";
        let got = expanded(toml, "handcar --config CONFIG fit --l1 2").unwrap();
        assert_eq!(got, "handcar --config CONFIG fit a b --model=m --no-intercept --l1 2");
    }

    #[test]
    fn a_commands_own_table_wins_over_the_top() {
        let got = expanded("l1 = 4\n[fit]\nl1 = 5.5", "handcar fit a -m m --config CONFIG").unwrap();
        assert_eq!(got, "handcar fit --l1=5.5 a -m m --config CONFIG");
        let got = expanded("[synth.criteo]\nrows = 7", "handcar synth --config CONFIG criteo -o x").unwrap();
        assert_eq!(got, "handcar synth --config CONFIG criteo --rows=7 -o x");
    }

    #[test]
    fn wrong_files_are_named_with_the_key() {
        let error = |toml: &str| expanded(toml, "handcar fit a -m m --config CONFIG").unwrap_err();
        assert!(error("l3 = 1").contains("expected an option of `handcar fit`"));
        assert!(error("no-intercept = 3").contains("`no-intercept`: expected true or false, got 3"));
        assert!(error("[fti]\nl1 = 1").contains("got [fti]"));
        assert!(error("l1 = = 2").contains("line 1"));
        assert!(error("l1 = [1, 2]").contains("`l1`: expected a text or a number"));
    }
}
