"""The servers that are compared: started here on loopback with data of their own, or given by URL and process id."""

import os
import shutil
import signal
import socket
import subprocess
import time

from .http1 import Connection, WrongAnswer

START_LIMIT_SECS = 30
STOP_LIMIT_SECS = 15

# The same for every registry: Distribution's defaults (Debian's file) without authentication, TLS and access log.
REGISTRY_CONFIG = """\
version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: {volume}
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: 127.0.0.1:{port}
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""

# As fast as nginx serves files: no log, open files kept, and the type of everything the same.
NGINX_CONFIG = """\
daemon off;
worker_processes auto;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile {sendfile};
    tcp_nopush {sendfile};
    output_buffers 2 128k;
    keepalive_requests 100000000;
    open_file_cache max=1000;
    default_type application/vnd.oci.image.manifest.v1+json;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {volume};
        location = /v2/ {{ return 200 '{{}}'; }}
    }}
}}
"""


def free_port():
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """What a case needs to know: `name`, `url`, `pid`; whether it takes pushes; and where its blobs lie, if known."""

    takes_pushes = True
    volume = None

    def __init__(self, name, url=None, pid=None):
        self.name, self.url, self.pid = name, url, pid
        self.version = "given by URL and process id"

    def connect(self):
        """A new connection to it."""
        return Connection(self.url)

    def start(self):
        """Nothing to do for a server that others started."""
        os.kill(self.pid, 0)
        self.connect().close()

    def stop(self):
        """Nothing to do for a server that others started."""

    def forget_blob(self, repository, digest):
        """Frees the space of a large blob that is not needed any more, so that a run fits on the disk."""
        if self.volume:
            algorithm, _, name = digest.partition(":")
            shutil.rmtree(f"{self.volume}/docker/registry/v2/blobs/{algorithm}/{name[:2]}/{name}", ignore_errors=True)
        else:
            connection = self.connect()
            connection.request("DELETE", f"/v2/{repository}/blobs/{digest}")
            connection.close()


class Program(Server):
    """A server that is started and stopped here; `home` holds its config, log and data."""

    def __init__(self, name, binary, home, config, arguments):
        super().__init__(name)
        self.binary, self.home = binary, home
        self._config_text, self._arguments = config, arguments
        self.volume = f"{home}/volume"
        self._config = f"{home}/config"
        self._process = None
        os.makedirs(self.volume, exist_ok=True)

    def start(self):
        """Starts it on a free port; gives the seconds from exec to the first answered request."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with open(self._config, "w", encoding="utf-8") as config:
            config.write(self._config_text.format(home=self.home, volume=self.volume, port=port))
        environment = {"PATH": os.environ["PATH"], "HOME": self.home, "OTEL_TRACES_EXPORTER": "none"}
        with open(f"{self.home}/log", "ab") as log:
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


class Nginx(Program):
    """nginx over a directory that holds the answers of a registry, byte for byte, as files."""

    takes_pushes = False

    def __init__(self, name, binary, home, volume, sendfile):
        config = NGINX_CONFIG.replace("{sendfile}", "on" if sendfile else "off")
        super().__init__(name, binary, home, config, ["-c"])
        self.volume = volume
        self.version = _version([binary, "-v"])


def registry(name, binary, home):
    """A registry that reads Distribution's configuration: wharf and Distribution themselves."""
    program = Program(name, binary, home, REGISTRY_CONFIG, ["serve"])
    program.version = _version([binary, "--version"])
    return program


def _version(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False)
    return ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0]
