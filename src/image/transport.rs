//! Where an image can come from and go to: `TRANSPORT:rest`, by the grammar of `containers-transports(5)`.
//!
//! Only text is read here; that a path exists, or a store has an image, is found out where it is used. `pull`, `push`, `save` and `run`
//! ask [`Transport::parse`] first, and take what is none for the name of an image.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Error, Reference};

/// A place for images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// `docker://NAME`: a registry.
    Registry(Reference),
    /// `docker-archive:PATH[:NAME[:TAG]|:@INDEX]`: what `docker save` writes.
    DockerArchive(PathBuf, Option<Chosen>),
    /// `oci:PATH[:NAME|:@INDEX]`: a folder that is an OCI layout.
    OciLayout(PathBuf, Option<Chosen>),
    /// `oci-archive:PATH[:NAME|:@INDEX]`: an OCI layout in a tar.
    OciArchive(PathBuf, Option<Chosen>),
    /// `dir:PATH`: a folder with one image, as skopeo writes it.
    Dir(PathBuf),
    /// `containers-storage:[[DRIVER@]ROOT[+RUN]]NAME`: the store of podman and buildah.
    ContainersStorage(Stored),
}

/// Which of several images a place has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// The one of that name: in an OCI layout the text of its annotation, in docker's archives the name of an image.
    Name(String),
    /// The one at that place in the list, counted from 0.
    At(usize),
}

/// An image in podman's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The storage driver; `None` for the configured one.
    pub driver: Option<String>,
    /// The store's folder; `None` for the user's own.
    pub root: Option<PathBuf>,
    /// The folder of what the store has while it is used, which reading does without.
    pub run: Option<PathBuf>,
    /// The image's name; a name, an ID, or both are given.
    pub name: Option<Reference>,
    /// The image's ID, or its beginning: hexadecimal digits.
    pub id: Option<String>,
}

/// What other tools know, and why it is not had here, and what helps.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "docker-daemon",
        "the Docker daemon belongs to root, and is not spoken to",
        "let docker write the image: docker save IMAGE | enter load; the other way round: enter save IMAGE | docker load",
    ),
    ("tarball", "a tar of files is no image yet", "make one of it: enter import FILE NAME"),
    ("ostree", "ostree repositories are not supported", "copy the image out with a skopeo that has ostree: skopeo copy ostree:… oci:FOLDER"),
    ("sif", "images of Singularity are not supported", "unpack it, and make an image of the files: enter import"),
    ("atomic", "atomic registries are obsolete", "use docker://NAME"),
];

impl Transport {
    /// Reads `TRANSPORT:rest`; `None` for what begins with no transport, and may be the name of an image.
    ///
    /// # Errors
    /// [`Error::Transport`] for what is wrong behind the colon, or a transport that there is none of here; [`Error::Reference`] and [`Error::Digest`] for names.
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        let Some((transport, rest)) = text.split_once(':') else { return Ok(None) };
        let wrong = |reason: &str| wrong(text, reason);
        let path_and_image = || -> Result<(PathBuf, Option<Chosen>), Error> {
            let (path, image) = match rest.split_once(':') {
                Some((path, image)) => (path, (!image.is_empty()).then_some(image)),
                None => (rest, None),
            };
            if path.is_empty() {
                return Err(wrong("it has no path"));
            }
            let at = |index: &str| {
                let digits = index.bytes().all(|byte| byte.is_ascii_digit());
                index
                    .parse()
                    .ok()
                    .filter(|_| digits)
                    .map(Chosen::At)
                    .ok_or_else(|| wrong("what follows @ is no number"))
            };
            let image = match image.map(|image| (image, image.strip_prefix('@'))) {
                None => None,
                Some((_, Some(index))) => Some(at(index)?),
                Some((name, None)) => Some(Chosen::Name(name.to_owned())),
            };
            Ok((path.into(), image))
        };
        Ok(Some(match transport {
            // `docker:24` is an image.
            "docker" => match rest.strip_prefix("//") {
                Some(name) => Self::Registry(Reference::parse(name)?.of_docker()),
                None => return Ok(None),
            },
            "docker-archive" => {
                let (path, image) = path_and_image()?;
                if let Some(Chosen::Name(name)) = &image
                    && Reference::parse(name)?.digest().is_some()
                {
                    return Err(wrong("archives of docker know images by name and tag, not by digest"));
                }
                Self::DockerArchive(path, image)
            }
            "oci" => {
                let (path, image) = path_and_image()?;
                Self::OciLayout(path, image)
            }
            "oci-archive" => {
                let (path, image) = path_and_image()?;
                Self::OciArchive(path, image)
            }
            "dir" if rest.is_empty() => return Err(wrong("it has no path")),
            "dir" => Self::Dir(rest.into()),
            "containers-storage" => Self::ContainersStorage(stored(text, rest)?),
            other => match REFUSED.iter().find(|(name, ..)| *name == other) {
                Some((_, reason, hint)) => {
                    let hint = Some((*hint).to_owned());
                    return Err(Error::Transport { text: shorten(text), reason: (*reason).to_owned(), hint });
                }
                None => return Ok(None),
            },
        }))
    }

    /// The file or folder that it is about, where it is about one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::DockerArchive(path, _) | Self::OciLayout(path, _) | Self::OciArchive(path, _) | Self::Dir(path) => {
                Some(path)
            }
            Self::Registry(_) | Self::ContainersStorage(_) => None,
        }
    }
}

