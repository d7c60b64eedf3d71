"""The configuration that each kind of server is started with."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where a server keeps its own files and its data, and where it listens; `tls` is a Certificate or None."""

    home: str
    volume: str
    host: str
    port: int
    tls: Any = None


# The same for every registry of Distribution's kind: its defaults (Debian's file) without
# authentication and access log.
_REGISTRY = """\
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
  addr: {host}:{port}
"""

_REGISTRY_TLS = """\
  tls:
    certificate: {tls.certificate}
    key: {tls.key}
"""

_REGISTRY_HEALTH = """\
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""


def registry(place):
    """For wharf and Distribution."""
    text = _REGISTRY + (_REGISTRY_TLS if place.tls else "") + _REGISTRY_HEALTH
    return text.format(**vars(place))


def zot(place):
    """For zot: what it stores is on stable storage before it answers, as with the others; the rest are its defaults."""
    http = {"address": place.host, "port": str(place.port)}
    if place.tls:
        http["tls"] = {"cert": place.tls.certificate, "key": place.tls.key}
    return json.dumps({
        "distSpecVersion": "1.1.1",
        "storage": {"rootDirectory": place.volume, "commit": True},
        "http": http,
        "log": {"level": "error"},
    }, indent=1)


# As fast as nginx serves files: no log, open files kept, and the type of everything the same.
_NGINX = """\
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
        listen {host}:{port}{listen};
        {tls_lines}
        root {volume};
        location = /v2/ {{ return 200 '{{}}'; }}
    }}
}}
"""


def nginx(place, sendfile):
    """For nginx over files."""
    lines = ""
    if place.tls:
        lines = (f"ssl_certificate {place.tls.certificate}; ssl_certificate_key {place.tls.key}; "
                 "ssl_protocols TLSv1.2 TLSv1.3;")
    return _NGINX.format(**vars(place), sendfile="on" if sendfile else "off", tls_lines=lines,
                         listen=" ssl http2" if place.tls else "")
