//! Who runs in the container, and whom its ids are outside.

use std::path::Path;

use plan::{Power, Step, Users};
use uidmap::{Kind, MapError, Maps};

use super::write;
use crate::container::Error;
use crate::container::planning::account::{Accounts, Identity};
use crate::container::planning::caller::Caller;
use crate::container::record::{Spec, UserNamespace};

/// `--group-add` of this keeps the groups that the caller is in.
const KEEP_GROUPS: &str = "keep-groups";

/// Whom the flags and the image mean.
pub fn identity(spec: &Spec, accounts: &Accounts, caller: &Caller) -> Result<Identity, Error> {
    let mut identity = match &spec.users {
        // Who keeps his id is himself, whatever the image says.
        UserNamespace::KeepId { .. } if spec.user.is_empty() => accounts.caller(&kept(spec, accounts, caller)),
        _ => accounts.inside(&spec.user)?,
    };
    if spec.groups.iter().any(|group| group == KEEP_GROUPS) {
        if let Some(other) = spec.groups.iter().find(|group| *group != KEEP_GROUPS) {
            return Err(Error::Plan {
                doing: format!("be in the group {other} and in your own"),
                reason: "the kernel lets groups be kept only as they are".into(),
                hint: Some("leave one of the two --group-add away".into()),
            });
        }
        identity.groups = None;
        return Ok(identity);
    }
    let mut groups = identity.groups.take().unwrap_or_default();
    for group in &spec.groups {
        groups.push(accounts.group_id(group)?);
    }
    groups.sort_unstable();
    groups.dedup();
    identity.groups = Some(groups);
    Ok(identity)
}

/// The caller, as `keep-id` numbers him; and as the image calls who has that number there, such as the `vscode` or `node` of images to develop
/// in: scripts and other flags know him by that name.
fn kept(spec: &Spec, accounts: &Accounts, caller: &Caller) -> Caller {
    let UserNamespace::KeepId { uid, gid } = &spec.users else { return caller.clone() };
    let uid = uid.unwrap_or(caller.uid);
    let (name, home) = accounts.named(uid).unwrap_or_else(|| {
        let home = if spec.directory.is_empty() { "/" } else { &spec.directory };
        (&caller.name, home.into())
    });
    Caller {
        uid,
        gid: gid.unwrap_or(caller.gid),
        name: name.to_owned(),
        home,
        shell: "/bin/sh".into(),
        ..caller.clone()
    }
}

/// passwd(5) and group(5), where the payload's user is not in them and is somebody with a name: the caller.
pub fn account_files(spec: &Spec, accounts: &Accounts, caller: &Caller, identity: &Identity) -> Vec<Step> {
    let caller = kept(spec, accounts, caller);
    let is_caller = matches!(spec.users, UserNamespace::KeepId { .. }) && identity.uid == caller.uid;
    if !is_caller {
        return Vec::new();
    }
    if accounts.named(caller.uid).is_some() {
        return accounts.group_with(&caller).map(|content| write("/etc/group", content)).into_iter().collect();
    }
    let passwd = accounts.passwd_with(&caller, Path::new("/bin/sh")).map(|content| write("/etc/passwd", content));
    let group = accounts.group_with(&caller).map(|content| write("/etc/group", content));
    passwd.into_iter().chain(group).collect()
}

/// The two user namespaces.
pub fn users(spec: &Spec, caller: &Caller, outer: Maps, identity: &Identity) -> Result<Users, Error> {
    let needs_ranges = matches!(spec.users, UserNamespace::NoMap | UserNamespace::Auto { .. });
    if outer.kind == Kind::Single {
        if needs_ranges {
            return Err(Error::Plan {
                doing: "give the container ids that are not yours".into(),
                reason: "you have no subordinate ids".into(),
                hint: Some(uidmap::add_subids_command(&caller.name)),
            });
        }
        // The one id there is, is whoever the payload is to be.
        let inner = Maps::single(0, 0, identity.uid, identity.gid).map_err(unmapped)?;
        return Ok(Users { power: power(spec, &outer, &inner), outer, inner, owns_network: false });
    }
    let inner = inner(&spec.users, caller, &outer).map_err(unmapped)?;
    identity.check(&inner)?;
    Ok(Users { power: power(spec, &outer, &inner), outer, inner, owns_network: false })
}

/// The ids of a container, as the flags share those of the outer user namespace out.
///
/// # Errors
/// Where that has too few of them.
pub fn inner(users: &UserNamespace, caller: &Caller, outer: &Maps) -> Result<Maps, MapError> {
    match users {
        UserNamespace::Root => Maps::identity(outer),
        UserNamespace::KeepId { uid, gid } => {
            Maps::keep_id(outer, uid.unwrap_or(caller.uid), gid.unwrap_or(caller.gid))
        }
        UserNamespace::NoMap => {
            let all = outer.uids.len().min(outer.gids.len());
            Maps::block(outer, 1, all.saturating_sub(1))
        }
        UserNamespace::Auto { size, start } => Maps::block(outer, *start, *size),
    }
}

/// With `--privileged` everything that the user can give. The outer user namespace owns the network, processes and mounts; but
/// only where its ids are the container's own can the payload be in it.
fn power(spec: &Spec, outer: &Maps, inner: &Maps) -> Power {
    match spec.privileged {
        false => Power::Nothing,
        true if Maps::identity(outer).is_ok_and(|identity| identity == *inner) => Power::All,
        true => Power::Mounts,
    }
}

fn unmapped(error: MapError) -> Error {
    Error::Plan {
        doing: "map the container's users".into(),
        reason: error.to_string(),
        hint: Some("give yourself more subordinate ids: see `enter doctor`".into()),
    }
}
