//! The payload of a container whose commands come and go: a process that does nothing, by which the container lives.

use nix::sys::signal::{SigSet, Signal};

/// What ends it. Init sends it; whatever else can be blocked is not heard.
pub const END: Signal = Signal::SIGUSR1;

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
    while end.wait() != Ok(END) {}
    sys::process::exit_now(0)
}
