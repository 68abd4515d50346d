//! What one would type to see what images and containers have in them, and change.

use super::Example;

/// Of `enter image diff`.
pub const IMAGE_DIFF: &[Example] = &[
    ("enter image diff app:2", "What the last layer of app:2 does."),
    ("enter image diff app:2 app:1", "What is other in app:2 than in app:1."),
];

/// Of `enter image tree`.
pub const IMAGE_TREE: &[Example] = &[("enter image tree --whatrequires debian", "What was built on debian.")];

/// Of `enter image mount`.
pub const IMAGE_MOUNT: &[Example] = &[
    ("cd $(enter image mount debian)", "Look around in an image with the tools of this machine."),
    ("diff -r $(enter image mount app:1) $(enter image mount app:2)", "Compare two images."),
];

/// Of `enter image unmount`.
pub const IMAGE_UNMOUNT: &[Example] = &[("enter image unmount -a", "Unmount all of them.")];

/// Of `enter diff`.
pub const DIFF: &[Example] = &[
    ("enter diff web", "What was added (A), changed (C) and deleted (D) in it."),
    (
        "enter diff --patch work",
        "What the box work has changed in text files of your home, line by line, and has set aside.",
    ),
];
