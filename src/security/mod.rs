//! What a container may do: capabilities, system calls, masked paths and the environment it is given.
//!
//! Tables and pure functions whose results go into a plan; nothing here acts on a process. `container` calls it when it
//! makes a plan, and `doctor` when it tries a filter out.

mod arguments;
mod bpf;
pub mod capabilities;
pub mod environment;
mod numbers;
pub mod paths;
pub mod pretend;
pub mod profile;
pub mod seccomp;
mod syscalls;
