//! What the flags of [`ReachArgs`] say, in the place of what is configured.

use std::path::Path;

use enter::registry::Environment;

use crate::cli::ReachArgs;
use crate::failure::Failure;

/// Applies the flags. A file of credentials that was named and is not there is a slip.
pub fn environment(environment: Environment, args: &ReachArgs) -> Result<Environment, Failure> {
    if let Some(path) = &args.authfile {
        check(path)?;
    }
    Ok(any_file(environment, args))
}

/// Applies the flags, where a file of credentials may still have to be made.
pub fn any_file(mut environment: Environment, args: &ReachArgs) -> Environment {
    if let Some(path) = &args.authfile {
        environment = environment.with_auth_file(path);
    }
    if let Some(folder) = &args.cert_dir {
        environment = environment.with_certificates(folder);
    }
    if let Some(verify) = args.tls_verify {
        environment = environment.with_tls_verify(verify);
    }
    environment
}

/// Refuses a file of credentials that is not there.
pub fn check(path: &Path) -> Result<(), Failure> {
    let failed = |error| {
        Failure::new(format!("cannot read the credentials in {}", path.display()))
            .because(error)
            .with_hint("see whether --authfile is right; `enter login` makes one")
    };
    std::fs::metadata(path).map(drop).map_err(failed)
}
