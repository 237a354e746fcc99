"""Print jars.txt anew, for a new version: ``python -m imagebus.kafka.pin > jars.txt``."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from jgo.maven import MavenContext, PythonResolver

from imagebus.kafka.jars import VERSION

# "!" keeps jgo from taking the versions that one of them manages for all the others
WANTED = (
    f"org.apache.kafka:kafka_2.13:{VERSION}!",
    # the binding that Kafka's own distribution has; its version is that of Kafka's log4j-core
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!",
)


def main() -> None:
    """Resolve what the broker needs, all the way down, and print coordinate, size and digest of each."""
    print("# made by imagebus.kafka.pin: coordinate, bytes, sha256")
    with tempfile.TemporaryDirectory() as cache:
        context = MavenContext(resolver=PythonResolver(), repo_cache=Path(cache), timeout=60)
        wanted, others = context.resolver.resolve([context.create_dependency(name) for name in WANTED])
        for dependency in sorted([*wanted, *others], key=lambda found: (found.groupId, found.artifactId)):
            content = dependency.artifact.resolve().read_bytes()
            coordinate = f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}"
            print(coordinate, len(content), hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
