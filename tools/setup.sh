#!/bin/sh
# Install the pinned Python packages into $VENV, and Debian packages for the host tests.
set -eu
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "setup: $PYTHON is older than Python 3.10: run make with PYTHON=/path/to/python3" >&2
    exit 1
}
echo "setup: Python packages into $VENV, pinned by constraints.txt; the first time takes minutes"
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV" || {
    echo "setup: python3-venv is missing: apt-get install python3-venv" >&2
    exit 1
}
# --no-compile: Python compiles what it imports, which is a small part of these packages.
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    --constraint constraints.txt --editable '.[dev]'

missing=""
command -v coap-client-notls >/dev/null 2>&1 || missing="$missing libcoap3-bin"
command -v tshark >/dev/null 2>&1 || missing="$missing tshark"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
    missing="$missing postgresql"
command -v chromedriver >/dev/null 2>&1 || missing="$missing chromium-driver"
command -v zsh >/dev/null 2>&1 || missing="$missing zsh"
command -v fish >/dev/null 2>&1 || missing="$missing fish"
command -v npm >/dev/null 2>&1 || missing="$missing nodejs npm"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: apt-get install$missing, for the host tests"
        apt-get update -qq >/dev/null
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $missing >/dev/null
    else
        echo "setup: some host tests need more; as root run: apt-get install$missing"
    fi
fi
echo "setup: done: $VENV/bin/$("$VENV/bin/msgin5g" --version); next: make demo"
