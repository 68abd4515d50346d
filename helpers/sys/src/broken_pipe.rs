//! Ending as a Unix program ends when nobody reads its output any more.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

/// Ends this process by SIGPIPE, so that its parent sees what it sees of `cat` or `ls` (signal(7)). Rust's start-up code
/// ignores that signal; here it gets its default action back.
pub fn die() -> ! {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed, only the default action, which cannot run any code of this process.
    let _ = unsafe { sigaction(Signal::SIGPIPE, &default) };
    let mut pipe = SigSet::empty();
    pipe.add(Signal::SIGPIPE);
    let _ = pipe.thread_unblock();
    let _ = raise(Signal::SIGPIPE);
    // Reached only if SIGPIPE cannot be delivered; 141 is what a shell makes of that death.
    std::process::exit(141)
}
