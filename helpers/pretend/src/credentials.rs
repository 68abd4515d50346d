//! The ids that a process is told it has, and the rules by which it may change them: those of credentials(7), where the privilege
//! is an effective user id of 0.

/// The four user ids, or the four group ids, of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ids {
    /// Whose process it is.
    pub real: u32,
    /// By which it is judged.
    pub effective: u32,
    /// To which it may return.
    pub saved: u32,
    /// By which its access to files is judged.
    pub files: u32,
}

/// All that a process is told of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// User ids.
    pub users: Ids,
    /// Group ids.
    pub groups: Ids,
    /// Supplementary groups; `None`: what the kernel says.
    pub more: Option<Vec<u32>>,
    /// Its capabilities are to outlive that it is root (PR_SET_KEEPCAPS in prctl(2)).
    pub keeps: bool,
    /// They have.
    pub kept: bool,
}

/// Ids that are left as they are.
pub const SAME: u32 = u32::MAX;

/// The most supplementary groups (`NGROUPS_MAX`).
pub const MOST_GROUPS: usize = 65536;

/// A change of ids that a process asks for; an id that is [`SAME`] stays as it is, but in [`Change::All`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// setuid(2), setgid(2).
    All(u32),
    /// setreuid(2), setregid(2).
    RealEffective(u32, u32),
    /// setresuid(2), setresgid(2).
    Three(u32, u32, u32),
    /// setfsuid(2), setfsgid(2).
    Files(u32),
}

/// Why a change is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such id.
    Invalid,
    /// It takes a privilege.
    Forbidden,
}

impl Ids {
    /// One id for all purposes.
    pub fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id, files: id }
    }

    /// What becomes of them by a change, `privileged` or not.
    ///
    /// # Errors
    /// [`Refusal`]; where setfsuid(2) refuses it says nothing, and changes nothing.
    pub fn changed(self, change: Change, privileged: bool) -> Result<Self, Refusal> {
        let Self { real, effective, saved, files } = self;
        let check = |id: u32, own: &[u32]| {
            if id == SAME || privileged || own.contains(&id) { Ok(()) } else { Err(Refusal::Forbidden) }
        };
        let or = |id: u32, old: u32| if id == SAME { old } else { id };
        match change {
            Change::All(SAME) => Err(Refusal::Invalid),
            Change::All(id) if privileged => Ok(Self::all(id)),
            Change::All(id) => {
                check(id, &[real, saved])?;
                Ok(Self { effective: id, files: id, ..self })
            }
            Change::RealEffective(new_real, new_effective) => {
                check(new_real, &[real, effective])?;
                check(new_effective, &[real, effective, saved])?;
                let effective = or(new_effective, effective);
                let moves = new_real != SAME || (new_effective != SAME && new_effective != real);
                Ok(Self {
                    real: or(new_real, real),
                    effective,
                    saved: if moves { effective } else { saved },
                    files: effective,
                })
            }
            Change::Three(new_real, new_effective, new_saved) => {
                [new_real, new_effective, new_saved].iter().try_for_each(|id| check(*id, &[real, effective, saved]))?;
                let effective = or(new_effective, effective);
                Ok(Self { real: or(new_real, real), effective, saved: or(new_saved, saved), files: effective })
            }
            Change::Files(id) if check(id, &[real, effective, saved, files]).is_ok() => {
                Ok(Self { files: or(id, files), ..self })
            }
            Change::Files(_) => Ok(self),
        }
    }

    /// What becomes of them when a program is run, which may be marked as running as `id`.
    pub fn executing(self, id: Option<u32>) -> Self {
        let effective = id.unwrap_or(self.effective);
        Self { real: self.real, effective, saved: effective, files: effective }
    }
}

impl Credentials {
    /// A user and a group for all purposes.
    pub fn new(uid: u32, gid: u32, more: Option<Vec<u32>>) -> Self {
        Self { users: Ids::all(uid), groups: Ids::all(gid), more, keeps: false, kept: false }
    }

    /// Whether it may take on any id: as root, or by capabilities that it kept (it would have to raise them first).
    pub fn is_privileged(&self) -> bool {
        self.users.effective == 0 || self.kept
    }

