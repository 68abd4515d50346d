//! The payload of a container whose commands come and go: a process that does nothing, by which the container lives.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What ends it, if init sends it: from others it is as every other signal, which is not heard if it can be blocked.
pub const END: Signal = Signal::SIGUSR1;

/// Init's number in the box's pid namespace, which is always its own.
const INIT: u32 = 1;

/// In the new process, which is confined already: waits until it is ended. It is the same program as init still, and so nobody may look
/// into it, and it has nothing open.
pub fn until_ended() -> ! {
    let closed = nix::sys::prctl::set_dumpable(false)
        .and_then(|()| nix::sys::prctl::set_name(c"enter-box"))
        .and_then(|()| SigSet::all().thread_block())
        // With the socket of the parent, who sees by that that it has begun.
        .and_then(|()| sys::descriptor::close_from(0));
    if closed.is_err() {
        sys::process::exit_now(125);
    }
    let mut end = SigSet::empty();
    end.add(END);
    let Ok(ends) = SignalFd::with_flags(&end, SfdFlags::SFD_CLOEXEC) else { sys::process::exit_now(125) };
    // Whoever else is of the same user could send it too, if only to everybody.
    while !matches!(ends.read_signal(), Ok(Some(info)) if info.ssi_pid == INIT) {}
    sys::process::exit_now(0)
}
