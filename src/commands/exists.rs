//! `enter container exists` and `enter image exists`: an exit code, and no word.

use std::process::ExitCode;

use enter::container::Error;
use enter::registry;

use super::{containers, resolve, state};
use crate::cli::{ContainerExistsArgs, ImageExistsArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;

/// 0 if there is such a container, 1 if there is none.
pub fn container(args: &ContainerExistsArgs) -> Result<ExitCode, Failure> {
    match containers::of_user()?.find(&args.container) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(Error::NoSuchContainer(_)) => Ok(ExitCode::from(VERB_FAILED)),
        Err(error) => Err(error.into()),
    }
}

/// 0 if there is such an image, 1 if there is none.
pub fn image(settings: &Settings, args: &ImageExistsArgs) -> Result<ExitCode, Failure> {
    let options = resolve::options(settings);
    let store = state::store()?;
    let found = match registry::find(&store, &args.image, &options.platform, &options.environment)? {
        None if settings.platform.is_none() => registry::find_only(&store, &args.image, &options.environment)?,
        found => found,
    };
    Ok(if found.is_some() { ExitCode::SUCCESS } else { ExitCode::from(VERB_FAILED) })
}
