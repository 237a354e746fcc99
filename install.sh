#!/usr/bin/env bash
# Install everything that run.sh needs, without starting anything. ./install.sh --help says more.
set -euo pipefail
exec "$(dirname "$0")/src/imagebus/launch/with_python" install "$@"
