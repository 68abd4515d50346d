//! Layers that tools seldom write, from one place to the next: every way keeps their digests.

use crate::support::User;
use crate::support::user::finish;

/// Writes an OCI layout of such images, each of one oddity, and prints their names.
const MAKE: &str = r#"
import gzip, hashlib, io, json, os, tarfile
os.makedirs("odd/blobs/sha256")
named = []
def blob(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    with open("odd/blobs/sha256/" + digest, "wb") as file: file.write(data)
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest, "size": len(data)}
def tar(*entries, end=1024):
    out = io.BytesIO()
    for name, change in entries:
        info = tarfile.TarInfo(os.fsdecode(name)); info.mode = 0o644
        for key, value in change.items(): setattr(info, key, value)
        out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    return out.getvalue() + bytes(end)
def packed(data): return gzip.compress(data, mtime=0)
def image(name, layers, dump=json.dumps, **more):
    config = {"architecture": "amd64", "os": "linux", "config": {"Labels": {"a": "\u2603"}}, "rootfs": {"type": "layers",
        "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer, _ in layers]}, "unknown": [1, 2.50]}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": blob(dump(config).encode(), "config.v1+json"),
        "layers": [blob(data, "layer.v1.tar+gzip") for _, data in layers], **more}
    named.append({**blob(dump(manifest).encode(), "manifest.v1+json"), "annotations": {"org.opencontainers.image.ref.name": name}})
def one(name, layer): image(name, [(layer, packed(layer))])
plain, empty = tar(("hello", {})), bytes(1024)
pair = lambda layer: (layer, packed(layer))
image("empty", [pair(empty), pair(plain), pair(b"")])
image("repeated", [pair(plain), pair(empty), pair(plain), pair(empty), pair(plain)])
image("none", [])
image("members", [(plain, packed(plain[:700]) + packed(plain[700:]))])
image("spaces", [pair(plain)], dump=lambda value: json.dumps(value, indent=7) + "\n\n")
image("annotated", [pair(plain)], annotations={"title": "t"}, more=1)
one("endless", tar(("hello", {}), end=0))
one("padded", tar(("hello", {}), end=50 << 10))
one("followed", plain + b"what is behind the end" * 100)
one("owners", tar(("a", {"uid": 4294967294, "gid": 4294967294}), ("b", {"uid": 3000000000})))
one("devices", tar(("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}), ("disk", {"type": tarfile.BLKTYPE, "devmajor": 8}),
    ("pipe", {"type": tarfile.FIFOTYPE})))
one("modes", tar(("suid", {"mode": 0o4755}), ("all", {"mode": 0o7777}), ("link", {"type": tarfile.SYMTYPE, "linkname": "x", "mode": 0o644})))
one("names", tar(*[(name, {}) for name in (b"a\nb", b"\xff\xfe", b"n" * 255, b"\x1b[31m", b"-rf", b"*", b"A", b"a")]))
one("attributes", tar(("lines", {"pax_headers": {"SCHILY.xattr.user.lines": "a\n19 path=etc/shadow\n"}}), ("plain", {})))
one("links", tar(("first", {}), *[("l%d" % n, {"type": tarfile.LNKTYPE, "linkname": "first"}) for n in range(2000)]))
json.dump({"schemaVersion": 2, "manifests": named}, open("odd/index.json", "w"))
open("odd/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
print(*[entry["annotations"]["org.opencontainers.image.ref.name"] for entry in named])
"#;

#[test]
fn odd_layers_keep_their_digests_on_every_way() {
    let user = User::without_registry();
    let mut make = user.command("python3");
    make.args(["-c", MAKE]);
    let names = finish(make, b"").success();
    assert_eq!(names.split_whitespace().count(), 15);
    let mut script = user.command("bash");
    script.args([
        "-euo",
        "pipefail",
        "-c",
        r#"
        raw() { skopeo inspect --raw "$1" | sha256sum | cut -d' ' -f1; }
        same() { test "$1" = "$2" || { echo "not the same, $3: $1 and $2" >&2; exit 1; }; }
        for name in $NAMES; do
            digest=$(raw oci:odd:$name)
            "$ENTER" pull -q oci:odd:$name >/dev/null
            image=localhost/$name
            id=$("$ENTER" image inspect -f '{{.Id}}' $image)
            for form in oci-archive:oci-archive oci-dir:oci docker-dir:dir docker-archive:; do
                rm -rf out
                "$ENTER" save --format ${form%%:*} -o out $image
                test -z "${form#*:}" || same $(raw ${form#*:}:out) $digest "$name as ${form%%:*}"
                XDG_DATA_HOME=$PWD/other "$ENTER" load -q -i out
                same "$(XDG_DATA_HOME=$PWD/other "$ENTER" images -q --no-trunc)" $id "$name by ${form%%:*}"
                XDG_DATA_HOME=$PWD/other "$ENTER" verify 2>/dev/null
                XDG_DATA_HOME=$PWD/other "$ENTER" rmi -af >/dev/null
            done
            # What is compressed for an archive is what a push would send: the same each time.
            rm -rf one two
            "$ENTER" save --format docker-archive -o plain.tar $image
            for out in one two; do
                XDG_DATA_HOME=$PWD/$out.data "$ENTER" load -q -i plain.tar
                XDG_DATA_HOME=$PWD/$out.data "$ENTER" save --format oci-dir --compress -o $out $image
            done
            same $(raw oci:one) $(raw oci:two) "$name compressed"
            skopeo --insecure-policy copy -q oci:odd:$name docker-archive:$name.tar
            XDG_DATA_HOME=$PWD/other "$ENTER" pull -q docker-archive:$name.tar >/dev/null
            XDG_DATA_HOME=$PWD/other "$ENTER" rmi -af >/dev/null
        done
        "#,
    ]);
    script.env("ENTER", crate::support::user::ENTER).env("NAMES", names.trim());
    finish(script, b"").success();
}

#[test]
fn a_committed_file_with_holes_is_podman_s_to_take_and_to_give_on() {
    let user = User::without_registry();
    let mut script = user.command("bash");
    script.args([
        "-euo",
        "pipefail",
        "-c",
        r#"
        same() { test "$1" = "$2" || { echo "not the same, $3: $1 and $2" >&2; exit 1; }; }
        finish() { podman unshare rm -rf "$HOME/root" "$HOME/run" || :; podman system migrate || :; }
        trap finish EXIT
        layout() { skopeo inspect --config "$1" | grep -o 'sha256:[0-9a-f]*' | xargs; }
        # One file whose holes are written, and, only in the second image, one whose holes would fill a disk.
        "$ENTER" run --name c --network none oci:$LAYOUT:busybox sh -ec '
            dd if=/dev/zero of=/few bs=1 count=1 seek=20M; echo end >>/few; md5sum /few >/sum' 2>/dev/null
        "$ENTER" commit -q c few >/dev/null
        "$ENTER" push -q few oci:few:1 >/dev/null
        store="containers-storage:[overlay@$HOME/root+$HOME/run]few:1"
        skopeo --insecure-policy copy -q oci:few:1 "$store"
        skopeo --insecure-policy copy -q "$store" oci:again:1
        same "$(layout oci:again:1)" "$(layout oci:few:1)" layers
        "$ENTER" run --rm --network none few md5sum -c /sum
        "$ENTER" run --name d --network none few sh -ec 'truncate -s 5G /much; echo middle >>/much; truncate -s 9G /much'
        "$ENTER" commit -q d much >/dev/null
        "$ENTER" push -q much oci:much:1 >/dev/null
        "$ENTER" run --rm --network none much sh -ec 'stat -c %s /much; dd if=/much bs=1M skip=5120 count=1 2>/dev/null | head -c 7; md5sum -c /sum'
        layer=$(skopeo inspect --raw oci:much:1 | grep -o 'sha256:[0-9a-f]*' | tail -n 1)
        python3 -c '
import sys, tarfile
for member in tarfile.open(sys.argv[1]):
    assert member.type in (tarfile.REGTYPE, tarfile.DIRTYPE), (member.name, member.type)
    if member.name == "much": print(member.name, member.size, member.issparse())' much/blobs/sha256/${layer#*:}
        "#,
    ]);
    script.env("ENTER", crate::support::user::ENTER).env("LAYOUT", &crate::support::hub().layout);
    let told = finish(script, b"").success();
    assert_eq!(told, "/few: OK\n9663676416\nmiddle\n/few: OK\nmuch 9663676416 True\n");
}
