#!/usr/bin/env bash
# Run every check of this project: lint, types, shell scripts, the page, then all tests on real parts.
#
#   ./test.sh [--all] [pytest's own options]      --all: with the tests that take minutes as well
#
# Installs what the tests need first: into .venv, and with apt-get where it runs as root on Debian. Its last line
# is pytest's own.
set -euo pipefail
cd "$(dirname "$0")"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    cat <<'END'
usage: ./test.sh [--all] [pytest's own options]

Run every check: lint, types, shell scripts, the page, then the tests. Installs what they need first.
What pytest is given goes after: ./test.sh -k redaction, ./test.sh tests/launch, ./test.sh -n 0 (one at a time)

  -h, --help  print this and install nothing
  --all       with the tests that take minutes as well
END
    exit
fi

select=(-m "not slow")
if [[ ${1:-} == --all ]]; then
    select=()
    shift
fi

# A browser, an RTSP server, video tools, a linter for scripts; ip and ps.
packages=(chromium fonts-dejavu-core ffmpeg shellcheck iproute2 procps python3-gi gir1.2-gst-rtsp-server-1.0
    gstreamer1.0-plugins-{base,good,bad,ugly})
missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null || true)
    [[ $state == "install ok installed" ]] || missing+=("$package")
done
if ((${#missing[@]})); then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "Installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        echo "missing, and not installed without root: ${missing[*]}; tests that need them will fail" >&2
    fi
fi
./install.sh --dev
export PATH="$PWD/.venv/bin:$PATH"

failed=()
check() { # NAME COMMAND...
    printf '\n== %s\n' "$1"
    "${@:2}" || failed+=("$1")
}

mapfile -t scripts < <(git ls-files --cached --others --exclude-standard | xargs -r grep -lIE '^#!.*[/ ](ba)?sh$')
check "ruff" ruff check .
check "ruff format" ruff format --check .
check "mypy" mypy src producer imageai consumer examples bench tests
check "shellcheck" shellcheck "${scripts[@]}"
check "page" python consumer/build.py --test
printf '\n== pytest\n'
if ((${#failed[@]})); then
    echo "NOT in order, see above: ${failed[*]}"
fi
# Four files at a time: tests wait for brokers, cameras and clocks more than they compute. Deadlines are for a
# machine that is not crowded: what fails beside others has to pass alone.
status=0
python -m pytest -n 4 --dist loadfile --no-loadscope-reorder "${select[@]}" "$@" || status=$?
if ((status == 1)); then # some failed; anything else is no matter of crowding
    status=0
    printf '\n== pytest: what failed beside others, alone; what passes now is crowded out, or a race\n'
    python -m pytest -n 0 -v --last-failed --last-failed-no-failures none "${select[@]}" "$@" || status=$?
fi
((status == 0 && ${#failed[@]} == 0))
