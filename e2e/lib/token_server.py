#!/usr/bin/env python3
"""A token server for the end-to-end suite, as Distribution's token specification has it.

token_server.py serve DIRECTORY      serves on a free loopback port, which is written to DIRECTORY/port
token_server.py serve DIRECTORY CERTIFICATE KEY   with TLS, at all addresses
token_server.py mint DIRECTORY HEADER CLAIMS    prints a token; both are JSON, laid over good ones
token_server.py jwks DIRECTORY       prints the key set

DIRECTORY holds the keys NAME.key and their certificates NAME.crt, and "mode", a JSON object that is read
for each request:
    key     which key signs
    kid     what it is called: "libtrust", "thumbprint", or any other name
    x5c     true: its certificate goes into the token, and no name
    jwks    the keys in the set, "key" alone unless told
Needs nothing but openssl.
"""

import base64
import hashlib
import http.server
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.parse

SERVICE = "e2e registry"
ISSUER = "e2e issuer"
USERS = {"alice": "alice's password", "bob": "bob's password"}
# user, repository's beginning, actions; None is somebody who does not log in.
RIGHTS = [
    ("alice", "alice/", {"pull", "push", "delete"}),
    ("bob", "alice/", {"pull"}),
    (None, "public/", {"pull"}),
    ("alice", "public/", {"pull", "push"}),
]
BODY_BYTES_MAX = 1 << 16


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, data=b""):
    return subprocess.run(("openssl",) + arguments, input=data, stdout=subprocess.PIPE, check=True).stdout


class Key:
    def __init__(self, directory, name):
        self.path = os.path.join(directory, name)
        self.spki = openssl("pkey", "-in", self.path + ".key", "-pubout", "-outform", "DER")
        # P-256 has a short key of a fixed form; what is longer is RSA here.
        self.is_rsa = len(self.spki) > 100

    def jwk(self):
        if self.is_rsa:
            printed = openssl("rsa", "-in", self.path + ".key", "-noout", "-modulus").decode()
            modulus = bytes.fromhex(printed.strip().partition("=")[2])
            return {"e": "AQAB", "kty": "RSA", "n": text(modulus)}
        point = self.spki[-64:]
        return {"crv": "P-256", "kty": "EC", "x": text(point[:32]), "y": text(point[32:])}

    def kid(self, form):
        if form == "libtrust":
            digits = base64.b32encode(hashlib.sha256(self.spki).digest()[:30]).decode()
            return ":".join(digits[i : i + 4] for i in range(0, 48, 4))
        if form == "thumbprint":
            canonical = json.dumps(self.jwk(), sort_keys=True, separators=(",", ":"))
            return text(hashlib.sha256(canonical.encode()).digest())
        return form

    def algorithm(self):
        return "RS256" if self.is_rsa else "ES256"

    def sign(self, message):
        made = openssl("dgst", "-sha256", "-sign", self.path + ".key", data=message)
        return made if self.is_rsa else fixed(made)


def fixed(der):
    """r and s of an ECDSA signature in DER, 32 bytes each."""
    numbers, rest = b"", der[2:]
    for _ in range(2):
        length = rest[1]
        numbers += rest[2 : 2 + length].lstrip(b"\0").rjust(32, b"\0")
        rest = rest[2 + length :]
    return numbers


def mode_of(directory):
    with open(os.path.join(directory, "mode"), encoding="utf-8") as file:
        return json.load(file)


def certificate(directory, name):
    pem = openssl("x509", "-in", os.path.join(directory, name + ".crt"), "-outform", "DER")
    return base64.b64encode(pem).decode()


def good_header(directory, mode, key):
    header = {"typ": "JWT", "alg": key.algorithm()}
    if mode.get("x5c"):
        header["x5c"] = [certificate(directory, mode["key"])]
    else:
        header["kid"] = key.kid(mode["kid"])
    return header


def good_claims(user, access):
    now = int(time.time())
    return {
        "iss": ISSUER, "sub": user or "", "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now,
        "jti": os.urandom(8).hex(), "access": access,
    }


