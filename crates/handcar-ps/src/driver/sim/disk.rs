//! A disk that loses what was not synced when its machine dies, and may keep a torn part of it.

use handcar_base::Rng;

#[derive(Debug, Default)]
pub(super) struct Disk {
    synced: Vec<u8>,
    unsynced: Vec<u8>,
}

impl Disk {
    pub fn append(&mut self, bytes: &[u8]) {
        self.unsynced.extend_from_slice(bytes);
    }

    pub fn sync(&mut self) {
        self.synced.append(&mut self.unsynced);
    }

    /// The machine dies: any beginning of what was not synced may have reached the disk. Returns whether it was torn.
    pub fn crash(&mut self, rng: &mut Rng) -> bool {
        let kept = rng.below(self.unsynced.len() as u64 + 1) as usize;
        let torn = kept > 0 && kept < self.unsynced.len();
        self.synced.extend_from_slice(&self.unsynced[..kept]);
        self.unsynced.clear();
        torn
    }

    pub fn read(&self) -> &[u8] {
        &self.synced
    }

    pub fn cut(&mut self, bytes: usize) {
        self.synced.truncate(bytes);
    }
}
