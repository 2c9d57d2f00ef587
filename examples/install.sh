# Sourced by the examples: puts `supsup` on PATH, in an environment of its own if need be.
#
# A `supsup` that is on PATH already is used as it is. Otherwise the checkout's .venv is made with
# the first Python 3.11 or newer that is found, and the checkout is installed into it (PyTorch is
# several gigabytes: the first time takes minutes).

if ! command -v supsup >/dev/null 2>&1; then
    checkout=$(cd "$(dirname "$0")/.." && pwd)
    if [ ! -x "$checkout/.venv/bin/supsup" ]; then
        for python in ${PYTHON:-python3 python3.13 python3.12 python3.11} ''; do
            [ -n "$python" ] || { echo "supsup needs Python 3.11 or newer" >&2; exit 1; }
            "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
        done
        echo "installing supsup into $checkout/.venv (once)" >&2
        "$python" -m venv "$checkout/.venv"
        "$checkout/.venv/bin/python" -m pip install --quiet "$checkout"
    fi
    PATH="$checkout/.venv/bin:$PATH"
    export PATH
fi
