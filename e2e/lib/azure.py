#!/usr/bin/env python3
"""One signed request to an Azure Blob endpoint: azure.py METHOD URL ACCOUNT KEY [FILE]

Prints the status on the first line and the body after it; ends with 1 unless the status is 2xx. FILE is
sent as a block blob. Signature: "Authorize with Shared Key", for an endpoint with the account in its path.
"""

import base64
import hashlib
import hmac
import sys
import urllib.error
import urllib.parse
import urllib.request
from email.utils import formatdate

TIMEOUT_SECS = 30
VERSION = "2021-08-06"


def authorization(method, url, account, key, headers, length):
    """The value of the header Authorization for a request with these x-ms- headers."""
    parts = urllib.parse.urlsplit(url)
    names = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-"))
    resource = f"/{account}{parts.path}"
    for name, value in sorted(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)):
        resource += f"\n{name}:{value}"
    # Method, encoding, language, length, MD5, type, date, four conditions, range.
    standard = [method, "", "", str(length or ""), "", headers.get("Content-Type", "")] + [""] * 6
    text = "\n".join(standard) + "\n" + names + resource
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return f"SharedKey {account}:{base64.b64encode(digest).decode()}"


def main(method, url, account, key, file=None):
    body = None if file is None else open(file, "rb").read()
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION}
    if body is not None:
        headers["x-ms-blob-type"] = "BlockBlob"
        headers["Content-Type"] = "application/octet-stream"
    headers["Authorization"] = authorization(method, url, account, key, headers, len(body or b""))
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    # The store is on this machine, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(request, timeout=TIMEOUT_SECS)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError as error:
        print(f"000\n{error}")
        return 1
    print(answer.status, flush=True)
    sys.stdout.buffer.write(answer.read())
    return 0 if 200 <= answer.status < 300 else 1


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
