//! Handcar ps.
