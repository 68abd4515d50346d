//! How a filesystem is served, whatever it shows.

use std::fmt;

use nix::errno::Errno;

use super::change::XATTR_HEAD;
use super::wire::{Request, opcode};
use crate::acl;

/// Takes a line for each request.
pub type Trace = Box<dyn Fn(&str) + Send + Sync>;

/// What is withheld from those who look, and who is told what they ask for.
#[derive(Default)]
pub struct Manner {
    /// There are no access control lists.
    pub no_acls: bool,
    /// There are no extended attributes.
    pub no_xattrs: bool,
    /// Is told of every request and its answer.
    pub trace: Option<Trace>,
}

impl fmt::Debug for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manner { no_acls, no_xattrs, trace } = self;
        f.debug_struct("Manner")
            .field("no_acls", no_acls)
            .field("no_xattrs", no_xattrs)
            .field("trace", &trace.is_some())
            .finish()
    }
}

impl Manner {
    /// Why a request is not answered, if it is not. `xattr_head`: see [`XATTR_HEAD`].
    pub(super) fn refusal(&self, request: &Request<'_>, xattr_head: usize) -> Option<Errno> {
        let skip = match request.opcode {
            opcode::GETXATTR => XATTR_HEAD,
            opcode::SETXATTR => xattr_head,
            opcode::REMOVEXATTR | opcode::LISTXATTR => 0,
            _ => return None,
        };
        let is_list = request.opcode == opcode::LISTXATTR;
        match self {
            // The kernel asks no more.
            Manner { no_xattrs: true, .. } => Some(Errno::ENOSYS),
            Manner { no_acls: true, .. } if !is_list && request.name(skip).is_some_and(is_acl) => {
                Some(Errno::EOPNOTSUPP)
            }
            _ => None,
        }
    }

    /// Of a list of attributes, each ended by a NUL, those that may be seen.
    pub(super) fn shown(&self, names: Vec<u8>) -> Vec<u8> {
        if !self.no_acls {
            return names;
        }
        let each = names.split_inclusive(|&b| b == 0);
        each.filter(|name| !is_acl(name.strip_suffix(b"\0").unwrap_or(name))).flatten().copied().collect()
    }

    /// Tells of a request that was answered: with so many bytes, or an error.
    pub(super) fn tell(&self, request: &Request<'_>, answer: Result<usize, Errno>) {
        let Some(trace) = &self.trace else { return };
        let name = match name_at(request) {
            Some(skip) => request.name(skip).map(|name| format!(" `{}`", crate::error::shown(name))),
            None => None,
        };
        let answer = match answer {
            Ok(length) => format!("{length} bytes"),
            Err(errno) => format!("{errno:?}"),
        };
        let (what, inode) = (word(request.opcode), request.inode.0);
        trace(&format!("{} {what} {inode}{}: {answer}", request.unique, name.unwrap_or_default()));
    }
}

fn is_acl(name: &[u8]) -> bool {
    name == acl::ACCESS || name == acl::DEFAULT
}

/// Where the (first) name in a request begins, if there is one that is worth telling.
fn name_at(request: &Request<'_>) -> Option<usize> {
    Some(match request.opcode {
        opcode::LOOKUP | opcode::UNLINK | opcode::RMDIR | opcode::SYMLINK | opcode::REMOVEXATTR => 0,
        opcode::MKDIR | opcode::LINK | opcode::RENAME | opcode::GETXATTR => 8,
        opcode::MKNOD | opcode::RENAME2 => 16,
        _ => return None,
    })
}

fn word(number: u32) -> String {
    let word = match number {
        opcode::LOOKUP => "lookup",
        opcode::FORGET => "forget",
        opcode::GETATTR => "getattr",
        opcode::SETATTR => "setattr",
        opcode::READLINK => "readlink",
        opcode::SYMLINK => "symlink",
        opcode::MKNOD => "mknod",
        opcode::MKDIR => "mkdir",
        opcode::UNLINK => "unlink",
        opcode::RMDIR => "rmdir",
        opcode::RENAME => "rename",
        opcode::LINK => "link",
        opcode::OPEN => "open",
        opcode::READ => "read",
        opcode::WRITE => "write",
        opcode::STATFS => "statfs",
        opcode::RELEASE => "release",
        opcode::FSYNC => "fsync",
        opcode::SETXATTR => "setxattr",
        opcode::GETXATTR => "getxattr",
        opcode::LISTXATTR => "listxattr",
        opcode::REMOVEXATTR => "removexattr",
        opcode::OPENDIR => "opendir",
        opcode::READDIR => "readdir",
        opcode::RELEASEDIR => "releasedir",
        opcode::FSYNCDIR => "fsyncdir",
        opcode::INTERRUPT => "interrupt",
        opcode::DESTROY => "destroy",
        opcode::BATCH_FORGET => "forget",
        opcode::FALLOCATE => "fallocate",
        opcode::READDIRPLUS => "readdirplus",
        opcode::RENAME2 => "rename",
        opcode::LSEEK => "lseek",
        opcode::COPY_FILE_RANGE => "copy_file_range",
        opcode::TMPFILE => "tmpfile",
        _ => return format!("request {number}"),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::bytes::Put;

    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u32(40 + body.len() as u32);
        bytes.put_u32(opcode);
        bytes.put_u64(7);
        bytes.put_u64(1);
        bytes.resize(40, 0);
        bytes.put(body);
        bytes
    }

    #[test]
    fn access_control_lists_can_be_withheld() {
        let get = |name: &[u8]| request(opcode::GETXATTR, &[&[0; 8], name, b"\0"].concat());
        let manner = Manner { no_acls: true, ..Manner::default() };
        let refused = |bytes: &[u8], manner: &Manner| manner.refusal(&Request::parse(bytes).unwrap(), 16);
        assert_eq!(refused(&get(acl::ACCESS), &manner), Some(Errno::EOPNOTSUPP));
        assert_eq!(refused(&get(b"user.x"), &manner), None);
        assert_eq!(refused(&get(acl::ACCESS), &Manner::default()), None);
        let none = Manner { no_xattrs: true, ..Manner::default() };
        assert_eq!(refused(&get(b"user.x"), &none), Some(Errno::ENOSYS));
        assert_eq!(manner.shown(b"user.x\0system.posix_acl_access\0user.y\0".to_vec()), b"user.x\0user.y\0");
    }

    #[test]
    fn requests_are_told() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let trace: Trace = Box::new(move |line| kept.lock().unwrap().push(line.to_owned()));
        let manner = Manner { trace: Some(trace), ..Manner::default() };
        let bytes = request(opcode::LOOKUP, b"etc\0");
        manner.tell(&Request::parse(&bytes).unwrap(), Ok(128));
        manner.tell(&Request::parse(&bytes).unwrap(), Err(Errno::ENOENT));
        assert_eq!(*lines.lock().unwrap(), ["7 lookup 1 `etc`: 128 bytes", "7 lookup 1 `etc`: ENOENT"]);
    }
}
