#!/bin/sh
# A hundred times commit, run, commit: how long the first and the last ten take, and how large the store is then.
#
# usage: benches/commits.sh [IMAGE] [ROUNDS]; ENTER names the program. Everything is in a folder of its own, which goes at the end.
set -eu

enter=${ENTER:-enter}
image=${1:-debian}
rounds=${2:-100}

folder=$(mktemp -d "${TMPDIR:-/var/tmp}/enter-commits.XXXXXX")
export XDG_DATA_HOME="$folder"
trap '"$enter" rm -f -a >/dev/null 2>&1 || :; rm -rf "$folder"' EXIT

now() { date +%s%N; }
size() { du -sk "$folder/enter/v1/layers" "$folder/enter/v1/images" | awk '{ sum += $1 } END { print sum }'; }

"$enter" pull -q "$image" >/dev/null
"$enter" tag "$image" chain:0
before=$(size)
printf 'round\trun (ms)\tcommit (ms)\n'
number=0
run_sum=0 commit_sum=0
while [ "$number" -lt "$rounds" ]; do
    next=$((number + 1))
    start=$(now)
    "$enter" run --name "c$next" --network none "chain:$number" sh -c "echo $next >>/number"
    middle=$(now)
    "$enter" commit -q "c$next" "chain:$next" >/dev/null
    end=$(now)
    "$enter" rm "c$next" >/dev/null
    run_sum=$((run_sum + middle - start))
    commit_sum=$((commit_sum + end - middle))
    number=$next
    if [ $((number % 10)) -eq 0 ]; then
        printf '%s\t%s\t%s\n' "$number" $((run_sum / 10000000)) $((commit_sum / 10000000))
        run_sum=0 commit_sum=0
    fi
done
printf 'the store grew by %s kB\n' $(($(size) - before))
