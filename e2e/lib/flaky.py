"""A proxy to an HTTP store that answers 503 by itself, or holds connections still, while a file says so.

flaky.py PORT TARGET-PORT FILE: the file has "fail", "stall" or something else.
"""

import socket
import sys
import threading
import time

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
ANSWER = (b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
          b"Content-Length: %d\r\n\r\n%s" % (len(BUSY), BUSY))


def mode(path):
    """What the file says."""
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def pump(source, target, path):
    """Bytes from one to the other, until either is gone; in pieces, so that a change has its effect at once."""
    try:
        while data := source.recv(65536):
            while mode(path) == "stall":
                time.sleep(0.05)
            if mode(path) == "fail":
                break
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, port, path):
    """One connection."""
    with client:
        if mode(path) == "fail":
            try:
                client.recv(65536)
                client.sendall(ANSWER)
                client.shutdown(socket.SHUT_WR)
                client.settimeout(1)
                while client.recv(65536):
                    pass
            except OSError:
                pass
            return
        try:
            store = socket.create_connection(("127.0.0.1", port), timeout=60)
        except OSError:
            return
        with store:
            threading.Thread(target=pump, args=(store, client, path), daemon=True).start()
            pump(client, store, path)


def main():
    """Until it is ended."""
    port, target, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with socket.create_server(("127.0.0.1", port), backlog=256) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, target, path), daemon=True).start()


if __name__ == "__main__":
    main()
