#!/usr/bin/env bash
# Make venv/ here, for a host that runs only detection and redaction, and fetch the model's weights.
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
"$here/venv/bin/python" "$here/model_weights.py"
echo "ready: $here/venv/bin/python $here/imageaiProcessor.py --help"
