//! `enter container exists` and `enter image exists`, as podman has them.

use clap::Args;

/// Tell by the exit code whether there is such a container.
#[derive(Debug, Args)]
pub struct ContainerExistsArgs {
    /// A container's name, or its ID or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// Tell by the exit code whether there is such an image.
#[derive(Debug, Args)]
pub struct ImageExistsArgs {
    /// A name, or an ID or the beginning of one
    #[arg(value_name = "IMAGE")]
    pub image: String,
}
