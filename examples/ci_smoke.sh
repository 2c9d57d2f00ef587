#!/bin/sh
# What belongs into your own CI: does supsup learn, infer and predict here? Seconds, few steps.
#
#   sh examples/ci_smoke.sh
#
# Every command answers one JSON document with --json, and its exit code says what happened:
# 0 done, 2 usage or no usable input, 3 some inputs failed, 5 damage found, 11 name taken, …
set -eu
. "$(dirname "$0")/install.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export SUPSUP_BANK="$work/bank"

expect() { # expect CODE COMMAND...: the command must end with this exit code
    code=$1
    shift
    status=0
    "$@" >answer.json || status=$?
    if [ "$status" -ne "$code" ]; then
        echo "expected exit code $code, got $status: $*" >&2
        cat answer.json >&2
        exit 1
    fi
}

expect 0 supsup init-base --arch mlp-64 --outputs 100 --json
expect 0 supsup init-base --arch mlp-64 --outputs 100 --json # the same again is no error
expect 0 supsup learn-task --data mnist-perm-0..1 --steps 20 --json
expect 0 supsup learn-task --data mnist-perm-0..1 --steps 20 --json # exists: nothing to do
grep -q '"status": "exists"' answer.json
expect 11 supsup learn-task --data mnist-perm-0 --steps 21 --json # the name is taken

expect 0 supsup data export mnist-perm-1 images --limit 5 --json
expect 0 supsup infer-task images --json
echo "this is no image" >images/broken.png
expect 3 supsup predict images --json # the good images are answered, the broken one is named
grep -q 'broken.png' answer.json
expect 2 supsup predict no-such-folder --json

expect 0 supsup evaluate --limit 100 --json
expect 0 supsup verify --json
grep -q '"ok": true' answer.json
printf 'x' | dd of="$SUPSUP_BANK/masks/mnist-perm-0.safetensors" bs=1 seek=2000 conv=notrunc 2>dd.log
expect 5 supsup verify --json # one changed byte is found
echo "supsup works here"
