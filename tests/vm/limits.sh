#!/bin/sh
# Tries the limits of control groups where a systemd gives the user some: by hand, in a virtual machine (tests/vm/make.sh) or on a laptop.
#
#   tests/vm/limits.sh ENTER IMAGE      IMAGE has a shell and head(1), such as busybox
set -eu
enter=$1 image=$2
failed=0

expect() { # WHAT EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "good  $1"; else
        echo "BAD   $1: expected '$2', found '$3'"
        failed=1
    fi
}
group() { "$enter" exec limited cat "/sys/fs/cgroup/$1"; }

trap '"$enter" rm -f limited killed again >/dev/null 2>&1 || :' EXIT
"$enter" run -d --name limited -m 32m --pids-limit 10 --cpus 0.5 "$image" sleep 1000 >/dev/null
expect "memory" 33554432 "$(group memory.max)"
expect "swap, as much again" 33554432 "$(group memory.swap.max)"
expect "processes" 10 "$(group pids.max)"
expect "processors" "50000 100000" "$(group cpu.max)"
expect "nothing above is seen" "0::/" "$(group ../../../proc/self/cgroup)"
expect "the limit of memory in stats" "32MiB" "$("$enter" stats --no-stream --format '{{.MemUsage}}' limited | sed 's/.*\/ //')"
"$enter" update -m 48m --pids-limit -1 limited >/dev/null
expect "changed memory" 50331648 "$(group memory.max)"
expect "any number of processes" max "$(group pids.max)"
"$enter" stop -t 0 limited >/dev/null
"$enter" start limited >/dev/null
expect "memory after another start" 50331648 "$(group memory.max)"

code=0
# shellcheck disable=SC2016 # for the shell inside
"$enter" run --name killed -m 20m --memory-swap 20m "$image" sh -c 'x=$(head -c 200000000 /dev/zero | tr "\0" x); echo ${#x}' >/dev/null || code=$?
expect "who takes more is killed" 137 "$code"
expect "and it is told why" true "$("$enter" inspect killed --format '{{.State.OOMKilled}}')"

"$enter" run -d --name again --restart on-failure:2 -m 20m "$image" sh -c 'sleep 0.2; exit 1' >/dev/null
"$enter" wait again >/dev/null
sleep 3
expect "restarts with a limit" 2 "$("$enter" inspect again --format '{{.RestartCount}}')"
"$enter" rm -f limited killed again >/dev/null
sleep 1
expect "scopes that are left" 0 "$(systemctl --user list-units --all --no-legend 'enter-*' | wc -l)"
exit "$failed"
