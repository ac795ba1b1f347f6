"""Threads that block in system calls below Python code of many shapes.

Once all are blocked, prints one line of JSON: for each thread the functions, files and lines of
its frames as the interpreter itself tells them, innermost first. Then sleeps.
"""
import asyncio
import contextlib
import functools
import json
import os
import socket
import sys
import threading
import time

BLOCKING = {43, 288, 232, 281, 7, 271, 270, 23}  # accept, epoll_wait, poll, select and kin


def listener():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def plain():
    def inner(sock):
        return (
            sock
            .accept()
        )

    inner(listener())


def comprehension():
    [
        [sock.accept() for _ in range(1)]
        for sock in [listener()]
    ]


def generator():
    def accepted(sock):
        while True:
            yield sock.accept()

    def delegated(sock):
        yield from accepted(sock)

    for _ in delegated(listener()):
        pass


def context():
    @contextlib.contextmanager
    def serving(sock):
        with contextlib.suppress(ValueError):
            sock.accept()
        yield

    with (
        listener() as sock,
        serving(sock),
    ):
        pass


class Server:
    class Handler:
        def __init__(self, sock):
            self.sock = sock

        def __call__(self):
            return self.accepted

        @property
        def accepted(self):
            return self.sock.accept()

        @classmethod
        def run(cls):
            return cls(listener())()


def through_c():
    """sorted() and functools.partial call back into Python."""
    accept = functools.partial(lambda sock, _: sock.accept(), listener())
    sorted([1, 2], key=accept)


def recursive(depth=100):
    return recursive(depth - 1) if depth else listener().accept()


def coroutine():
    async def wait(sock):
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        await loop.sock_accept(sock)

    async def main():
        await asyncio.gather(wait(listener()), asyncio.sleep(0))

    asyncio.run(main())


def handling():
    try:
        raise KeyError
    except KeyError:
        try:
            pass
        finally:
            listener().accept()


def compiled(file, function):
    source = f"\n\ndef {function}(sock):\n    x = 1\n\n    sock.accept()\n"
    names = {}
    exec(compile(source, file, "exec"), names)
    return lambda: names[function](listener())


SHAPES = [
    plain,
    comprehension,
    generator,
    context,
    Server.Handler.run,
    through_c,
    recursive,
    coroutine,
    handling,
    compiled("/tmp/café.py", "gétür"),
    compiled("/tmp/日本.py", "関数"),
    compiled("/tmp/🐍.py", "𐐀𐐁"),
    compiled("/tmp/" + "x" * 2000, "y" * 500),
]


def frames_of(frame):
    while frame is not None:
        code = frame.f_code
        yield [code.co_qualname, code.co_filename, frame.f_lineno]
        frame = frame.f_back


def is_blocked(thread):
    with open(f"/proc/self/task/{thread.native_id}/syscall") as call:
        number = call.read().split()[0]
    return number.isdigit() and int(number) in BLOCKING


def report():
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    in_a_row = 0  # An event loop is in epoll_wait for a moment before it really waits.
    while in_a_row < 5:
        in_a_row = in_a_row + 1 if all(is_blocked(thread) for thread in others) else 0
        time.sleep(0.02)
    me = threading.get_ident()
    stacks = {id: list(frames_of(frame)) for id, frame in sys._current_frames().items() if id != me}
    print(json.dumps(stacks), flush=True)
    time.sleep(600)


for shape in SHAPES:
    threading.Thread(target=shape, daemon=True).start()
main_socket = listener()
threading.Thread(target=report, daemon=True).start()
main_socket.accept()
