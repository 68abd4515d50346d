//! The host and domain names, and the kernel parameters, of the container's own namespaces.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use plan::{Namespace, Plan};

use crate::failure::{Doing, Failure, Result};

/// Sets them, while the host's /proc is still in sight: what lies below /proc/sys shows each process its own namespaces' values.
pub fn set(plan: &Plan) -> Result<()> {
    if plan.namespaces.uts == Namespace::Own {
        nix::unistd::sethostname(&plan.hostname).doing("set the host name", &plan.hostname)?;
        if !plan.domainname.is_empty() {
            sys::namespace::set_domain_name(&plan.domainname).doing("set the domain name", &plan.domainname)?;
        }
    }
    plan.sysctls.iter().try_for_each(|(name, value)| set_parameter(name, value))
}

fn set_parameter(name: &str, value: &str) -> Result<()> {
    // Names of network interfaces have dots in them, which sysctl(8) lets slashes stand for.
    let path: String = name
        .chars()
        .map(|char| {
            if char == '.' {
                '/'
            } else if char == '/' {
                '.'
            } else {
                char
            }
        })
        .collect();
    if path.split('/').any(|part| part.is_empty() || part == "..") {
        return Err(Failure::setup("set the kernel parameter", name, Errno::EINVAL));
    }
    fs::write(Path::new("/proc/sys").join(path), value).doing("set the kernel parameter", format!("{name}={value}"))
}
