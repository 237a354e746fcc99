"""A clean clone of this project, owned by a user made for it, on a machine with nothing but Python."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from imagebus.kafka.probe import free_port
from imagebus.launch.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
BROUGHT_BY_RUN_SH = re.compile(r"java.*|node.*|npm|npx|corepack|mvn.*|jshell|jar|uv.*")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL")
COLD_S = 900


class Clone:
    """One clone with its user; commands run as that user, in an environment with next to nothing in it."""

    def __init__(self) -> None:
        # Not below pytest's folder, through which it lets nobody but its own user.
        self.place = place = Path(tempfile.mkdtemp(prefix="imagebus-clone-"))
        place.chmod(0o755)
        self.folder = place / "bus of mine, naïve"
        self.home = place / "home"
        self.tools = place / "tools"
        self.user = ""
        self.ports = (free_port(), free_port())
        try:
            self._make()
        except BaseException:
            self._forget()
            raise

    def _make(self) -> None:
        for folder in (self.home, self.tools):
            folder.mkdir()
        self._collect_tools()
        subprocess.run(["git", "clone", "--quiet", ROOT.as_uri(), self.folder], check=True)
        if os.geteuid() == 0:
            self._become_somebody()

    def _collect_tools(self) -> None:
        """Link what Debian has in /usr/bin, but no Java and no Node."""
        for tool in Path("/usr/bin").iterdir():
            if not BROUGHT_BY_RUN_SH.fullmatch(tool.name):
                (self.tools / tool.name).symlink_to(tool)

    def _become_somebody(self) -> None:
        self.user = f"imagebus-{secrets.token_hex(3)}"
        subprocess.run(["useradd", "--home-dir", self.home, "--shell", "/bin/bash", self.user], check=True)
        subprocess.run(["chown", "-R", f"{self.user}:", self.home, self.folder], check=True)

    def command(self, *words: object, offline: bool = False, data: str = "") -> list[str]:
        """Return the command line that runs something as the user."""
        settings = {
            "HOME": self.home,
            "PATH": self.tools,
            "LANG": "C.UTF-8",
            "PYTHON": "/usr/bin/python3",
            "IMAGEBUS_PORT": self.ports[0],
            "IMAGEBUS_KAFKA_PORT": self.ports[1],
            **({"IMAGEBUS_DATA": data} if data else {}),
            **{name: os.environ[name] for name in (*CERTIFICATES, *NETWORK) if name in os.environ},
        }
        line = ["env", "-i", *(f"{name}={value}" for name, value in settings.items()), *map(str, words)]
        if self.user:
            line = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", *line]
        if offline:
            line = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *line]
        return line

    def run(
        self, script: str, *flags: object, offline: bool = False, timeout_s: float = COLD_S, data: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts to its end; what it says is printed, for the case that the test fails."""
        began = time.monotonic()
        done = subprocess.run(
            self.command(self.folder / script, *flags, offline=offline, data=data),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        print(done.stdout)
        print(f"{script}: exit status {done.returncode} after {time.monotonic() - began:.1f} s")
        return done

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor of the clone's own data folder."""
        return Supervisor(self.folder / ".imagebus")

    def processes(self) -> Mapping[int, str]:
        """Return every process of the user, by id; those that only wait to be reaped are none."""
        whose = ["-u", self.user] if self.user else ["-e"]
        asked = ["ps", *whose, "-o", "pid=,stat=,args="]
        lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
        found = [line.split(maxsplit=2) for line in lines]
        return {
            int(pid): args
            for pid, state, args in found
            if state[0] != "Z" and (self.user or str(self.folder) in args)
        }

    def remove(self) -> None:
        """Stop what runs, and remove the user and the folder."""
        try:
            self.run("stop.sh", timeout_s=120)
        finally:
            left = self.processes()
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            self._forget()
        assert not left, "stop.sh ends everything"

    def _forget(self) -> None:
        if self.user:
            subprocess.run(["userdel", "--force", self.user], check=False)
        shutil.rmtree(self.place)
