"""A server all of whose names attack whoever reads them: its own, that of the function that
accepts, and that of the file which this claims to be from. Keeps the first connection open and closes
each later one when its peer has."""

import socket
import sys

EVIL = "evil\x1b[2J\x1b]0;title\x07\u202e\u2066\n\r\x9b31m<script>&\"'`\u200b"


def renamed(source):
    """A function of that source, which nobody would call so."""
    scope = {}
    exec(compile(source, "/srv/" + EVIL + ".py", "exec"), scope)
    function = scope["accept"]
    function.__code__ = function.__code__.replace(co_name=EVIL, co_qualname=EVIL)
    return function


def main():
    with open("/proc/self/comm", "wb") as comm:
        comm.write(b"evil\x1b[2J\xe2\x80\xae\xff\n\x9b")
    accept = renamed("def accept(listener):\n    return listener.accept()[0]\n")
    listener = socket.create_server((sys.argv[1], 0))
    print(f"port={listener.getsockname()[1]}", flush=True)
    kept = accept(listener)
    print("accepted=1", flush=True)
    while True:
        with accept(listener) as connection:
            connection.recv(1)
        print("closed=1", flush=True)


main()
