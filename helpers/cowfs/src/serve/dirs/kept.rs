//! Files that stay open because they may be wanted again, up to a number.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Open files by what they are. The one to go is the oldest that was not asked for since its last turn.
pub struct Kept<K> {
    most: usize,
    open: Mutex<Open<K>>,
}

struct Open<K> {
    files: HashMap<K, Held>,
    order: VecDeque<K>,
}

struct Held {
    file: Arc<OwnedFd>,
    wanted: bool,
}

impl<K: Copy + Eq + Hash> Kept<K> {
    /// Keeps as many.
    pub fn new(most: usize) -> Self {
        Kept { most, open: Mutex::new(Open { files: HashMap::new(), order: VecDeque::new() }) }
    }

    fn open(&self) -> MutexGuard<'_, Open<K>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, if it is still open.
    pub fn get(&self, key: K) -> Option<Arc<OwnedFd>> {
        let mut open = self.open();
        let held = open.files.get_mut(&key)?;
        held.wanted = true;
        Some(held.file.clone())
    }

    /// Keeps a file open.
    pub fn put(&self, key: K, file: Arc<OwnedFd>) {
        let mut open = self.open();
        if open.files.insert(key, Held { file, wanted: false }).is_some() {
            return;
        }
        open.order.push_back(key);
        while open.files.len() > self.most {
            let Some(oldest) = open.order.pop_front() else { return };
            match open.files.get_mut(&oldest) {
                Some(held) if held.wanted => {
                    held.wanted = false;
                    open.order.push_back(oldest);
                }
                _ => drop(open.files.remove(&oldest)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_stays() {
        let kept = Kept::new(3);
        let file = Arc::new(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
        for key in 0..3 {
            kept.put(key, file.clone());
        }
        assert!(kept.get(0).is_some());
        kept.put(3, file.clone());
        kept.put(4, file.clone());
        let there: Vec<i32> = (0..5).filter(|&key| kept.get(key).is_some()).collect();
        assert_eq!(there, [0, 3, 4]);
        drop(kept);
        assert_eq!(Arc::strong_count(&file), 1);
    }
}
