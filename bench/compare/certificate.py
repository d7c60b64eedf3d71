"""One self-signed certificate for all servers of a run, made by openssl."""

import ssl
import subprocess


class Certificate:
    """The files of certificate and key, and what a Python client needs to trust it."""

    def __init__(self, directory, addresses):
        self.certificate, self.key = f"{directory}/tls.crt", f"{directory}/tls.key"
        names = ",".join(f"IP:{address}" for address in addresses)
        done = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=bench", "-addext", f"subjectAltName={names}", "-keyout", self.key, "-out", self.certificate],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl req: {done.stderr.strip()[-300:]}")
        self.context = ssl.create_default_context(cafile=self.certificate)
