#!/bin/sh
# A stream without labels of tasks (NNs): nobody tells when one task ends and another begins, or
# that one comes back. Each gets one mask all the same. About a minute on two cores.
#
#   sh examples/stream.sh [FOLDER]       default: a new temporary folder, removed at the end
#
#   VISIT=300                            batches of each visit
set -eu
. "$(dirname "$0")/workplace.sh"

say supsup init-base --bank bank
say supsup learn-stream --bank bank --name seen --visit "${VISIT:-300}" \
    --data mnist-perm-3 --data mnist-perm-1 --data mnist-perm-3 --data mnist-perm-4 \
    --data mnist-perm-1 --data mnist-perm-0
say supsup tasks --bank bank
say supsup evaluate --bank bank --limit 100
