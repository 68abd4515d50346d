//! Where images come from and go to: archives and folders of docker's, OCI's and skopeo's, and podman's store. Each way out leads back in, other
//! tools take part, and what is not what it says is refused.

use crate::support::user::finish;
use crate::support::{User, hub};

/// What scripts begin with: `$ENTER`, `$LAYOUT`, and tools that find the tests' folders.
const TOOLS: &str = r#"
    copy() { skopeo --insecure-policy copy -q "$@"; }
    raw() { skopeo inspect --raw "$1" | sha256sum | cut -d' ' -f1; }
    id() { "$ENTER" image inspect -f '{{.Id}}' "$1"; }
    offered() { "$ENTER" images --digests --format '{{.Digest}}' "$1" | cut -d: -f2; }
    same() { test "$1" = "$2" || { echo "not the same, $3: $1 and $2" >&2; exit 1; }; }
"#;

fn script(user: &User, text: &str) -> String {
    let mut command = user.command("bash");
    command.args(["-euo", "pipefail", "-c", &format!("{TOOLS}\n{text}")]);
    command.env("ENTER", crate::support::user::ENTER).env("LAYOUT", &hub().layout);
    finish(command, b"").success()
}

/// A python program that writes what an archive of images is made of.
const MAKE: &str = r#"
import gzip, hashlib, io, json, os, sys, tarfile
def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            if isinstance(data, tuple): info.type, info.linkname = data; archive.addfile(info)
            else: info.size = len(data); archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
def sha(data): return hashlib.sha256(data).hexdigest()
def config(*layers, arch="amd64"):
    return json.dumps({"architecture": arch, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(l) for l in layers]}}).encode()
def descriptor(data, kind): return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + sha(data), "size": len(data)}
def manifest(config, *blobs):
    return json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": descriptor(config, "config.v1+json"),
        "layers": [descriptor(b, "layer.v1.tar+gzip") for b in blobs]}).encode()
def index(*entries): return json.dumps({"schemaVersion": 2, "manifests": list(entries)}).encode()
def entry(data, name=None, kind="manifest.v1+json", **more):
    return {**descriptor(data, kind), **({"annotations": {"org.opencontainers.image.ref.name": name}} if name else {}), **more}
def layout(top, *blobs): return [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", top)] + [("blobs/sha256/" + sha(b), b) for b in blobs]
LAYER = tar([("hello", b"hello\n")])
BLOB = gzip.compress(LAYER, mtime=0)
CONFIG = config(LAYER)
MANIFEST = manifest(CONFIG, BLOB)
def put(name, files):
    with open(name, "wb") as file: file.write(files if isinstance(files, bytes) else tar(files))
"#;

fn make(user: &User, text: &str) {
    let mut command = user.command("python3");
    command.args(["-c", &format!("{MAKE}\n{text}")]);
    finish(command, b"").success();
}

#[test]
fn what_is_saved_and_loaded_again_has_the_same_digests() {
    let user = User::new();
    script(
        &user,
        r#"
        for name in busybox zstd odd awkward platforms; do
            image=localhost/$name
            "$ENTER" pull -q oci:$LAYOUT:$name >/dev/null
            id=$(id $image); digest=$(raw oci:$LAYOUT:$name)
            test $name != platforms || digest=$(skopeo inspect --raw oci:$LAYOUT:$name | python3 -c '
import json, os, sys
here = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
print([m["digest"][7:] for m in json.load(sys.stdin)["manifests"] if m["platform"]["architecture"] == here][0])')
            for form in oci-archive oci-dir docker-dir docker-archive; do
                rm -rf out again
                "$ENTER" save --format $form -o out $image
                "$ENTER" save --format $form -o again $image
                diff -r out again
                case $form in
                    oci-archive) same $(raw oci-archive:out) $digest $form ;;
                    oci-dir) same $(raw oci:out) $digest $form ;;
                    docker-dir) same $(raw dir:out) $digest $form ;;
                esac
                "$ENTER" rmi -f $image >/dev/null
                told=$("$ENTER" load -i out)
                if [ $form = docker-dir ]; then
                    same "$told" "Loaded image ID: $id" $form
                    "$ENTER" tag ${id#sha256:} $image
                else
                    same "$told" "Loaded image: $image:latest" $form
                fi
                same $(id $image) $id $form
                # What docker's archives do not have is made anew.
                test $form = docker-archive || same $(offered $image) $digest $form
            done
            "$ENTER" rmi -f $image >/dev/null
        done
        # A manifest of docker's is one in skopeo's folders, and becomes OCI's, with the same blobs, in a layout.
        "$ENTER" pull -q busybox >/dev/null
        "$ENTER" save --format docker-dir -o docker busybox
        same $(raw dir:docker) $(offered busybox) docker
        "$ENTER" save --format oci-dir -o converted busybox
        blobs() { skopeo inspect --raw $1 | grep -o 'sha256:[0-9a-f]*' | xargs; }
        same "$(blobs dir:docker)" "$(blobs oci:converted)" converted
        skopeo inspect --raw oci:converted | grep -q oci.image.manifest
        "#,
    );
}

