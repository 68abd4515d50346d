//! Subordinate ids and the mappings of user namespaces, for a program that is not root.
//!
//! Owns `/etc/subuid` and `/etc/subgid` (subuid(5)), the arithmetic of `/proc/PID/{uid,gid}_map`
//! (user_namespaces(7)) and the running of `newuidmap` and `newgidmap`. It creates no namespace and knows nothing of
//! containers. The program that forks the outer user namespace calls [`write()`]; the one that forks an inner one, and holds
//! every capability over its parent, calls [`write_as_owner`].
//!
//! ```
//! use uidmap::{Maps, Range, SubIds};
//!
//! // The parent namespace of a container of user 1000: id 0 is the user, the rest are the subordinate ids.
//! let subids = SubIds { uids: vec![Range::new(100_000, 65_536)], gids: vec![Range::new(100_000, 65_536)] };
//! let outer = Maps::outer(1000, 1000, &subids)?;
//! assert_eq!(outer.uids.to_string(), "0 1000 1\n1 100000 65536\n");
//!
//! // The namespace of what runs in it: uid 1000 is the user there too.
//! let inner = Maps::keep_id(&outer, 1000, 1000)?;
//! assert_eq!(inner.uids.to_string(), "0 1 1000\n1000 0 1\n1001 1001 64536\n");
//! # Ok::<(), uidmap::MapError>(())
//! ```
//!
//! With a child that has unshared its user namespace: `uidmap::write(child, &outer)?`.

mod error;
mod map;
mod maps;
mod subid;
mod write;

pub use error::{Cause, Error, User, add_subids_command};
pub use map::{Extent, IdMap, MapError};
pub use maps::{Kind, Maps};
pub use subid::{ParseError, Range, SubIds, nsswitch_source, parse, parse_getsubids};
pub use write::{Tool, Writing, find_tool, start, write, write_as_owner};
