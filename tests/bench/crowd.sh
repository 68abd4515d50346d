#!/bin/sh
# Many containers on one network, each of which asks for every other one by name, while others come and go and the holder is killed.
#
#   tests/bench/crowd.sh ENTER IMAGE [COUNT [SECONDS [AT_ONCE [KILLS]]]]
#
# ENTER is the program, IMAGE one that has sh, nc and sleep (busybox). The network `crowd` and all containers whose name begins with
# `crowd-` are this script's own. The last line says how many of the connections failed; the exit code is 0 where none has.
set -eu
enter=$1 image=$2 count=${3:-50} seconds=${4:-60} at_once=${5:-10} kills=${6:-3}
lock=${XDG_DATA_HOME:-$HOME/.local/share}/enter/v1/networks/.holder/lock
work=$(mktemp -d)
trap 'rm -rf "$work"; $enter ps -aq --filter name=crowd- | xargs -r "$enter" rm -f >/dev/null 2>&1 || :; $enter network rm -f crowd >/dev/null 2>&1 || :' EXIT

$enter network create crowd >/dev/null
# It answers with its own name.
# shellcheck disable=SC2016 # the container's shell expands it
serve='while :; do echo "$NAME" | nc -l -p 7 >/dev/null; done'
for number in $(seq "$count"); do
    $enter run -d --name "crowd-$number" -e "NAME=crowd-$number" --network crowd "$image" sh -c "$serve" >/dev/null &
    [ $((number % at_once)) -ne 0 ] || wait
done
wait
echo "$($enter ps -q --filter name=crowd- | wc -l) containers run"

# Each asks all others, one after the other, as long as there is time. A server that is between two connections refuses: asked again.
# shellcheck disable=SC2016
ask='end=$(($(date +%s) + SECONDS_LEFT)); asked=0; failed=0; unknown=0
while [ "$(date +%s)" -lt "$end" ]; do
    other=$((asked % COUNT + 1)); asked=$((asked + 1)); said=; tries=0
    while [ "$said" != "crowd-$other" ] && [ $tries -lt 200 ]; do
        said=$(nc -w 5 "crowd-$other" 7 </dev/null 2>&1); tries=$((tries + 1))
        case $said in *bad*address*) unknown=$((unknown + 1)); break ;; esac
        [ "$said" = "crowd-$other" ] || sleep 0.0$((tries % 9 + 1))
    done
    [ "$said" = "crowd-$other" ] || failed=$((failed + 1))
done
echo "$asked $failed $unknown"'
for number in $(seq "$count"); do
    $enter exec -e "COUNT=$count" -e "SECONDS_LEFT=$seconds" "crowd-$number" sh -c "$ask" >"$work/$number" &
done
# Meanwhile others come and go, and the holder is killed three times.
kill_holder() {
    for process in $(pgrep -u "$(id -u)" -x enter-network); do
        # The one of these networks, and not of another data folder's.
        for descriptor in "/proc/$process/fd/"*; do
            if [ "$(readlink "$descriptor")" = "$lock" ]; then
                kill -KILL "$process" && echo "the holder is killed"
                return
            fi
        done
    done
}
turn=0 killed=0 begun=$(date +%s)
while [ "$turn" -lt "$seconds" ]; do
    for number in $(seq "$at_once"); do
        $enter run --rm --name "crowd-visitor-$turn-$number" --network crowd "$image" true >>"$work/visitors" 2>&1 || echo failed >>"$work/visitors" &
        visits="${visits:-} $!"
    done
    if [ "$killed" -lt "$kills" ] && [ "$turn" -ge $((seconds * (killed + 1) / (kills + 1))) ]; then
        kill_holder
        killed=$((killed + 1))
    fi
    sleep 1
    turn=$((turn + 1))
done
# shellcheck disable=SC2086 # one word for each process
wait ${visits:-}
echo "$((turn * at_once)) visitors in $(($(date +%s) - begun)) seconds"
wait
cat "$work"/[0-9]* | awk '{ asked += $1; failed += $2; unknown += $3 } END { print asked " connections by name, " unknown " names not found" ; print failed > "'"$work"'/failed" }'
visitors=$(grep -c . "$work/visitors" || :)
[ "$visitors" -eq 0 ] || sort "$work/visitors" | uniq -c | head -5
echo "failed: $(cat "$work/failed") connections, $visitors lines of complaints from visitors"
[ "$(cat "$work/failed")" -eq 0 ] && [ "$visitors" -eq 0 ]
