"""The commands and answers of paths.c for CPython: threads, sorting with a callback, recursion,
a generator, a decorator, a method called by C code. K in base 6 is the path."""

import functools
import queue
import socket
import sys
import threading

THREADS = 2
sockets = {}
listener = socket.socket()


def plain(job, left):
    return step(job, left)


def recursive(job, left):
    def down(depth):
        return down(depth - 1) if depth else step(job, left)

    return down(job[1] % 9)


def ordered(job, left):
    return sorted([1], key=lambda _: step(job, left) or 0)


def generated(job, left):
    return list(step(job, left) for _ in range(1))


@functools.lru_cache(maxsize=0)
def cached(job, left):
    return step(job, left)


class Called:
    def __init__(self, job, left):
        step(job, left)


STEPS = [plain, recursive, ordered, generated, cached, Called]


def step(job, left):
    if left == 0:
        leaf(*job)
    else:
        STEPS[left % 6](job, left // 6)


def leaf(what, path, *to):
    if what == "listen":
        listener.bind(("10.77.0.1", 0))
        listener.listen(64)
        say(f"port={listener.getsockname()[1]}")
    elif what == "accept":
        keep(path, listener.accept()[0])
    elif what == "connect":
        connecting = socket.socket()
        connecting.connect((to[0], int(to[1])))
        keep(path, connecting)
    else:
        while sockets[path].recv(256):
            pass
        say(f"ended={path}")


def keep(path, connection):
    # The number is used again; what it named stays open.
    sockets.setdefault("all", []).append(connection)
    sockets[path] = connection
    say(f"opened={path} {connection.getsockname()[1]} {connection.getpeername()[1]}")


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def work(jobs):
    while True:
        job = jobs.get()
        step(job, job[1])


def main():
    threads = [queue.Queue() for _ in range(THREADS)]
    for jobs in threads:
        threading.Thread(target=work, args=(jobs,), daemon=True).start()
    say("ready")
    for line in sys.stdin:
        what, path, *to = line.split()
        threads[int(path) % THREADS].put((what, int(path), *to))


main()
