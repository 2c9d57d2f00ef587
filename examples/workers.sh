#!/bin/sh
# Several workers of plain shell learn the tasks of one bank: each takes what no other has claimed.
# The same command may be started by anything, on any machine that shares the folder, at any time;
# a worker that dies is started again, and goes on where the dead one stopped.
#   WORKERS=8 sh workers.sh FOLDER
set -eu
work=${1:-$(mktemp -d)}
workers=${WORKERS:-2}
bank=$work/bank
data=${DATA:-mnist-perm-0..7}
steps=${STEPS:-300}
most_starts=${MOST_STARTS:-20}
mkdir -p "$work"

supsup init-base --bank "$bank" --arch "${ARCH:-lenet-300-100}"

# One thread each: workers that all use all cores wait for each other.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

worker() {
    starts=0
    while [ "$starts" -lt "$most_starts" ]; do
        starts=$((starts + 1))
        code=0
        supsup learn-task --bank "$bank" --data "$data" --steps "$steps" --quiet \
            >>"$work/worker-$1.log" 2>&1 || code=$?
        case $code in
        0) return 0 ;;          # everything is learned
        11) sleep 1 ;;          # what is left is being learned by others: look again
        2 | 5 | 10 | 12 | 13)   # nothing that starting again would mend
            tail -n 3 "$work/worker-$1.log" >&2
            return "$code" ;;
        *) echo "worker $1 ended with $code, start $starts" >&2 ;;
        esac
    done
    return 1
}

number=1
pids=
while [ "$number" -le "$workers" ]; do
    worker "$number" &
    pids="$pids $!"
    number=$((number + 1))
done
failed=0
for pid in $pids; do
    wait "$pid" || failed=1
done

supsup verify --bank "$bank"
supsup stats --bank "$bank"
exit "$failed"
