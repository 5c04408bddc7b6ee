//! Handcar train.
