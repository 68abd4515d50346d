//! The way to the network: the host's own, the tap device, and pasta on a namespace of its own. A machine without
//! can open shells all the same.

use std::time::Duration;

use nix::sched::CloneFlags;
use passt::dns::HostResolver;
use passt::{HostNetwork, Interface, Pasta, Running};
use uidmap::Maps;

use super::finding::{Finding, chain};
use super::machine::open_device;
use super::mend;
use super::trial::{Side, Trial, Word};

const NETWORK: &str = "network";
const TUN: &str = "tap device";
const COST: &str = "; containers have no network but their own loopback";

/// How long pasta may take to attach.
const LIMIT: Duration = Duration::from_secs(10);

/// Makes a network namespace with an interface, and has pasta serve it.
pub fn way_out(maps: &Maps) -> Vec<Finding> {
    let device = tun_device();
    let works = device.state == super::State::Good;
    let mut findings = vec![device];
    if works {
        findings.push(attempt(maps));
    }
    findings
}

fn tun_device() -> Finding {
    match open_device("/dev/net/tun") {
        Ok(()) => Finding::good(TUN, "/dev/net/tun opened"),
        Err(errno) => {
            let detail = format!("cannot open /dev/net/tun: {}{COST}", errno.desc());
            Finding::less(TUN, detail, Some(mend::device("/dev/net/tun", "tun", errno)))
        }
    }
}

fn attempt(maps: &Maps) -> Finding {
    let less = |error: &passt::Error| Finding::less(NETWORK, chain(error) + COST, error.hint());
    let (host, resolver) = match (HostNetwork::read(), HostResolver::read()) {
        (Ok(Some(host)), Ok(resolver)) => (host, resolver),
        (Ok(None), _) => {
            let detail = format!("this machine has no default route{COST}");
            return Finding::less(NETWORK, detail, Some("connect this machine to a network".into()));
        }
        (Err(error), _) | (_, Err(error)) => return less(&error),
    };
    let interface = Interface::like(&host, &resolver);
    let pasta = match Pasta::find() {
        Ok(pasta) => pasta,
        Err(error) => return less(&error),
    };
    match serve(maps, &interface, &pasta) {
        Ok(finding) => finding,
        Err(error) => less(&error),
    }
}

fn serve(maps: &Maps, interface: &Interface, pasta: &Pasta) -> Result<Finding, passt::Error> {
    let silent = |error: &super::trial::Error| Finding::less(NETWORK, chain(error) + COST, None);
    let trial = match Trial::start(CloneFlags::CLONE_NEWNET, maps, |side| configure(side, interface)) {
        Ok(trial) => trial,
        Err(error) => return Ok(silent(&error)),
    };
    match trial.hear() {
        Ok(Word::Failed(detail, _)) => return Ok(Finding::less(NETWORK, detail + COST, None)),
        Ok(_) => {}
        Err(error) => return Ok(silent(&error)),
    }
    let mut running: Running = pasta.start(trial.pid, interface)?;
    trial.tell(&Word::Done(String::new()));
    match trial.hear() {
        Ok(Word::Done(_)) => {}
        Ok(word) => return Err(ended(&mut running).unwrap_or_else(|| said_nothing(&word))),
        Err(error) => return Ok(silent(&error)),
    }
    if let Some(error) = ended(&mut running) {
        return Err(error);
    }
    let families = match (&interface.ipv4, &interface.ipv6) {
        (Some(_), Some(_)) => "IPv4 and IPv6",
        (Some(_), None) => "IPv4",
        _ => "IPv6",
    };
    let detail = format!("{} attached, for {families}", pasta.path().display());
    if interface.resolver.servers.is_empty() {
        let detail = format!("{detail}; but no name server of this machine can be asked from a container");
        return Ok(Finding::less(NETWORK, detail, Some("name one in /etc/resolv.conf".into())));
    }
    Ok(Finding::good(NETWORK, detail))
}

/// Why pasta is no longer there, if it is not.
fn ended(running: &mut Running) -> Option<passt::Error> {
    running.ended().map(passt::Ended::into_error)
}

fn said_nothing(word: &Word) -> passt::Error {
    let message = match word {
        Word::Failed(detail, _) => detail.clone(),
        other => format!("{other:?}"),
    };
    passt::Error::Died { status: "still running".into(), message }
}

/// In the namespace: a word once the interface is there, and one once pasta is attached.
fn configure(side: &Side, interface: &Interface) {
    let outcome = match interface.configure() {
        Ok(outcome) => outcome,
        Err(error) => return side.tell(&Word::Failed(chain(&error), None)),
    };
    side.tell(&Word::Done(String::new()));
    if side.hear().is_err() {
        return;
    }
    side.tell(&match outcome.wait_until_attached(LIMIT) {
        Ok(true) => Word::Done(String::new()),
        Ok(false) => Word::Failed("pasta did not attach within ten seconds".into(), None),
        Err(error) => Word::Failed(chain(&error), None),
    });
    let _ = side.hear();
}
