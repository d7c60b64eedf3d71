"""The servers that are compared: started here with data of their own, or given by URL and process id."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time

from . import configs, netns
from .http1 import Connection, WrongAnswer
from .modes import PLAIN

START_LIMIT_SECS = 30
STOP_LIMIT_SECS = 15


def free_port():
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """What a case needs to know: `name`, `url`, `pid`, the mode it runs in, and whether it takes pushes."""

    takes_pushes = True
    # Whether it answers the referrers API; found out when it is filled.
    offers_referrers = True

    def __init__(self, name, url=None, pid=None):
        self.name, self.url, self.pid = name, url, pid
        self.mode = PLAIN
        self.version = "given by URL and process id"

    def connect(self):
        """A new connection to it."""
        with netns.inside(self.mode.namespace):
            return Connection(self.url, self.mode.tls.context if self.mode.tls else None)

    def supports(self, mode):
        """Whether it can be started so."""
        return mode is PLAIN

    def start(self, mode=PLAIN):
        """Nothing to do for a server that others started."""
        assert mode is PLAIN
        os.kill(self.pid, 0)
        self.connect().close()

    def stop(self):
        """Nothing to do for a server that others started."""

    def blob_file(self, repository, digest):  # pylint: disable=unused-argument
        """Where a blob lies on this machine, or None."""
        return None

    def forget_blob(self, repository, digest):
        """Frees the space of a large blob that is not needed any more, so that a run fits on the disk."""
        connection = self.connect()
        connection.request("DELETE", f"/v2/{repository}/blobs/{digest}")
        connection.close()


class Program(Server):
    """A server that is started and stopped here; `home` holds its config, log and data."""

    def __init__(self, name, binary, home, configure, arguments):
        super().__init__(name)
        self.binary, self.home = binary, home
        self._configure, self._arguments = configure, arguments
        self.volume = f"{home}/volume"
        self._config = f"{home}/config"
        self._process = None
        os.makedirs(self.volume, exist_ok=True)

    def supports(self, mode):
        """Everything but another's files: see those who can."""
        return mode.volume is None

    def start(self, mode=PLAIN):
        """Starts it on a free port; gives the seconds from exec to the first answered request."""
        self.mode = mode
        port = free_port()
        self.url = f"{'https' if mode.tls else 'http'}://{mode.host}:{port}"
        place = configs.Place(self.home, mode.volume or self.volume, mode.host, port, mode.tls)
        with open(self._config, "w", encoding="utf-8") as config:
            config.write(self._configure(place))
        environment = {"PATH": os.environ["PATH"], "HOME": self.home, "OTEL_TRACES_EXPORTER": "none"}
        with open(f"{self.home}/log", "ab") as log, netns.inside(mode.namespace):
            started = time.monotonic()
            self._process = subprocess.Popen(
                [self.binary, *self._arguments, self._config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )
        self.pid = self._process.pid
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - started > START_LIMIT_SECS:
                raise RuntimeError(f"{self.name} did not start: {self._last_log_line()}")
            time.sleep(0.0005)
        return time.monotonic() - started

    def _answers(self):
        try:
            connection = self.connect()
        except OSError:
            return False
        try:
            return connection.request("GET", "/v2/").status == 200
        except (OSError, WrongAnswer):
            return False
        finally:
            connection.close()

    def _last_log_line(self):
        with open(f"{self.home}/log", encoding="utf-8", errors="replace") as log:
            return (log.read().splitlines() or ["its log is empty"])[-1][:300]

    def stop(self):
        """Ends it by its process id."""
        if not self._process:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_LIMIT_SECS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class Registry(Program):
    """A registry that reads Distribution's configuration and volume: wharf and Distribution themselves."""

    def __init__(self, name, binary, home):
        super().__init__(name, binary, home, configs.registry, ["serve"])
        # Distribution names itself by the path that it was called by.
        self.version = _version([binary, "--version"]).replace(binary, os.path.basename(binary))

    def supports(self, mode):
        """Everything."""
        return True

    def blob_file(self, repository, digest):
        """The same for all repositories."""
        algorithm, _, name = digest.partition(":")
        volume = self.mode.volume or self.volume
        return f"{volume}/docker/registry/v2/blobs/{algorithm}/{name[:2]}/{name}/data"

    def forget_blob(self, repository, digest):
        """Takes the file away: Distribution keeps what is only deleted."""
        shutil.rmtree(os.path.dirname(self.blob_file(repository, digest)), ignore_errors=True)


class Zot(Program):
    """zot, with a configuration and a layout of its own."""

    def __init__(self, name, binary, home):
        super().__init__(name, binary, home, configs.zot, ["serve"])
        self.version = f"zot {_zot_version(binary)}"

    def blob_file(self, repository, digest):
        """In an OCI image layout for each repository."""
        return f"{self.volume}/{repository}/blobs/{digest.replace(':', '/')}"


class Nginx(Program):
    """nginx over a directory that holds the answers of a registry, byte for byte, as files."""

    takes_pushes = False
    offers_referrers = False

    def __init__(self, name, binary, home, volume, sendfile):
        super().__init__(name, binary, home, lambda place: configs.nginx(place, sendfile), ["-c"])
        self.volume, self.sendfile = volume, sendfile
        self.version = _version([binary, "-v"])

    def supports(self, mode):
        """With TLS, sendfile is not used: once is enough."""
        return mode.volume is None and not (mode.tls and self.sendfile)

    def blob_file(self, repository, digest):
        """A file by the path of its URL."""
        return f"{self.volume}/v2/{repository}/blobs/{digest}"


def _zot_version(binary):
    """Of the JSON line that it logs: what the build set, which is not always there."""
    try:
        line = json.loads(_version([binary, "--version"]))
    except ValueError:
        return "of unknown version"
    return line.get("commit") or "of unknown version"


def _version(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False)
    return ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0]
