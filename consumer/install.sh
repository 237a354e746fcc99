#!/usr/bin/env bash
# Make venv/ here, for a host that runs only the page, and build the page.
# PYTHON=/path/to/python3 chooses the interpreter.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "install.sh: $python is not Python 3.11 or later; name one: PYTHON=/path/to/python3 $0" >&2
    exit 1
fi
"$python" -m venv "$here/venv"
"$here/venv/bin/python" -m pip install --require-hashes --requirement "$here/requirements.txt"
"$here/venv/bin/python" -m pip install --no-deps --no-build-isolation --editable "$here/.."
status=0
"$here/venv/bin/python" "$here/build.py" || status=$?
if ((status == 2)); then # no Node, or one that is too old: the wheel brings one
    "$here/venv/bin/python" -m pip install --require-hashes --requirement "$here/../requirements-node.txt"
    "$here/venv/bin/python" "$here/build.py"
elif ((status != 0)); then
    exit "$status"
fi
echo "ready: $here/venv/bin/python $here/app.py --help"
