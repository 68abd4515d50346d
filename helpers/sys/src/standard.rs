//! What this process was given as its standard streams.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the standard output was closed when this process began.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Runs before Rust's start-up code, which opens `/dev/null` in the place of a closed stream, so that what is written there vanishes without a word.
extern "C" fn look() {
    // SAFETY: F_GETFD takes no third argument, touches no memory, and may be asked of any number.
    let is_closed = unsafe { nix::libc::fcntl(nix::libc::STDOUT_FILENO, nix::libc::F_GETFD) } == -1;
    CLOSED.store(is_closed, Ordering::Relaxed);
}

// SAFETY: the section is a list of functions that the C library calls one after the other before `main`, with arguments that `look` may leave where
// they are; it neither allocates nor panics, and needs nothing that is set up later.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Whether there was no standard output when this process began (`>&-` in a shell).
#[must_use]
pub fn output_was_closed() -> bool {
    // So that the linker takes this file's part of the library, and with it the entry in the list.
    std::hint::black_box(&LOOK);
    CLOSED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    fn a_closed_output_is_known() {
        // This very test, once more, without a standard output.
        let own = std::env::current_exe().unwrap();
        let child = std::env::var_os("SYS_TEST_CLOSED").is_some();
        if child {
            std::process::exit(if super::output_was_closed() { 7 } else { 8 });
        }
        for (redirect, code) in [(">&-", 7), (">/dev/null", 8), ("<>/dev/null >&0", 8)] {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("exec \"$0\" --exact standard::tests::a_closed_output_is_known {redirect}")]);
            let status = shell.arg(&own).env("SYS_TEST_CLOSED", "1").status().unwrap();
            assert_eq!(status.code(), Some(code), "{redirect}");
        }
    }
}
