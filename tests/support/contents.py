"""Layers with a table of contents, from a tar: eStargz (stargz-snapshotter, docs/estargz.md) and zstd:chunked (containers/storage).

Used by images.py and by the benchmarks. Small and slow; what matters is that the form is right.
"""

import base64
import ctypes
import ctypes.util
import gzip
import hashlib
import io
import json
import struct
import tarfile
import time
import zlib

CHUNK = 4 << 20
KINDS = {tarfile.REGTYPE: "reg", tarfile.AREGTYPE: "reg", tarfile.CONTTYPE: "reg", tarfile.LNKTYPE: "hardlink", tarfile.SYMTYPE: "symlink",
         tarfile.DIRTYPE: "dir", tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block"}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entries(tar):
    """(TOC entry, headers, content, padding) of each entry of a tar's bytes."""
    end = 0
    with tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as archive:
        for member in archive:
            size = member.size if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE) else 0
            stop = member.offset_data + size + -size % 512
            entry = {"name": member.name + ("/" if member.isdir() else ""), "type": KINDS[member.type], "mode": member.mode,
                     "uid": member.uid, "gid": member.gid,
                     "modtime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(member.mtime)))}
            if size:
                entry["size"] = size
            if member.linkname:
                entry["linkName"] = member.linkname
            if member.ischr() or member.isblk():
                entry["devMajor"], entry["devMinor"] = member.devmajor, member.devminor
            prefix = "SCHILY.xattr."
            xattrs = {key[len(prefix):]: base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
                      for key, value in member.pax_headers.items() if key.startswith(prefix)}
            if xattrs:
                entry["xattrs"] = xattrs
            yield entry, tar[end:member.offset_data], tar[member.offset_data:member.offset_data + size], tar[member.offset_data + size:stop]
            end = stop


def pieces(entry, content, place):
    """The TOC entries of a file, whose pieces `place` has put somewhere."""
    entry["digest"] = digest(content)
    made = []
    for at in range(0, len(content), CHUNK):
        piece = content[at:at + CHUNK]
        more = {"offset": place(piece), "chunkDigest": digest(piece)}
        if at:
            more["chunkOffset"] = at
        if at + len(piece) < len(content):
            more["chunkSize"] = len(piece)
        made.append({**entry, **more} if not at else {"name": entry["name"], "type": "chunk", **more})
    return made


def estargz(tar, level=6):
    """(blob, what it uncompresses to, annotations)."""
    blob, plain, toc, waiting = bytearray(), [], [], bytearray()

    def member(data):
        plain.append(bytes(data))
        blob.extend(gzip.compress(bytes(data), level, mtime=0))

    def place(piece):
        # What is not content goes into the member in front of the next content.
        if waiting:
            member(waiting)
            waiting.clear()
        offset = len(blob)
        member(piece)
        return offset

    for entry, headers, content, padding in entries(tar):
        waiting.extend(headers)
        toc.extend(pieces(entry, content, place) if content else [entry])
        waiting.extend(padding)
    if waiting:
        member(waiting)
    table = json.dumps({"version": 1, "entries": toc}).encode()
    info = tarfile.TarInfo("stargz.index.json")
    info.size = len(table)
    offset = len(blob)
    member(info.tobuf(tarfile.PAX_FORMAT) + table + b"\0" * (-len(table) % 512) + b"\0" * 1024)
    extra = b"SG" + struct.pack("<H", 22) + b"%016xSTARGZ" % offset
    footer = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra + b"\x01\0\0\xff\xff" + b"\0" * 8
    assert len(footer) == 51 and zlib.decompress(footer, 31) == b""
    blob.extend(footer)
    return bytes(blob), b"".join(plain), {"containerd.io/snapshot/stargz/toc.digest": digest(table)}


def zstd(data, level=3):
    library = ctypes.CDLL(ctypes.util.find_library("zstd"))
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    room = ctypes.create_string_buffer(library.ZSTD_compressBound(ctypes.c_size_t(len(data))))
    length = library.ZSTD_compress(room, ctypes.c_size_t(len(room)), data, ctypes.c_size_t(len(data)), level)
    return room.raw[:length]


def skippable(data):
    return b"\x50\x2a\x4d\x18" + struct.pack("<I", len(data)) + data


def chunked(tar, level=3):
    """(blob, what it uncompresses to, annotations)."""
    blob, toc, waiting = bytearray(), [], bytearray()

    def flush():
        if waiting:
            blob.extend(zstd(bytes(waiting), level))
            waiting.clear()

    def place(piece):
        flush()
        offset = len(blob)
        blob.extend(zstd(piece, level))
        return offset

    used = 0
    for entry, headers, content, padding in entries(tar):
        waiting.extend(headers)
        made = pieces(entry, content, place) if content else [entry]
        if content:
            made[0]["endOffset"] = len(blob)
        toc.extend(made)
        waiting.extend(padding)
        used += len(headers) + len(content) + len(padding)
    waiting.extend(tar[used:])
    flush()
    plain = json.dumps({"version": 1, "entries": toc}).encode()
    table = zstd(plain, level)
    offset = len(blob) + 8
    blob.extend(skippable(table))
    footer = struct.pack("<QQQQQQQ", offset, len(table), len(plain), 1, 0, 0, 0) + b"GNUlInUx"
    blob.extend(skippable(footer))
    prefix = "io.github.containers.zstd-chunked."
    return bytes(blob), tar, {prefix + "manifest-checksum": digest(table),
                              prefix + "manifest-position": f"{offset}:{len(table)}:{len(plain)}:1"}