def token(directory, user, access, header=None, claims=None):
    """A token; what is null in `header` or `claims` is left out of it."""
    mode = mode_of(directory)
    key = Key(directory, mode["key"])
    parts = []
    for good, over in ((good_header(directory, mode, key), header), (good_claims(user, access), claims)):
        whole = {name: value for name, value in {**good, **(over or {})}.items() if value is not None}
        parts.append(text(json.dumps(whole).encode()))
    signed = ".".join(parts)
    return signed + "." + text(key.sign(signed.encode()))


def key_set(directory):
    mode = mode_of(directory)
    keys = []
    for name in mode.get("jwks", [mode["key"]]):
        key = Key(directory, name)
        # A name of one's own is the signing key's.
        is_form = mode["kid"] in ("libtrust", "thumbprint")
        form = mode["kid"] if is_form or name == mode["key"] else name
        keys.append({**key.jwk(), "kid": key.kid(form), "use": "sig", "alg": key.algorithm()})
    return {"keys": keys}


def granted(user, scopes):
    """What of the scopes (`repository:name:pull,push`) the user may have."""
    access = []
    for scope in " ".join(scopes).split():
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        may = set()
        for who, start, rights in RIGHTS:
            if kind == "repository" and name.startswith(start) and who in (user, None):
                may |= rights
        if may & set(actions.split(",")):
            access.append({"type": kind, "name": name, "actions": sorted(may & set(actions.split(",")))})
    return access


class Handler(http.server.BaseHTTPRequestHandler):
    directory = None

    def log_message(self, *_):
        with open(os.path.join(self.directory, "requests"), "a", encoding="utf-8") as log:
            log.write(f"{self.command} {urllib.parse.urlsplit(self.path).path}\n")

    def answer(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, content in headers:
            self.send_header(name, content)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def grant(self, user, password, parameters):
        if user is not None and USERS.get(user) != password:
            return self.answer(401, {"details": "wrong user or password"}, [("WWW-Authenticate", 'Basic realm="e2e"')])
        if parameters.get("service") not in ([SERVICE], None):
            return self.answer(400, {"details": "another service"})
        made = token(self.directory, user, granted(user, parameters.get("scope", [])))
        return self.answer(200, {"token": made, "access_token": made, "expires_in": 300})

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/jwks":
            return self.answer(200, key_set(self.directory))
        if url.path not in ("/auth", "/auth/token"):
            return self.answer(404, {})
        user = password = None
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            user, _, password = base64.b64decode(encoded).decode().partition(":")
        return self.grant(user, password, urllib.parse.parse_qs(url.query))

    def do_POST(self):
        # The OAuth2 form that containers/image and dockerd use with some credentials.
        length = min(int(self.headers.get("Content-Length", 0)), BODY_BYTES_MAX)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        if form.get("grant_type") != ["password"]:
            return self.answer(400, {"error": "unsupported_grant_type"})
        return self.grant(form.get("username", [""])[0], form.get("password", [""])[0], form)


def serve(directory, certificate_and_key=()):
    Handler.directory = directory
    server = http.server.ThreadingHTTPServer(("0.0.0.0" if certificate_and_key else "127.0.0.1", 0), Handler)
    if certificate_and_key:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate_and_key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    draft = os.path.join(directory, "port.new")
    with open(draft, "w", encoding="utf-8") as file:
        file.write(str(server.server_address[1]))
    os.rename(draft, os.path.join(directory, "port"))
    server.serve_forever()


def main():
    match sys.argv[1:]:
        case ["serve", directory]:
            serve(directory)
        case ["serve", directory, *certificate_and_key] if len(certificate_and_key) == 2:
            serve(directory, certificate_and_key)
        case ["mint", directory, header, claims]:
            access = [{"type": "repository", "name": "alice/app", "actions": ["pull", "push"]}]
            print(token(directory, "alice", access, json.loads(header), json.loads(claims)))
        case ["jwks", directory]:
            print(json.dumps(key_set(directory)))
        case _:
            sys.exit(__doc__)


main()
