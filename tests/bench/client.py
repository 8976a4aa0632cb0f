"""A client that cannot hide a failure: each request resolves the name anew and is sent once.

It runs by itself inside a container's network namespace: ``client.py NAME``. It says ``begun``
after its first good answer, and at the end of its input how it went, as JSON.
"""

from __future__ import annotations

import json
import random
import secrets
import select
import socket
import struct
import sys
import time
from collections import Counter

INTERVAL = 0.005
PATIENCE = 2.0
_DNS = ("127.0.0.11", 53)
_POINTER = 0xC0


def resolve(name: str) -> list[str]:
    """Ask the engine's DNS server for the addresses of a service."""
    number = secrets.randbits(16)
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b"."))
    question = labels + b"\0" + struct.pack("!HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(PATIENCE)
        asked.connect(_DNS)
        asked.send(struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + question)
        answer = asked.recv(4096)
    echoed, _, _, count, _, _ = struct.unpack("!6H", answer[:12])
    if echoed != number:
        raise OSError("an answer to another question")
    # Each record: name, type, class, time to live, length, address.
    addresses, place = [], 12 + len(question)
    for _ in range(count):
        pointer = answer[place] >= _POINTER
        place = place + 2 if pointer else answer.index(b"\0", place) + 1
        addresses.append(socket.inet_ntoa(answer[place + 10 : place + 14]))
        place += 14
    if not addresses:
        raise OSError("the name has no address")
    return addresses


def ask(address: str) -> None:
    """Send one request; raises ``OSError`` for whatever is no good answer."""
    with socket.create_connection((address, 80), PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    if answer.split(b" ")[1:2] != [b"200"]:
        raise OSError(f"it answered {answer[:40]!r}")


def request(name: str) -> str:
    """Send one request; returns what went wrong, if anything."""
    try:
        ask(random.choice(resolve(name)))
    except OSError as error:
        return str(error)
    return ""


def begin(name: str) -> None:
    """Wait for the first good answer."""
    end = time.monotonic() + 30.0
    while error := request(name):
        if time.monotonic() > end:
            sys.exit(error)
        time.sleep(INTERVAL)


def main(name: str) -> None:
    """Send requests until the input ends."""
    begin(name)
    print("begun", flush=True)
    requests, gap, last = 0, 0.0, time.monotonic()
    failures: Counter[str] = Counter()
    over = False
    while not over:
        began = time.monotonic()
        error = request(name)
        now = time.monotonic()
        requests += 1
        gap = max(gap, now - last)
        if error:
            failures[error] += 1
        else:
            last = now
        pause = max(0.0, INTERVAL - (now - began))
        over = bool(select.select([sys.stdin], [], [], pause)[0])
    print(json.dumps({"requests": requests, "failures": failures, "longest_gap": gap}))


if __name__ == "__main__":
    main(sys.argv[1])
