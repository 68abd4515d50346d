#!/bin/sh
# Checks that each crate which goes into enter has a licence that allows it to be distributed under MIT OR Apache-2.0.
# Reads what `cargo tree` knows; asks no network. Called by .ci/run.
set -eu
cd "$(dirname "$0")/.."

allowed='MIT bzip2-1.0.6 Apache-2.0 BSD-2-Clause BSD-3-Clause ISC Zlib Unicode-3.0 CDLA-Permissive-2.0 Unlicense CC0-1.0'

# An expression is met when each of its AND parts offers an allowed licence; "/" is an old spelling of OR.
cargo tree --workspace --locked --edges normal,build --prefix none --format '{p}|{l}' | sort -u |
    awk -F'|' -v allowed="$allowed" '
        BEGIN { count = split(allowed, names, " "); for (i = 1; i <= count; i++) ok[names[i]] = 1 }
        NF < 2 { next }
        {
            crates++
            expression = $2
            sub(/ *\(\*\)$/, "", expression)
            gsub(/ *\/ */, " OR ", expression)
            parts = split(expression, part, " AND ")
            for (i = 1; i <= parts; i++) {
                gsub(/[()]/, "", part[i])
                met = 0
                choices = split(part[i], choice, " OR ")
                for (j = 1; j <= choices; j++) if (choice[j] in ok) met = 1
                if (!met) { print "licence not on the list: " $1 ": " $2; bad = 1; break }
            }
        }
        END {
            if (!crates) { print "cargo tree named no crates"; exit 1 }
            if (!bad) print crates " crates, all under licences on the list"
            exit bad
        }'
