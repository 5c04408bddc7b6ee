//! Claims about checkpoints: whole or refused, whatever dies, fills up, is altered or lies about its name.

mod damage;
mod disk;
mod entries;
mod faulty;
mod kill;
mod prune;
mod servers;
