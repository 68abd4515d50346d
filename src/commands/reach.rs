//! What the flags of [`ReachArgs`] say, in the place of what is configured.

use std::path::Path;

use enter::registry::{self, Credentials, Environment};

use crate::cli::ReachArgs;
use crate::failure::Failure;
use crate::ui::{self, Ui};

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

/// Refuses a file of credentials that is not there, or is none: before anything is asked of a registry.
pub fn check(path: &Path) -> Result<(), Failure> {
    let failed = |error| {
        Failure::new(format!("cannot read the credentials in {}", path.display()))
            .because(error)
            .with_hint("see whether --authfile is right; `enter login` makes one")
    };
    // A pipe gives what it has only once.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Ok(());
    }
    Ok(registry::check_auth_file(path)?)
}

/// `USER:PASSWORD`, or a name whose password is asked for.
pub fn credentials(ui: &Ui, given: &str) -> Result<Credentials, Failure> {
    let (user, password) = match given.split_once(':') {
        Some((user, password)) => {
            // Where it cannot be done, whoever looks was able to see it before.
            let _ = sys::arguments::wipe(given);
            (user, password.to_owned())
        }
        None if !ui::is_answerable() => {
            return Err(Failure::new(format!("cannot ask for the password of {given}: there is no terminal"))
                .with_hint("log in first: enter login --password-stdin"));
        }
        None => {
            let typed = ui.ask_secret("Password: ")?;
            (given, typed.ok_or_else(|| Failure::new("nothing was typed").with_hint("try again"))?)
        }
    };
    if user.is_empty() || password.is_empty() {
        return Err(Failure::new("--creds has no user name or no password").with_hint("give --creds USER:PASSWORD"));
    }
    Ok(Credentials::Password { user: user.to_owned(), password })
}