#[test]
fn what_skopeo_copies_is_taken_in_and_what_is_saved_is_copied_by_it() {
    let user = User::without_registry();
    script(
        &user,
        r#"
        for image in busybox odd awkward; do
            copy oci:$LAYOUT:$image oci:layout:some/$image:v1
            copy oci:$LAYOUT:$image oci-archive:archive.tar:$image
            copy oci:$LAYOUT:$image docker-archive:docker.tar:quay.io/me/$image:v1
            copy oci:$LAYOUT:$image dir:folder
            digest=$(raw oci:$LAYOUT:$image)
            id=sha256:$(skopeo inspect --raw oci:$LAYOUT:$image | python3 -c 'import json,sys; print(json.load(sys.stdin)["config"]["digest"][7:])')
            same $("$ENTER" pull oci:layout:some/$image:v1) docker.io/some/$image:v1 oci
            same $(offered some/$image:v1) $digest oci; same $(id some/$image:v1) $id oci
            "$ENTER" rmi some/$image:v1 >/dev/null
            same $("$ENTER" pull oci-archive:archive.tar) localhost/$image:latest oci-archive
            same $(offered localhost/$image) $digest oci-archive
            "$ENTER" rmi localhost/$image >/dev/null
            same $("$ENTER" pull dir:folder) $id dir
            same $("$ENTER" pull docker-archive:docker.tar) quay.io/me/$image:v1 docker-archive
            for form in docker-archive:docker-archive oci-archive:oci-archive oci-dir:oci docker-dir:dir; do
                rm -rf out copied
                "$ENTER" save --format ${form%%:*} -o out quay.io/me/$image:v1
                copy ${form#*:}:out oci:copied:x
                same $(skopeo inspect --config oci:copied:x | sha256sum | cut -d' ' -f1) $(skopeo inspect --config oci:$LAYOUT:$image | sha256sum | cut -d' ' -f1) $form
            done
            rm -rf docker.tar archive.tar
        done
        "$ENTER" run --rm --network none oci:$LAYOUT:busybox echo there | grep there
        "$ENTER" --network none oci:$LAYOUT:busybox -- echo inside | grep inside
        "#,
    );
}

#[test]
fn archives_are_read_as_they_are_compressed_and_from_a_pipe() {
    let user = User::without_registry();
    script(
        &user,
        r#"
        copy oci:$LAYOUT:busybox docker-archive:plain.tar:busybox:v1
        copy oci:$LAYOUT:busybox oci-archive:oci.tar:busybox:v1
        for archive in plain.tar oci.tar; do
            for program in cat gzip xz bzip2 zstd; do
                $program <$archive >packed
                "$ENTER" load -i packed | grep -qx 'Loaded image: .*busybox:v1'
                "$ENTER" rmi -af >/dev/null; "$ENTER" image prune -f >/dev/null
                cat packed | "$ENTER" load -q
                "$ENTER" images -q | grep -q .
                "$ENTER" rmi -af >/dev/null; "$ENTER" image prune -f >/dev/null
            done
        done
        "#,
    );
}

#[test]
fn podman_and_enter_take_each_other_s_images() {
    let user = User::without_registry();
    script(
        &user,
        r#"
        p() { podman --root "$HOME/root" --runroot "$HOME/run" --storage-driver overlay --events-backend file "$@" 2>>podman.log; }
        finish() { podman unshare rm -rf "$HOME/root" "$HOME/run" || :; podman system migrate || :; }
        trap finish EXIT
        store="[overlay@$HOME/root+$HOME/run]"
        # What ordinary users cannot read of it: files of other users, and of nobody's mode.
        python3 - <<'END'
import io, tarfile
with tarfile.open("files.tar", "w") as tar:
    for name, mode, uid, data in (("secret", 0o600, 33, b"s" * 5000), ("locked", 0, 0, b"l" * 100), ("dir/deep/file", 0o400, 7, b"d"), ("empty", 0, 9, b"")):
        info = tarfile.TarInfo(name); info.mode, info.uid, info.size = mode, uid, len(data)
        tar.addfile(info, io.BytesIO(data))
    info = tarfile.TarInfo("link"); info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"; tar.addfile(info)
END
        p import -q files.tar localhost/files:1 >/dev/null
        copy oci:$LAYOUT:busybox "containers-storage:${store}docker.io/library/busybox:pod"
        copy oci:$LAYOUT:sixty "containers-storage:${store}quay.io/me/sixty:1"
        for image in localhost/files:1 docker.io/library/busybox:pod quay.io/me/sixty:1; do
            id=sha256:$(p images -q --no-trunc $image | sed s/sha256://)
            same $("$ENTER" pull "containers-storage:$store$image") $image containers-storage
            same $(id $image) $id containers-storage
            same $("$ENTER" pull "containers-storage:$store@${id#sha256:}") $image "by id"
            # podman makes a new configuration where it changes between OCI's and docker's.
            for form in oci-archive oci-dir docker-archive; do
                rm -rf out ours
                "$ENTER" save --format $form -o ours $image
                "$ENTER" rmi -af >/dev/null
                p save -q --format $form -o out $image
                "$ENTER" load -q -i out
                same "$("$ENTER" images -q --no-trunc)" $id "podman save $form"
                p rmi -f $image >/dev/null
                p load -q -i ours >/dev/null
                same sha256:$(p images -q --no-trunc | grep ${id#sha256:} | head -1 | sed s/sha256://) $id "podman load $form"
                p tag ${id#sha256:} $image
                "$ENTER" tag ${id#sha256:} $image
            done
            "$ENTER" rmi -af >/dev/null; "$ENTER" image prune -f >/dev/null
        done
        if "$ENTER" pull "containers-storage:${store}nothing" 2>told; then exit 1; fi
        grep -q 'nothing:latest is not there' told && grep -q hint told
        "#,
    );
}

#[test]
fn umoci_unpacks_what_is_saved() {
    let user = User::without_registry();
    let told = script(
        &user,
        r#"
        "$ENTER" pull -q oci:$LAYOUT:busybox >/dev/null
        "$ENTER" save --format oci-dir -o layout localhost/busybox
        "$ENTER" save --format oci-dir --uncompressed -o plain localhost/busybox
        for layout in layout plain; do
            umoci tag --image $layout:localhost/busybox:latest other 2>/dev/null
            umoci unpack --rootless --image $layout:other bundle-$layout >/dev/null 2>&1
            grep -c busybox bundle-$layout/rootfs/etc/os-release
            "$ENTER" pull -q oci:$layout:other
        done
        diff -r bundle-layout/rootfs bundle-plain/rootfs
        "#,
    );
    assert_eq!(told, "1\nlocalhost/other:latest\n1\nlocalhost/other:latest\n");
}

#[test]
fn several_images_have_the_names_that_they_had() {
    let user = User::without_registry();
    make(
        &user,
        r#"
other = tar([("other", b"other\n")]); second = config(other); second_manifest = manifest(second, gzip.compress(other, mtime=0))
arm = config(LAYER, arch="arm64"); arm_manifest = manifest(arm, BLOB)
nested = index(entry(arm_manifest, platform={"os": "linux", "architecture": "arm64"}), entry(MANIFEST, platform={"os": "linux", "architecture": "amd64"}))
nested = index(entry(nested, kind="index.v1+json", platform={"os": "linux", "architecture": "amd64"}), entry(nested, kind="index.v1+json", platform={"os": "linux", "architecture": "arm64"})), nested
blobs = [LAYER, BLOB, CONFIG, MANIFEST, second, second_manifest, gzip.compress(other, mtime=0), arm, arm_manifest, *nested]
put("names.tar", layout(index(entry(MANIFEST, "v1"), entry(second_manifest, "quay.io/me/second:2"),
    {**entry(MANIFEST), "annotations": {"io.containerd.image.name": "docker.io/me/third:3", "org.opencontainers.image.ref.name": "3"}}), *blobs))
put("nested.tar", layout(index(entry(nested[0], "nested:1", kind="index.v1+json")), *blobs))
put("platforms.tar", layout(index(entry(arm_manifest, "p:1", platform={"os": "linux", "architecture": "arm64"}),
    entry(MANIFEST, "p:1", platform={"os": "linux", "architecture": "amd64"})), *blobs))
docker = [{"Config": "a.json", "RepoTags": ["one:1", "one:2"], "Layers": ["x/layer.tar"]}, {"Config": "b.json", "RepoTags": None, "Layers": ["y/layer.tar"]}]
files = [("a.json", CONFIG), ("x/layer.tar", (tarfile.SYMTYPE, "../z.tar")), ("z.tar", LAYER), ("b.json", second), ("y/layer.tar", gzip.compress(other))]
put("docker.tar", files + [("manifest.json", json.dumps(docker).encode())])
both = [{"Config": "blobs/sha256/" + sha(CONFIG), "RepoTags": ["both:1"], "Layers": ["blobs/sha256/" + sha(BLOB)]}]
put("both.tar", layout(index(entry(MANIFEST)), *blobs) + [("manifest.json", json.dumps(both).encode())])
"#,
    );
    let load = |file: &str| {
        let told = user.run(["load", "-i", file]).success();
        user.run(["rmi", "-af"]).success();
        told
    };
    assert_eq!(
        load("names.tar"),
        "Loaded image: localhost/v1:latest\nLoaded image: quay.io/me/second:2\nLoaded image: me/third:3\n"
    );
    let told = load("docker.tar");
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[..2] == ["Loaded image: one:1", "Loaded image: one:2"]
            && lines[2].starts_with("Loaded image ID: sha256:"),
        "{told}"
    );
    assert_eq!(load("both.tar"), "Loaded image: both:1\n");
    for file in ["nested.tar", "platforms.tar"] {
        for platform in ["linux/arm64", "linux/amd64"] {
            user.run(["load", "-q", "-i", file, "--platform", platform]).success();
            let found = user.run(
                ["inspect", "--type", "image", "--format", "{{.Architecture}}"]
                    .into_iter()
                    .chain([user.run(["images", "-q"]).success().trim()]),
            );
            assert_eq!(format!("linux/{}", found.success().trim()), platform);
            user.run(["rmi", "-af"]).success();
        }
        user.run(["load", "-i", file, "--platform", "linux/riscv64"]).unable(&["linux/riscv64"]);
    }
    assert_eq!(user.run(["pull", "docker-archive:docker.tar:one:2"]).success(), "docker.io/library/one:2\n");
    assert!(user.run(["pull", "docker-archive:docker.tar:@1"]).success().starts_with("sha256:"));
    assert_eq!(user.run(["pull", "oci-archive:names.tar:quay.io/me/second:2"]).success(), "quay.io/me/second:2\n");
    user.run(["run", "--rm", "docker-archive:docker.tar", "true"]).refused(&["2 images", "@1"]);
    user.run(["pull", "oci-archive:names.tar:none"]).refused(&["none", "quay.io/me/second:2"]);
    user.run(["pull", "docker-archive:docker.tar:@7"]).refused(&["none at 7"]);
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let user = User::without_registry();
    make(
        &user,
        r#"
put("no-tar", b"hello" * 1000)
put("empty", b"")
put("zeros", bytes(100000))
put("nothing", [("some/file", b"x")])
put("cut", tar(layout(index(entry(MANIFEST, "a:1")), CONFIG, MANIFEST, BLOB + bytes(50000)))[:-30000])
put("no-blob", layout(index(entry(MANIFEST, "a:1")), CONFIG, MANIFEST))
put("no-manifest", layout(index(entry(MANIFEST, "a:1")), CONFIG, BLOB))
put("wrong-blob", layout(index(entry(MANIFEST, "a:1")), CONFIG, MANIFEST) + [("blobs/sha256/" + sha(BLOB), BLOB[:-1] + b"x")])
put("wrong-manifest", layout(index(entry(MANIFEST, "a:1")), CONFIG, BLOB) + [("blobs/sha256/" + sha(MANIFEST), MANIFEST + b" ")])
lie = config(b"another layer"); put("wrong-layer", layout(index(entry(manifest(lie, BLOB), "a:1")), lie, BLOB, manifest(lie, BLOB)))
put("huge-index", [("oci-layout", b"{}"), ("index.json", b"[" * (5 << 20))])
put("deep-index", [("oci-layout", b"{}"), ("index.json", b"[" * 100000)])
put("many", layout(index(*[entry(MANIFEST, "a:%d" % n) for n in range(5000)]), CONFIG, BLOB, MANIFEST))
put("bad-name", layout(index({**entry(MANIFEST), "annotations": {"io.containerd.image.name": "A B\x1b[31m"}}), CONFIG, BLOB, MANIFEST))
loop = []; blob = MANIFEST
for _ in range(6):
    blob = index(entry(blob, kind="index.v1+json" if loop else "manifest.v1+json", platform={"os": "linux", "architecture": "amd64"})); loop.append(blob)
put("deep", layout(index(entry(blob, "a:1", kind="index.v1+json")), CONFIG, BLOB, MANIFEST, *loop))
def docker(layers, files, config="c.json"): return [("manifest.json", json.dumps([{"Config": config, "RepoTags": ["a:1"], "Layers": layers}]).encode()), ("c.json", CONFIG)] + files
put("out", docker(["l.tar"], [("l.tar", (tarfile.SYMTYPE, "/etc/passwd"))]))
put("dots", docker(["../../../../../../etc/passwd"], []))
put("config-out", docker(["l.tar"], [("l.tar", LAYER)], "../../etc/passwd"))
put("round", docker(["l.tar"], [("l.tar", (tarfile.SYMTYPE, "m.tar")), ("m.tar", (tarfile.SYMTYPE, "l.tar"))]))
put("count", docker(["l.tar", "l.tar"], [("l.tar", LAYER)]))
put("fifo", docker(["l.tar"], [("l.tar", (tarfile.FIFOTYPE, ""))]))
put("twice", docker(["l.tar"], [("l.tar", LAYER), ("l.tar", tar([("evil", b"x")]))]))
put("old", [("repositories", b"{}"), ("0/layer.tar", LAYER)])
put("entries", [("f%d" % n, b"") for n in range(100001)])
sparse = tarfile.TarInfo("l.tar"); sparse.size = 0
os.makedirs("folder/blobs/sha256")
open("folder/oci-layout", "w").write("{}"); os.mkfifo("folder/index.json")
os.makedirs("linked/blobs/sha256"); open("linked/oci-layout", "w").write("{}"); os.symlink("/etc/passwd", "linked/index.json")
bomb = gzip.compress(bytes(50 << 20)); put("bomb", gzip.compress(tar(docker(["l.tar"], [("l.tar", bomb)]))))
xz = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0\x21\x01\x28"; put("memory", xz + bytes(100))
"#,
    );
    for (file, reason) in [
        ("no-tar", "no tar"),
        ("empty", "empty"),
        ("zeros", "no tar"),
        ("nothing", "manifest.json"),
        ("cut", "ends"),
        ("no-blob", "is not in it"),
        ("no-manifest", "is not in it"),
        ("wrong-blob", "digest"),
        ("wrong-manifest", "bytes long"),
        ("wrong-layer", "digest"),
        ("huge-index", "bytes long"),
        ("deep-index", "cannot be understood"),
        ("many", "5000 images"),
        ("bad-name", "not an image name"),
        ("deep", "too deep"),
        ("out", "is not in it"),
        ("dots", "is not in it"),
        ("config-out", "is not in it"),
        ("round", "too many links"),
        ("count", "2"),
        ("fifo", "is not in it"),
        ("twice", "digest"),
        ("old", "1.10"),
        ("entries", "100000 entries"),
        ("folder", "neither"),
        ("linked", "neither"),
        ("bomb", "digest"),
        ("memory", "archive"),
        ("missing", "No such file"),
    ] {
        let refused = user.run(["load", "-i", file]);
        assert!(refused.code() == Some(1) && refused.stdout.is_empty(), "{file}: {refused:?}");
        assert!(refused.stderr.contains(reason) && !refused.stderr.contains('\x1b'), "{file}: {}", refused.stderr);
        assert_eq!(user.run(["images", "-aq"]).success(), "", "{file}");
    }
    let layers = std::fs::read_dir(user.store().join("layers")).map_or(0, Iterator::count);
    assert_eq!(layers, 0, "something was left");
}

#[test]
fn what_is_written_is_whole_or_is_not_there() {
    let user = User::without_registry();
    script(
        &user,
        r#"
        "$ENTER" pull -q oci:$LAYOUT:busybox >/dev/null
        fails() { if "$@" 2>told; then echo "no failure: $*" >&2; exit 1; else test $? = 1; fi; grep -q "^hint:" told || cat told; }
        mkdir out folder other; echo kept >other/file; echo before >file; ln -s file link
        (cd out; for form in docker-archive oci-archive; do fails "$ENTER" save --format $form -o ../folder localhost/busybox; done)
        fails "$ENTER" save --format oci-dir -o other localhost/busybox
        fails "$ENTER" save --format docker-dir -o other localhost/busybox
        fails "$ENTER" save --format docker-dir localhost/busybox
        fails "$ENTER" save --format docker-archive --compress -o x localhost/busybox
        fails "$ENTER" save -o no/such/file localhost/busybox
        test "$(ls other)" = file; test ! -e x
        # A disk that is full, and a limit on files.
        fails "$ENTER" save -o /dev/full localhost/busybox
        for form in docker-archive oci-archive oci-dir docker-dir; do
            fails bash -c 'trap "" XFSZ; ulimit -f 100; exec "$0" save --format "$1" --uncompressed -o limited localhost/busybox' "$ENTER" $form
            test ! -e limited; test -z "$(ls -A | grep '^\.\(enter\|new\)' || :)"
        done
        "$ENTER" save -o link localhost/busybox; test -L link; tar tf file >/dev/null
        # Two images in one layout, and one in the place of another.
        "$ENTER" save --format oci-dir -o layout localhost/busybox
        "$ENTER" pull -q oci:$LAYOUT:odd >/dev/null
        "$ENTER" save --format oci-dir -o layout localhost/odd; "$ENTER" save --format oci-dir -o layout localhost/odd
        test "$(umoci ls --layout layout | sort | xargs)" = "localhost/busybox:latest localhost/odd:latest"
        "$ENTER" save --format docker-dir -o one localhost/busybox; "$ENTER" save --format docker-dir -o one localhost/odd
        same $(raw dir:one) $(raw oci:$LAYOUT:odd) replaced
        same $(ls one | wc -l) $(($(ls one | wc -l))) files
        # A push to a place is a save by another name.
        "$ENTER" push -q localhost/odd oci:pushed:v9; "$ENTER" push localhost/odd dir:pushed-dir --digestfile digest | grep -q 'dir:pushed-dir: digest: sha256:'
        "$ENTER" push -q odd oci-archive:pushed.tar; "$ENTER" push -q odd docker-archive:pushed.docker:me/odd:3
        for place in oci:pushed:v9 dir:pushed-dir oci-archive:pushed.tar; do same $(raw $place) $(raw oci:$LAYOUT:odd) $place; done
        same $(cat digest) sha256:$(raw oci:$LAYOUT:odd) digestfile
        tar xOf pushed.docker manifest.json | grep -q '"me/odd:3"'
        fails125() { if "$@" 2>told; then exit 1; else test $? = 125; fi; grep -q "^hint:" told; }
        fails125 "$ENTER" push odd dir:other --format docker
        fails125 "$ENTER" push odd docker-daemon:odd:1
        fails125 "$ENTER" push odd containers-storage:odd
        fails125 "$ENTER" push odd dir:other
        # Compressed anew, always to the same bytes.
        copy oci:$LAYOUT:busybox docker-archive:d.tar:plain:1; "$ENTER" rmi -af >/dev/null; "$ENTER" image prune -f >/dev/null; "$ENTER" load -q -i d.tar
        "$ENTER" save --format oci-archive --compress -o c1 plain:1; "$ENTER" save --format oci-archive --compress -o c2 plain:1; cmp c1 c2
        skopeo inspect --raw oci-archive:c1 | grep -q 'tar+gzip'
        "$ENTER" save plain:1 | "$ENTER" load | grep -qx 'Loaded image: plain:1'
        "#,
    );
}

#[test]
fn a_policy_refuses_what_lies_in_files_too() {
    let user = User::without_registry();
    script(
        &user,
        r#"
        mkdir -p "$XDG_CONFIG_HOME/containers"
        echo '{"default":[{"type":"reject"}],"transports":{"oci":{"":[{"type":"insecureAcceptAnything"}]}}}' >"$XDG_CONFIG_HOME/containers/policy.json"
        copy oci:$LAYOUT:busybox oci-archive:a.tar:x
        "$ENTER" pull -q oci:$LAYOUT:busybox >/dev/null
        "$ENTER" rmi -af >/dev/null
        for try in "pull oci-archive:a.tar" "load -i a.tar" "pull docker-archive:a.tar" "pull containers-storage:x"; do
            if "$ENTER" $try 2>told; then exit 1; fi
            grep -q policy.json told
        done
        if "$ENTER" load <a.tar 2>told; then exit 1; fi
        grep -q policy.json told
        "#,
    );
}

#[test]
fn what_an_image_may_take_is_a_setting() {
    let user = User::without_registry();
    script(
        &user,
        r#"
        refused() { if "$@" 2>told; then echo "not refused: $*" >&2; exit 1; fi; grep -q "^hint: .*the setting $setting" told; }
        skopeo --insecure-policy copy -q oci:$LAYOUT:busybox docker-archive:docker.tar:busybox:v1
        for from in oci:$LAYOUT:busybox docker-archive:docker.tar; do
            setting=max-layer-size; ENTER_MAX_LAYER_SIZE=100KB refused "$ENTER" pull $from
            setting=max-list-memory; ENTER_MAX_LIST_MEMORY=1KB refused "$ENTER" pull $from
            test -z "$("$ENTER" images -aq)"
            ENTER_MAX_LAYER_SIZE=1GB ENTER_MAX_LIST_MEMORY=10MB "$ENTER" pull -q $from
            # What is here is here, whatever is allowed from now on.
            ENTER_MAX_LAYER_SIZE=100KB ENTER_MAX_LIST_MEMORY=1KB "$ENTER" verify 2>/dev/null
            "$ENTER" rmi -af >/dev/null; "$ENTER" image prune -f >/dev/null
        done
        "#,
    );
}
