//! Where an image comes from, as a policy speaks of it: a transport, and the scopes that count within it, the narrowest first.

use std::path::Path;

use crate::image::Reference;

/// Where an image comes from.
#[derive(Debug, Clone)]
pub struct Source {
    transport: String,
    scopes: Vec<String>,
    reference: Option<Reference>,
    name: String,
}

impl Source {
    /// An image of a registry, by its complete name, whichever mirror gives it.
    ///
    /// Its scopes are the name with its tag or digest, the repository, the namespaces above it, the registry, and `*.example.com` for all
    /// domains above that one. A tag beside a digest says nothing, and does not count.
    pub fn registry(reference: &Reference) -> Self {
        let repository = reference.repository();
        let identity = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => format!("{repository}@{digest}"),
            (None, tag) => format!("{repository}:{}", tag.unwrap_or(crate::image::DEFAULT_TAG)),
        };
        let mut scopes = vec![identity];
        let mut name = repository.as_str();
        loop {
            scopes.push(name.to_owned());
            match name.rsplit_once('/') {
                Some((above, _)) => name = above,
                None => break,
            }
        }
        let mut host = name.split(':').next().unwrap_or(name);
        while let Some((_, above)) = host.split_once('.') {
            scopes.push(format!("*.{above}"));
            host = above;
        }
        Self { transport: "docker".into(), scopes, reference: Some(reference.clone()), name: reference.familiar() }
    }

    /// An image in a directory or a file: `oci`, `dir` or `oci-archive`, with the name that it has there. `path` is absolute and without
    /// links. Its scopes are the path with that name, the path, and the directories above it.
    pub fn path(transport: &str, path: &Path, image: Option<&str>) -> Self {
        let whole = path.to_string_lossy().into_owned();
        let mut scopes = Vec::new();
        if transport != "dir" {
            scopes.push(format!("{whole}:{}", image.unwrap_or_default()));
        }
        let above = path.ancestors().map(|path| path.to_string_lossy().into_owned());
        scopes.extend(above.filter(|path| path != "/" && !path.is_empty()));
        Self { transport: transport.into(), scopes, reference: None, name: format!("{transport}:{whole}") }
    }

    /// An image of a transport that has no scopes but the whole: `docker-archive`. Of one that has scopes, `containers-storage`, each of those counts.
    /// `name` is for messages.
    pub fn whole(transport: &str, name: &str) -> Self {
        Self { transport: transport.into(), scopes: Vec::new(), reference: None, name: name.to_owned() }
    }

    /// Whether it is of a transport that has scopes, but which of them are this image's is not known.
    pub(super) fn is_somewhere_in(&self, transport: &str) -> bool {
        transport == "containers-storage" && self.scopes.is_empty()
    }

    /// The name of the transport.
    pub(super) fn transport(&self) -> &str {
        &self.transport
    }

    /// Its scopes, the narrowest first; without the one for the whole transport.
    pub(super) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// What a signature must name; nothing where the image has no name in a registry.
    pub(super) fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }

    /// As people are to know it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_scopes_of_containers_image() {
        let scopes = |name: &str| Source::registry(&Reference::parse(name).unwrap()).scopes.clone();
        assert_eq!(
            scopes("registry.example.com:5000/a/b:v1"),
            [
                "registry.example.com:5000/a/b:v1",
                "registry.example.com:5000/a/b",
                "registry.example.com:5000/a",
                "registry.example.com:5000",
                "*.example.com",
                "*.com"
            ]
        );
        assert_eq!(
            scopes("busybox"),
            ["docker.io/library/busybox:latest", "docker.io/library/busybox", "docker.io/library", "docker.io", "*.io"]
        );
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(scopes(&format!("localhost/x:v1@{digest}"))[0], format!("localhost/x@{digest}"));
    }

    #[test]
    fn a_path_has_its_directories() {
        assert_eq!(Source::path("oci", Path::new("/a/b"), Some("v1")).scopes, ["/a/b:v1", "/a/b", "/a"]);
        assert_eq!(Source::path("dir", Path::new("/a/b"), None).scopes, ["/a/b", "/a"]);
    }
}
