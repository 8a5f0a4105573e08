"""Real servers on loopback, of this machine's own binaries: a Postgres cluster and a Chroma server, each in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

WAIT = 120.0
"""Seconds a server may take to answer on a machine that is busy with other things."""
CHROMA = Path(sys.executable).with_name("chroma")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Chroma:
    """``chroma run`` on a free port of loopback; `stop` kills it, `start` starts it again at the same address."""

    missing = None if CHROMA.exists() else "chromadb's command line is not installed beside this Python"

    def __init__(self, path: Path) -> None:
        self.path, self.port = path, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(CHROMA), "run", "--path", str(self.path), "--port", str(self.port), "--host", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _until(lambda: answers(self.port), "the Chroma server did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def postgres_programs() -> Path | None:
    """Where the newest ``initdb`` and ``pg_ctl`` are; None where there are none."""
    found = shutil.which("pg_ctl")
    here = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3])) if not found else []
    return Path(found).parent if found else here[-1].parent if here else None


class Postgres:
    """A cluster of its own on a free port of loopback. Run by root, it belongs to the user ``postgres``: Postgres refuses to run as root."""

    missing = None if postgres_programs() else "no Postgres is installed (initdb and pg_ctl were not found)"

    def __init__(self, *, fsync: bool = False) -> None:
        self._fsync = fsync
        self.path, self.port = (
            Path(tempfile.mkdtemp(prefix="fluxmem-postgres-")),
            free_port(),
        )  # pytest closes its own folders to other users
        self.address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:
            shutil.chown(self.path, "postgres")
        self._run("initdb", "-D", str(self.path / "cluster"), "-A", "trust", "-U", "postgres", "-N")

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.path} -c fsync={'on' if self._fsync else 'off'}"
        self._run("pg_ctl", "-D", str(self.path / "cluster"), "-l", str(self.path / "log"), "-o", options, "-w", "-t", "120", "start")

    def stop(self, mode: str = "immediate") -> None:
        """``immediate``: every connection is cut and nothing is tidied, as in a crash. ``fast``: in order."""
        with contextlib.suppress(RuntimeError):  # it was not running
            self._run("pg_ctl", "-D", str(self.path / "cluster"), "-m", mode, "-w", "-t", "120", "stop")

    def close(self) -> None:
        """Stop it and delete its files."""
        self.stop()
        shutil.rmtree(self.path)

    def _run(self, program: str, *arguments: str) -> None:
        found = postgres_programs()
        assert found is not None
        become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        with tempfile.TemporaryFile() as said:  # not a pipe: a server that is started would hold it open
            done = subprocess.run([*become, str(found / program), *arguments], cwd="/", stdout=said, stderr=said)
            said.seek(0)
            if done.returncode:
                raise RuntimeError(f"{program} ended with {done.returncode}: {said.read().decode()}")


@contextlib.contextmanager
def schema(address: str, name: str | None = None) -> Iterator[str]:
    """The address of a new schema of the database at `address`; it is dropped at the end."""
    import psycopg

    name = name or f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    try:
        yield f"{address}?options={quote(f'-csearch_path={name}')}"
    finally:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


def _until(holds, message: str) -> None:
    deadline = time.monotonic() + WAIT
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(message)
        time.sleep(0.02)