/// `[[DRIVER@]ROOT[+RUN][:OPTIONS]]NAME[@ID]`, or `@ID`.
fn stored(text: &str, rest: &str) -> Result<Stored, Error> {
    let wrong = |reason: &str| wrong(text, reason);
    let (mut driver, mut root, mut run) = (None, None, None);
    let mut image = rest;
    if let Some(inner) = rest.strip_prefix('[') {
        let (place, after) = inner.split_once(']').ok_or_else(|| wrong("it has '[' without ']'"))?;
        // What the options change is how the store is mounted, which is not done here.
        let place = place.split(':').next().unwrap_or_default();
        let place = match place.split_once('@') {
            Some((name, place)) => {
                driver = Some(name.to_owned()).filter(|name| !name.is_empty());
                place
            }
            None => place,
        };
        let (graph, state) = place.split_once('+').map_or((place, None), |(graph, state)| (graph, Some(state)));
        for path in [Some(graph), state].into_iter().flatten() {
            if !path.is_empty() && !path.starts_with('/') {
                return Err(wrong("the store's folder must be given from / on"));
            }
        }
        root = Some(PathBuf::from(graph)).filter(|path| !path.as_os_str().is_empty());
        run = state.filter(|path| !path.is_empty()).map(PathBuf::from);
        image = after;
    }
    let is_id = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (name, id) = match image.rsplit_once('@') {
        Some((name, id)) if is_id(id) && !id.is_empty() => (name, Some(id)),
        _ if image.len() == 64 && is_id(image) => ("", Some(image)),
        _ => (image, None),
    };
    if name.is_empty() && id.is_none() {
        return Err(wrong("it names no image"));
    }
    if id.is_some_and(|id| id.len() < 3 || id.len() > 64) {
        return Err(wrong("an ID has between 3 and 64 digits"));
    }
    let name = match name {
        "" => None,
        name => Some(Reference::parse(name)?),
    };
    Ok(Stored { driver, root, run, name, id: id.map(str::to_owned) })
}

