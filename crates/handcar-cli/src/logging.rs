//! Logs on stderr.

use crate::progress::ClearLine;
use anyhow::{Context, Result};
use std::fmt;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Starts logging at `level`: `error`, `warn`, `info`, `debug`, `trace`, or directives such as `warn,handcar_ps=debug`.
///
/// # Errors
/// If `level` is none of these.
pub fn start(level: &str) -> Result<()> {
    let filter = EnvFilter::try_new(level)
        .with_context(|| format!("--log-level: expected error, warn, info, debug or trace, got {level}"))?;
    let plain = level.split(',').all(|d| !matches!(d.rsplit('=').next(), Some("info" | "debug" | "trace")));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| ClearLine).with_ansi(false);
    if plain {
        logs.event_format(Sentence).init();
    } else {
        logs.init();
    }
    Ok(())
}

/// `warning: what happened`: a sentence to a person needs no date and module.
struct Sentence;

impl<S, N> FormatEvent<S, N> for Sentence
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        out.write_str(if *event.metadata().level() == Level::ERROR { "error: " } else { "warning: " })?;
        context.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}
