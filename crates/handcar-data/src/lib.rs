//! Handcar data.
