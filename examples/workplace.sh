# Sourced by the examples: `supsup` on PATH, a folder to work in, and `say`, which shows a command
# and runs it.
. "$(dirname "$0")/install.sh"

if [ $# -gt 0 ]; then
    mkdir -p "$1"
    work=$1
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi
cd "$work"
say() { printf '\n$ %s\n' "$*"; "$@"; }
