//! Where those in a shell or box ask for something outside. The monitor only lets them in: what they say is heard by a process for each
//! ([`ROLE`]), which has the container's folder, and may do what the user may. The monitor itself reads nothing that they write.
//!
//! However many come, and however they behave, so many are served at once, so many are let in a second, and nobody waits for them.

use std::fs::Permissions;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plan::Plan;

use crate::container::error::Told;
use crate::container::folder::name;
use crate::container::outward;

/// The first argument that makes this program one that hears somebody inside: `enter __outward SOCKET FOLDER CLIENT:PROCESS…`. SOCKET is a
/// descriptor; each CLIENT a process of this machine by which somebody is inside, and PROCESS the first of his there, the latest last.
pub const ROLE: &str = "__outward";

/// So many are served at once.
const MOST: usize = 64;

/// So many more are let in at once than one in each [`PACE`].
const BURST: u32 = 100;

/// One is let in, on average, in this time.
const PACE: Duration = Duration::from_millis(20);

/// The door, and those who have come in.
#[derive(Debug)]
pub struct Outlet {
    door: Option<OwnedFd>,
    folder: PathBuf,
    serving: Vec<(OwnedFd, Child)>,
    /// When all that were let in have been let in at that pace.
    settled: Instant,
}

impl Outlet {
    /// Opens the door, if the plan shows one.
    pub fn open(plan: &Plan) -> Result<Self, Told> {
        let folder: PathBuf = plan.container.folder.clone().into();
        let mut outlet = Self { door: None, folder, serving: Vec::new(), settled: Instant::now() };
        let Some(client) = outward::client_of(plan) else { return Ok(outlet) };
        outward::prepare(client).map_err(|(path, error)| Told {
            message: format!("cannot make {}", path.display()),
            cause: Some(Box::new(Told::by(&error, None))),
            hint: None,
        })?;
        let refused = |errno| Told::refused("cannot listen for those in the container", errno, None);
        outlet.door = Some(sys::door::open_in(&outlet.folder, name::OUTWARD).map_err(refused)?);
        // Whoever is inside may ask who he is; what else he may is another's to tell, by his user id.
        let _ = std::fs::set_permissions(outlet.folder.join(name::OUTWARD), Permissions::from_mode(0o666));
        Ok(outlet)
    }

    /// What to wait on.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let door = self.door.as_ref().filter(|_| self.has_room() && self.next().is_none());
        door.into_iter().chain(self.serving.iter().map(|(end, _)| end)).map(AsFd::as_fd)
    }

    /// When more are let in, where too many have come.
    pub fn next(&self) -> Option<Instant> {
        let next = self.settled.checked_sub(PACE * BURST)?;
        (self.door.is_some() && self.has_room() && next > Instant::now()).then_some(next)
    }

    fn has_room(&self) -> bool {
        self.serving.len() < MOST
    }

    /// Lets in who waits, and forgets who is done. `inside`: by which process somebody is in, and which is his there; the latest last.
    pub fn look(&mut self, inside: impl FnOnce() -> Vec<(i32, i32)>) {
        self.serving.retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
        if !self.has_room() || self.next().is_some() {
            return;
        }
        let Some(Ok(Some(guest))) = self.door.as_ref().map(sys::door::let_in_anybody) else { return };
        self.settled = self.settled.max(Instant::now()) + PACE;
        // Where there is no room for a process there is none for an answer either: the socket closes.
        if let Some(served) = self.serve(&guest, &inside()) {
            self.serving.push(served);
        }
    }

    fn serve(&self, guest: &OwnedFd, inside: &[(i32, i32)]) -> Option<(OwnedFd, Child)> {
        sys::descriptor::keep_on_exec(guest.as_fd()).ok()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg(ROLE).arg(guest.as_raw_fd().to_string()).arg(&self.folder);
        command.args(inside.iter().map(|(client, process)| format!("{client}:{process}")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).ok()?);
        match sys::process::pidfd_open(pid) {
            Ok(end) => Some((end, child)),
            Err(_) => {
                let _ = child.kill().and_then(|()| child.wait());
                None
            }
        }
    }
}
