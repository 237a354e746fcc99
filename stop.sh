#!/usr/bin/env bash
# Stop all that run.sh started, and nothing else. ./stop.sh --help says more.
set -euo pipefail
exec "$(dirname "$0")/src/imagebus/launch/with_python" stop "$@"
