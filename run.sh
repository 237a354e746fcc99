#!/usr/bin/env bash
# Install what is missing, start everything, print the address of the page. ./run.sh --help says more.
set -euo pipefail
exec "$(dirname "$0")/src/imagebus/launch/with_python" run "$@"
