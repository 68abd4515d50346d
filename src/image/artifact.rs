//! What a registry keeps that is no image: charts, modules, signatures and whatever else is pushed as an OCI artifact
//! (image-spec `manifest.md`, "Guidelines for Artifact Usage").

/// Something that is no image, by the media types of its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What it is, for people: `a Helm chart`.
    pub kind: String,
    /// What it is good for; `None` where that is not known.
    pub hint: Option<&'static str>,
}

/// The beginnings of media types, what they stand for, and what helps.
#[rustfmt::skip]
const KNOWN: &[(&str, &str, &str)] = &[
    ("application/vnd.cncf.helm.", "a Helm chart", "fetch it with helm: helm pull oci://NAME"),
    ("application/vnd.wasm.", "a WebAssembly module", "fetch it with a WebAssembly tool, such as wkg oci pull NAME"),
    ("application/wasm", "a WebAssembly module", "fetch it with a WebAssembly tool, such as wkg oci pull NAME"),
    ("application/vnd.dev.cosign.", "a signature of cosign", "look at it with cosign: cosign verify NAME"),
    ("application/vnd.dev.sigstore.", "a signature of sigstore", "look at it with cosign: cosign verify NAME"),
    ("application/vnd.cncf.notary.", "a signature of Notary", "look at it with notation: notation verify NAME"),
    ("application/vnd.in-toto", "an attestation of how an image was built", "look at it with docker buildx imagetools inspect, or cosign"),
    ("application/vnd.dsse.envelope.", "an attestation", "look at it with cosign: cosign verify-attestation NAME"),
    ("application/vnd.buildkit.cacheconfig.", "a cache of builds", "give it to a build: --cache-from NAME"),
    ("application/vnd.sylabs.sif.", "an image of Singularity", "run it with Singularity or Apptainer: apptainer run oras://NAME"),
    ("application/vnd.docker.plugin.", "a plugin of Docker's", "install it with docker plugin install NAME"),
    ("application/vnd.docker.compose.", "a compose file", "use it with docker compose -f oci://NAME"),
    ("application/vnd.docker.ai.", "a model", "fetch it with docker model pull NAME"),
    ("application/vnd.ollama.", "a model", "fetch it with ollama pull NAME"),
    ("application/vnd.cncf.model.", "a model", "fetch it with modctl pull NAME"),
    ("application/vnd.cncf.flux.", "a source for Flux", "fetch it with flux pull artifact oci://NAME"),
    ("application/vnd.fluxcd.", "a source for Flux", "fetch it with flux pull artifact oci://NAME"),
    ("application/vnd.cyclonedx", "a list of what an image consists of (SBOM)", "fetch it with oras pull NAME"),
    ("application/spdx", "a list of what an image consists of (SBOM)", "fetch it with oras pull NAME"),
    ("text/spdx", "a list of what an image consists of (SBOM)", "fetch it with oras pull NAME"),
    ("application/vnd.devcontainers", "a feature or template of development containers", "name it in a devcontainer.json"),
    ("application/vnd.opentofu.", "a module of OpenTofu", "name it in a module's source: oci://NAME"),
];

/// Configurations of images. The last is what very old versions of Docker wrote.
const IMAGES: &[&str] = &[
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "application/octet-stream",
];

impl Artifact {
    /// Tells an artifact from an image by the media types in its manifest: its own `artifactType`, that of its configuration, and those of its layers.
    pub fn of<'a>(
        artifact_type: Option<&'a str>,
        config: Option<&'a str>,
        layers: impl Iterator<Item = &'a str>,
    ) -> Option<Self> {
        let given = |text: &&str| !text.is_empty();
        let config = config.filter(given).filter(|config| !IMAGES.contains(&essence(config).as_str()));
        let known = layers.filter_map(|layer| known(layer).map(|_| layer)).next();
        // The layers last: many an artifact calls its configuration an image's, to please old registries.
        let kind = match (artifact_type.filter(given), config) {
            (Some(kind), Some(_)) => kind,
            (Some(kind), None) if known.is_some() || self::known(kind).is_some() => kind,
            (_, Some(empty)) if essence(empty) == "application/vnd.oci.empty.v1+json" => known.unwrap_or(empty),
            (_, Some(config)) => config,
            (_, None) => known?,
        };
        Some(match self::known(kind) {
            Some((_, what, hint)) => Self { kind: (*what).to_owned(), hint: Some(hint) },
            None => Self { kind: format!("of the type {:?}", kind.chars().take(100).collect::<String>()), hint: None },
        })
    }
}

fn known(kind: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let essence = essence(kind);
    KNOWN.iter().find(|(start, ..)| essence.starts_with(start))
}

fn essence(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(artifact: Option<&str>, config: &str, layers: &[&str]) -> Option<String> {
        Artifact::of(artifact, Some(config), layers.iter().copied()).map(|artifact| artifact.kind)
    }

    const TAR: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    const EMPTY: &str = "application/vnd.oci.empty.v1+json";

    #[test]
    fn images_are_no_artifacts() {
        for config in IMAGES {
            assert_eq!(kind(None, config, &[TAR]), None, "{config}");
        }
        assert_eq!(kind(Some(""), "", &[TAR]), None);
        assert_eq!(Artifact::of(None, None, [TAR].into_iter()), None);
        // What an image is said to be for makes it no artifact.
        assert_eq!(kind(Some("application/vnd.example.box"), IMAGES[0], &[TAR]), None);
    }

    #[test]
    fn what_is_known_is_called_by_its_name() {
        let helm = "application/vnd.cncf.helm.config.v1+json";
        assert_eq!(kind(None, helm, &["application/vnd.cncf.helm.chart.content.v1.tar+gzip"]).unwrap(), "a Helm chart");
        let cosign = "application/vnd.dev.cosign.simplesigning.v1+json";
        assert_eq!(kind(None, IMAGES[0], &[cosign]).unwrap(), "a signature of cosign");
        assert_eq!(kind(Some("application/wasm"), EMPTY, &[EMPTY]).unwrap(), "a WebAssembly module");
        assert_eq!(
            kind(None, EMPTY, &["application/spdx+json"]).unwrap(),
            "a list of what an image consists of (SBOM)"
        );
        assert_eq!(kind(None, IMAGES[1], &["application/vnd.ollama.image.model"]).unwrap(), "a model");
        let unknown = kind(Some("application/vnd.acme\u{1b}[31m"), EMPTY, &[]).unwrap();
        assert_eq!(unknown, r#"of the type "application/vnd.acme\u{1b}[31m""#);
    }

    proptest! {
        #[test]
        fn any_types_are_no_panic(artifact in "\\PC{0,30}", config in "\\PC{0,30}", layer in "\\PC{0,30}") {
            let _ = Artifact::of(Some(&artifact), Some(&config), [layer.as_str()].into_iter());
        }
    }
}
