//! Which paths of a container's upper side are furniture, put there at its start, and no change of its own.

use std::collections::{BTreeMap, BTreeSet};

use cowfs::tree::{Image, Kind};
use plan::{Plan, Step};

/// How many links a target's path may lead through.
const MAX_LINKS: usize = 40;
/// What docker mounts, and so never takes for a change.
const DOCKERS: [&[u8]; 3] = [b"etc/hosts", b"etc/hostname", b"etc/resolv.conf"];

/// The paths that are furniture, relative and without links in them.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    /// Not to be looked at, nor what is below them.
    targets: BTreeSet<Vec<u8>>,
    /// Written at the start, with this content.
    written: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Directories that lead there, or that were made at the start.
    ancestors: BTreeSet<Vec<u8>>,
}

impl Hidden {
    /// What a plan puts into the root. `image` tells where links lead.
    pub fn of(plan: Option<&Plan>, image: Option<&Image>) -> Self {
        let mut hidden = Self::default();
        for path in DOCKERS {
            hidden.target(resolve(image, path));
        }
        for step in plan.into_iter().flat_map(|plan| &plan.steps) {
            match step {
                Step::Mount { target, .. }
                | Step::Bind { target, .. }
                | Step::Offer { target, .. }
                | Step::Show { target, .. }
                | Step::View { target, .. }
                | Step::Cover { target, .. }
                | Step::Programs { target, .. }
                | Step::Link { target, .. } => {
                    hidden.target(resolve(image, target.as_bytes()));
                }
                Step::Write { target, content, .. } => {
                    let path = resolve(image, target.as_bytes());
                    hidden.lead_to(&path);
                    hidden.written.insert(path, content.as_bytes().to_vec());
                }
                Step::Directory { target, .. } => {
                    let path = resolve(image, target.as_bytes());
                    hidden.lead_to(&path);
                    hidden.ancestors.insert(path);
                }
                Step::Mask { .. }
                | Step::ReadOnly { .. }
                | Step::Fill { .. }
                | Step::Give { .. }
                | Step::Private { .. } => {}
            }
        }
        hidden
    }

    fn target(&mut self, path: Vec<u8>) {
        self.lead_to(&path);
        self.targets.insert(path);
    }

    fn lead_to(&mut self, path: &[u8]) {
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            self.ancestors.insert(path[..at].to_vec());
        }
    }

    /// Whether nothing at or below a path counts.
    pub fn covers(&self, path: &[u8]) -> bool {
        self.targets.contains(path)
    }

    /// What was written to a path at the start.
    pub fn written(&self, path: &[u8]) -> Option<&[u8]> {
        self.written.get(path).map(Vec::as_slice)
    }

    /// Whether a directory may be there for furniture's sake alone.
    pub fn leads(&self, path: &[u8]) -> bool {
        self.ancestors.contains(path)
    }
}

/// A path without a leading slash, dots, or links in all but its last part.
fn resolve(image: Option<&Image>, path: &[u8]) -> Vec<u8> {
    let mut at: Vec<Vec<u8>> = Vec::new();
    let mut todo: Vec<Vec<u8>> = path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        match &part[..] {
            b"" | b"." => continue,
            b".." => drop(at.pop()),
            _ => at.push(part),
        }
        if todo.is_empty() || links >= MAX_LINKS {
            continue;
        }
        if let Some(target) = image.and_then(|image| link(image, &at)) {
            links += 1;
            at.pop();
            if target.starts_with(b"/") {
                at.clear();
            }
            todo.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
        }
    }
    at.join(&b'/')
}

/// What the link at a path says; `None` where there is none.
fn link(image: &Image, path: &[Vec<u8>]) -> Option<Vec<u8>> {
    let tree = image.tree();
    let found = path.iter().try_fold(tree.root()?, |at, name| tree.child(&at, name))?;
    if found.kind == Kind::Symlink { tree.target(&found).map(<[u8]>::to_vec) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_furniture_is_known() {
        let hidden = Hidden::of(None, None);
        assert!(hidden.covers(b"etc/hosts") && hidden.leads(b"etc") && !hidden.covers(b"etc") && !hidden.leads(b"usr"));
        assert_eq!(resolve(None, b"/a/./b/../c"), b"a/c");
    }
}