fn wrong(text: &str, reason: &str) -> Error {
    Error::Transport { text: shorten(text), reason: reason.to_owned(), hint: None }
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::At(index) => write!(f, "@{index}"),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |f: &mut fmt::Formatter<'_>, name: &str, path: &Path, chosen: &Option<Chosen>| {
            write!(f, "{name}:{}", path.display())?;
            chosen.as_ref().map_or(Ok(()), |chosen| write!(f, ":{chosen}"))
        };
        match self {
            Self::Registry(name) => write!(f, "docker://{}", name.familiar()),
            Self::DockerArchive(path, chosen) => at(f, "docker-archive", path, chosen),
            Self::OciLayout(path, chosen) => at(f, "oci", path, chosen),
            Self::OciArchive(path, chosen) => at(f, "oci-archive", path, chosen),
            Self::Dir(path) => at(f, "dir", path, &None),
            Self::ContainersStorage(stored) => {
                f.write_str("containers-storage:")?;
                if stored.driver.is_some() || stored.root.is_some() || stored.run.is_some() {
                    f.write_str("[")?;
                    stored.driver.as_ref().map_or(Ok(()), |driver| write!(f, "{driver}@"))?;
                    stored.root.as_ref().map_or(Ok(()), |root| write!(f, "{}", root.display()))?;
                    stored.run.as_ref().map_or(Ok(()), |run| write!(f, "+{}", run.display()))?;
                    f.write_str("]")?;
                }
                stored.name.as_ref().map_or(Ok(()), |name| f.write_str(&name.familiar()))?;
                stored.id.as_ref().map_or(Ok(()), |id| write!(f, "@{id}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Transport {
        Transport::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).unwrap_or_else(|| panic!("{text}"))
    }

    fn named(name: &str) -> Option<Chosen> {
        Some(Chosen::Name(name.to_owned()))
    }

    #[test]
    fn the_manual_page_s_forms_are_read() {
        assert_eq!(read("oci:a/b"), Transport::OciLayout("a/b".into(), None));
        assert_eq!(read("oci:/a:v1"), Transport::OciLayout("/a".into(), named("v1")));
        assert_eq!(read("oci:/a:quay.io:5000/x:v1"), Transport::OciLayout("/a".into(), named("quay.io:5000/x:v1")));
        assert_eq!(read("oci:/a:@2"), Transport::OciLayout("/a".into(), Some(Chosen::At(2))));
        assert_eq!(read("oci-archive:x.tar:v1"), Transport::OciArchive("x.tar".into(), named("v1")));
        assert_eq!(read("docker-archive:x.tar:b:1"), Transport::DockerArchive("x.tar".into(), named("b:1")));
        assert_eq!(read("docker-archive:x.tar:@0"), Transport::DockerArchive("x.tar".into(), Some(Chosen::At(0))));
        assert_eq!(read("dir:/a:b"), Transport::Dir("/a:b".into()));
        let Transport::Registry(name) = read("docker://debian:12") else { panic!() };
        assert_eq!((name.to_string().as_str(), name.is_short()), ("docker.io/library/debian:12", false));
    }

    #[test]
    fn podman_s_store_is_named_in_all_its_ways() {
        let stored = |text: &str| match read(&format!("containers-storage:{text}")) {
            Transport::ContainersStorage(stored) => stored,
            other => panic!("{other}"),
        };
        let name = |stored: &Stored| stored.name.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(name(&stored("busybox")), "docker.io/library/busybox:latest");
        assert_eq!(stored("@0123abc").id.unwrap(), "0123abc");
        assert_eq!(stored(&id).id.unwrap(), id);
        let both = stored(&format!("localhost/x:1@{id}"));
        assert_eq!((name(&both).as_str(), both.id.unwrap()), ("localhost/x:1", id.clone()));
        assert_eq!(name(&stored(&format!("x@sha256:{id}"))), format!("docker.io/library/x@sha256:{id}"));
        let placed = stored("[overlay@/a/b+/run/c:opt=1]x");
        assert_eq!(
            (placed.driver.as_deref(), placed.root, placed.run),
            (Some("overlay"), Some("/a/b".into()), Some("/run/c".into()))
        );
        assert_eq!(stored("[/a]x").root, Some("/a".into()));
    }

    #[test]
    fn names_of_images_are_no_transports() {
        for text in
            ["debian", "debian:12", "docker:24-dind", "quay.io/x:1", "localhost:5000/x", "http://x", "", ":", "x:y:z"]
        {
            assert_eq!(Transport::parse(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in [
            "oci:",
            "oci::v1",
            "dir:",
            "oci:/a:@x",
            "oci:/a:@-1",
            "oci:/a:@+1",
            "oci:/a:@",
            "docker-archive:/a:UPPER",
            "docker://",
            "docker-archive:/a:x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "containers-storage:",
            "containers-storage:[/a",
            "containers-storage:[/a]",
            "containers-storage:[a]x",
            "containers-storage:@01",
            "docker-daemon:x",
            "tarball:x",
            "oci:/a:@99999999999999999999999",
        ] {
            assert!(Transport::parse(text).is_err(), "{text}");
        }
        let error = Transport::parse("docker-daemon:busybox:latest").unwrap_err();
        assert!(error.hint().unwrap().contains("docker save"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(
            transport in "(docker|oci|oci-archive|docker-archive|dir|containers-storage|docker-daemon|[a-z]{0,5})",
            rest in "[\\[\\]@+:/a-f0-9.A-Zé]{0,80}",
        ) {
            let _ = Transport::parse(&format!("{transport}:{rest}"));
        }

        #[test]
        fn what_is_shown_is_read_to_the_same(
            transport in "(docker://|oci:|oci-archive:|docker-archive:|dir:|containers-storage:)",
            rest in "(/[a-z]{1,5}|\\[o@/a\\+/b\\])?:?[a-z]{1,8}(:[a-z0-9]{1,5}|:@[0-9]|@[0-9a-f]{3,9})?",
        ) {
            if let Ok(Some(read)) = Transport::parse(&format!("{transport}{rest}")) {
                prop_assert_eq!(Transport::parse(&read.to_string()).unwrap(), Some(read));
            }
        }
    }
}