    /// With other user ids.
    pub fn with_users(&self, users: Ids) -> Self {
        let is_root = |ids: &Ids| [ids.real, ids.effective, ids.saved].contains(&0);
        let stops = is_root(&self.users) && !is_root(&users);
        Self { users, kept: if stops { self.keeps } else { self.kept }, ..self.clone() }
    }

    /// When a program is run that is marked as running as a user or a group.
    pub fn executing(&self, user: Option<u32>, group: Option<u32>) -> Self {
        let (users, groups) = (self.users.executing(user), self.groups.executing(group));
        Self { users, groups, more: self.more.clone(), keeps: false, kept: false }
    }

    /// Whether it is a member of a group, as far as files are concerned.
    pub fn is_in(&self, gid: u32) -> bool {
        self.groups.files == gid || self.more.iter().flatten().any(|group| *group == gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Ids = Ids { real: 0, effective: 0, saved: 0, files: 0 };
    const USER: Ids = Ids { real: 7, effective: 7, saved: 7, files: 7 };

    fn ids(real: u32, effective: u32, saved: u32) -> Ids {
        Ids { real, effective, saved, files: effective }
    }

    #[test]
    fn root_becomes_anybody_for_good() {
        assert_eq!(ROOT.changed(Change::All(7), true), Ok(USER));
        assert_eq!(USER.changed(Change::All(0), false), Err(Refusal::Forbidden));
        assert_eq!(USER.changed(Change::Three(SAME, 0, SAME), false), Err(Refusal::Forbidden));
        assert_eq!(ROOT.changed(Change::All(SAME), true), Err(Refusal::Invalid));
    }

    #[test]
    fn who_kept_a_way_back_may_take_it() {
        let asleep = ROOT.changed(Change::Three(SAME, 7, SAME), true).unwrap();
        assert_eq!(asleep, ids(0, 7, 0));
        assert_eq!(asleep.changed(Change::All(0), false), Ok(ids(0, 0, 0)));
        assert_eq!(asleep.changed(Change::Three(7, 7, 7), false), Ok(USER));
        assert_eq!(asleep.changed(Change::All(9), false), Err(Refusal::Forbidden));
    }

    #[test]
    fn setreuid_swaps_and_sets_the_saved_id() {
        let swapped = ids(7, 0, 0).changed(Change::RealEffective(0, 7), false).unwrap();
        assert_eq!(swapped, ids(0, 7, 7));
        // To the real id: the saved one stays.
        assert_eq!(ids(7, 0, 0).changed(Change::RealEffective(SAME, 7), false), Ok(ids(7, 7, 0)));
        assert_eq!(ids(7, 7, 0).changed(Change::RealEffective(0, SAME), false), Err(Refusal::Forbidden));
        assert_eq!(ROOT.changed(Change::RealEffective(SAME, SAME), true), Ok(ROOT));
    }

    #[test]
    fn the_id_for_files_goes_alone_and_comes_back_with_the_effective_one() {
        let files = ROOT.changed(Change::Files(7), true).unwrap();
        assert_eq!(files, Ids { files: 7, ..ROOT });
        assert_eq!(USER.changed(Change::Files(0), false), Ok(USER));
        assert_eq!(files.changed(Change::Three(SAME, 0, SAME), true), Ok(ROOT));
    }

    #[test]
    fn capabilities_outlive_root_where_that_was_asked_and_no_longer_than_the_program() {
        let root = Credentials::new(0, 0, None);
        assert!(!root.with_users(USER).is_privileged());
        let kept = Credentials { keeps: true, ..root.clone() }.with_users(USER);
        assert!(kept.is_privileged());
        assert!(!kept.executing(None, None).is_privileged());
        // A way back was left: nothing to be kept yet.
        assert!(!Credentials { keeps: true, ..root }.with_users(ids(0, 7, 0)).is_privileged());
    }

    #[test]
    fn a_program_may_be_marked_to_run_as_another() {
        assert_eq!(USER.executing(Some(0)), ids(7, 0, 0));
        assert_eq!(ids(0, 7, 0).executing(None), ids(0, 7, 7));
    }
}
