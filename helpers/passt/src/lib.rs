//! The network of a container whose user is not root: `pasta` of <https://passt.top>, and an interface that does not wait
//! for it.
//!
//! pasta needs some 20 to 50 ms to start; a whole container is to start in less. So it is not waited for:
//!
//! 1. Before anything else, [`HostNetwork::read`] asks the kernel which addresses and gateways the host uses, and
//!    [`Interface::like`] makes of them what the container is to have: the host's own address, as pasta does, so that the
//!    host itself cannot be reached under it.
//! 2. Inside the new network namespace, [`Interface::configure`] makes a *persistent tap* with nobody at its other end, and
//!    gives it address, route and patience: packets that are sent now wait in the kernel's neighbour queue, whose address
//!    requests are repeated every few milliseconds.
//! 3. Outside, [`Pasta::start`] starts pasta on that namespace. It attaches to the tap by its name, answers the next request,
//!    and what waited goes out.
//!
//! This crate owns all of that, the name servers that go with it ([`dns`]), and the namespace without any network
//! ([`loopback_only`]). What a user may ask of pasta beyond that are [`Options`]. It creates no namespaces and prints nothing.
//!
//! ```no_run
//! # fn namespaces() -> nix::unistd::Pid { nix::unistd::Pid::this() }
//! use passt::{HostNetwork, Interface, Pasta, dns};
//!
//! // The host's side, before there is a container:
//! let Some(host) = HostNetwork::read()? else { return Ok(()) /* no way out: loopback only */ };
//! let interface = Interface::like(&host, &dns::HostResolver::read()?);
//! let pasta = Pasta::find()?;
//! // In the container's namespace, by a process with CAP_NET_ADMIN there:
//! let outcome = interface.configure()?;
//! // On the host's side, by the process with which pasta is to end:
//! let running = pasta.start(namespaces(), &interface)?;
//! // In the container, only on kernels before 5.16 is there anything to wait for:
//! outcome.wait_until_usable(std::time::Duration::from_secs(5))?;
//! # running.end();
//! # Ok::<(), passt::Error>(())
//! ```

pub mod dns;
mod error;
mod host;
mod interface;
pub mod options;
mod pasta;
mod sysctl;

pub use error::Error;
pub use host::{HostFamily, HostNetwork};
pub use interface::{Address, HOST, Interface, Outcome, loopback_only};
pub use options::Options;
pub use pasta::{Ended, Pasta, Running};
