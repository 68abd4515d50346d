//! Media types of manifests and layers (OCI image-spec `media-types.md`, Docker's image manifest v2 schema 2).

/// What a registry is asked for, most wanted first.
pub const ACCEPTED_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// What a manifest is, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// One image.
    Manifest,
    /// Several images, one for each platform.
    Index,
    /// Docker's obsolete first format.
    Schema1,
}

impl MediaType {
    /// Reads a media type, with or without parameters such as `; charset=utf-8`; `None` for any other type.
    pub fn parse(text: &str) -> Option<Self> {
        match essence(text).as_str() {
            "application/vnd.oci.image.manifest.v1+json" | "application/vnd.docker.distribution.manifest.v2+json" => {
                Some(Self::Manifest)
            }
            "application/vnd.oci.image.index.v1+json" | "application/vnd.docker.distribution.manifest.list.v2+json" => {
                Some(Self::Index)
            }
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws" => Some(Self::Schema1),
            _ => None,
        }
    }
}

/// What a layer is, by its media type. The compression itself is read from the bytes, because types that lie about it are common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// A tar, compressed or not.
    Tar,
    /// A tar that the manifest says to fetch from an address of its own; only Windows images had these.
    Foreign,
    /// Encrypted by ocicrypt.
    Encrypted,
    /// Something that is no file system.
    Other,
}

impl LayerKind {
    /// Reads a layer's media type.
    pub fn parse(text: &str) -> Self {
        let essence = essence(text);
        if essence.ends_with("+encrypted") {
            return Self::Encrypted;
        }
        match essence.as_str() {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Self::Tar,
            other if other.contains(".nondistributable.") || other.contains(".foreign.") => Self::Foreign,
            _ => Self::Other,
        }
    }
}

/// The type without its parameters, in lower case.
fn essence(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_asked_for_is_understood() {
        for kind in ACCEPTED_MANIFESTS.split(", ") {
            assert!(matches!(MediaType::parse(kind), Some(MediaType::Manifest | MediaType::Index)), "{kind}");
        }
        assert_eq!(MediaType::parse("application/vnd.oci.image.index.v1+json; charset=utf-8"), Some(MediaType::Index));
        assert_eq!(MediaType::parse("text/html"), None);
    }

    #[test]
    fn layers_are_told_apart() {
        assert_eq!(LayerKind::parse("application/vnd.oci.image.layer.v1.tar+zstd"), LayerKind::Tar);
        assert_eq!(LayerKind::parse("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), LayerKind::Foreign);
        assert_eq!(LayerKind::parse("application/vnd.oci.image.layer.nondistributable.v1.tar"), LayerKind::Foreign);
        assert_eq!(LayerKind::parse("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), LayerKind::Encrypted);
        assert_eq!(LayerKind::parse("application/vnd.cncf.helm.chart.content.v1.tar+gzip"), LayerKind::Other);
    }
}
