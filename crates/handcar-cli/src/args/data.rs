//! Options on how data is read.

use clap::{Args, ValueEnum};
use handcar_data::{CachePolicy, Format, HashKind, LabelKind, OnBadRow, ReadOptions};
use std::path::PathBuf;

/// What to read, for every command that reads rows.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Reading")]
pub struct InputArgs {
    /// Files, globs, or - for standard input; gzip and zstd are recognised by content
    #[arg(value_name = "INPUT", required = true, help_heading = None)]
    pub inputs: Vec<String>,
    /// Text format; told by the first line, or by the model, unless given
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// What to do with a row that cannot be read
    #[arg(long, value_enum, default_value = "fail")]
    on_bad_row: OnBadRowArg,
    /// Threads; all cores unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
}

impl InputArgs {
    /// Threads, with the default resolved.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            Some(n) => n as usize,
            None => std::thread::available_parallelism().map_or(1, |n| n.get()),
        }
    }

    /// Divides the cores among `workers`, unless the number of threads was given.
    pub fn share_cores(&mut self, workers: usize) {
        let share = (self.thread_count() / workers.max(1)).max(1) as u32;
        self.threads.get_or_insert(share);
    }

    /// The format asked for.
    pub fn format(&self) -> Option<Format> {
        self.format.map(Into::into)
    }

    /// Whether standard input is among the inputs.
    pub fn reads_stdin(&self) -> bool {
        self.inputs.iter().any(|i| i == "-")
    }

    /// The library's settings for data whose schema is known; nothing of it is cached.
    pub fn options(&self) -> ReadOptions {
        ReadOptions {
            format: self.format(),
            on_bad_row: match self.on_bad_row {
                OnBadRowArg::Fail => OnBadRow::Fail,
                OnBadRowArg::Skip => OnBadRow::Skip,
            },
            threads: self.thread_count(),
            cache: CachePolicy::off(),
            ..ReadOptions::default()
        }
    }
}

/// What columns mean, for commands that meet data without a model.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Reading")]
pub struct SchemaArgs {
    /// CSV: the label column [default: label, target, click, clicked, class or y]
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// What labels are: binary (two classes), real (any number) or count (a number of at least 0) [default: what the loss takes]
    #[arg(long, value_name = "KIND")]
    pub labels: Option<LabelKind>,
    /// The label that means +1 [default: 1, or the rarer of two texts]
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    positive: Option<String>,
    /// CSV: the column of example weights
    #[arg(long, value_name = "COLUMN")]
    weight: Option<String>,
    /// CSV: columns read as numbers, in buckets
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    numeric: Vec<String>,
    /// CSV: columns read as categories
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    categorical: Vec<String>,
    /// CSV: columns whose number is used as it is
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    raw: Vec<String>,
    /// CSV: columns left out
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Fields that are features (columns, Criteo's I1 to C26, VW text's namespaces) [default: all]
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', conflicts_with = "drop")]
    keep: Vec<String>,
    /// Fields that are no features
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    drop: Vec<String>,
    /// A feature for each pair (or triple) of features of these fields; may be repeated
    #[arg(long, value_name = "A*B")]
    cross: Vec<String>,
    /// CSV: the letter between columns; `tab` for a tab [default: told from the header]
    #[arg(long, value_name = "LETTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// libsvm: ids count from 0
    #[arg(long)]
    zero_based: bool,
    /// vw: how names become keys
    #[arg(long, value_enum, default_value = "handcar")]
    hash: HashArg,
    /// Width of hashed values in bits; 52 and more: as wide as keys are, and 18 with `--hash vw`
    #[arg(long, value_name = "BITS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=64))]
    bits: u32,
    /// Neither read nor write packed data in the cache
    #[arg(long)]
    no_cache: bool,
    /// Compare the full hash of sources and packed data before use
    #[arg(long)]
    verify_cache: bool,
    #[command(flatten)]
    place: CacheDirArgs,
}

/// Where packed data is kept.
#[derive(Args, Clone, Debug)]
pub struct CacheDirArgs {
    /// Where packed data is kept [default: handcar in the platform's cache directory]
    #[arg(long, value_name = "DIR", env = "HANDCAR_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
}

impl SchemaArgs {
    /// The library's settings.
    pub fn options(&self, input: &InputArgs) -> ReadOptions {
        ReadOptions {
            label: self.label.clone(),
            labels: self.labels.unwrap_or_default(),
            positive: self.positive.clone(),
            weight: self.weight.clone(),
            numeric: self.numeric.clone(),
            categorical: self.categorical.clone(),
            raw: self.raw.clone(),
            ignore: self.ignore.clone(),
            keep: self.keep.clone(),
            drop: self.drop.clone(),
            cross: self.cross.clone(),
            delimiter: self.delimiter,
            bits: self.bits,
            hash: match self.hash {
                HashArg::Handcar => HashKind::Handcar,
                HashArg::Vw => HashKind::Vw,
            },
            zero_based: self.zero_based,
            cache: CachePolicy {
                enabled: !self.no_cache,
                dir: self.place.cache_dir.clone(),
                verify: self.verify_cache,
                ..CachePolicy::default()
            },
            ..input.options()
        }
    }
}

/// The formats that exist.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    /// `label id:value id:value ...`
    Libsvm,
    /// Label, 13 integers and 26 hexadecimal categories, separated by tabs
    Criteo,
    /// Comma-separated with a header
    Csv,
    /// Vowpal Wabbit's text: `label weight 'tag|namespace name:value ... |namespace ...`
    Vw,
}

/// How the names of Vowpal Wabbit's text become keys.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum HashArg {
    /// A field a namespace, names hashed to 52 bits within it
    Handcar,
    /// The indices that Vowpal Wabbit gives
    Vw,
}

impl From<FormatArg> for Format {
    fn from(f: FormatArg) -> Self {
        match f {
            FormatArg::Libsvm => Self::Libsvm,
            FormatArg::Criteo => Self::Criteo,
            FormatArg::Csv => Self::Csv,
            FormatArg::Vw => Self::Vw,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnBadRowArg {
    /// End with an error that names file, line and column
    Fail,
    /// Leave it out, count it, and tell the first reasons
    Skip,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [b] => Ok(*b),
        b"tab" | b"\\t" => Ok(b'\t'),
        _ => Err("expected one ASCII letter or `tab`".to_string()),
    }
}
