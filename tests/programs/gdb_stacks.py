"""What gdb says of the stack at each event of TCP sockets in the process it is attached to.

Run inside gdb: `gdb -nx -q -batch -p PID -x gdb_stacks.py`. Says `ready` once, then for each event
one line, until it is interrupted or the process ends:

    stack KIND LOCAL_PORT REMOTE_PORT THREAD PC/NAME PC/NAME ...

KIND is listen, accept, connect or eof. Frames are physical ones, innermost first: a function that
was inlined has no frame of its own. A name has no blanks; `?` stands for none.
"""

import os
import re

import gdb

SETTINGS = [
    "pagination off",
    "confirm off",
    "debuginfod enabled off",
    "auto-solib-add on",
    "backtrace past-main on",
    "backtrace past-entry on",
    "backtrace limit 400",
    "print frame-arguments none",
    "non-stop off",
    "suppress-cli-notifications on",
]

OPENERS = {42: "connect", 43: "accept", 50: "listen", 288: "accept"}
READS = {0: "eof", 19: "eof", 45: "eof", 47: "eof"}
CATCH = "catch syscall accept accept4 connect listen read readv recvfrom recvmsg"
EINPROGRESS = -115


def ports(inode):
    """The ports of a TCP socket, or None."""
    with open(f"/proc/{gdb.selected_inferior().pid}/net/tcp") as table:
        for line in table.readlines()[1:]:
            words = line.split()
            if words[9] == inode:
                return [int(words[at].split(":")[1], 16) for at in (1, 2)]
    return None


def socket_inode(fd):
    """The inode of the socket behind a descriptor, or None."""
    try:
        link = os.readlink(f"/proc/{gdb.selected_inferior().pid}/fd/{fd}")
    except OSError:
        return None
    found = re.fullmatch(r"socket:\[(\d+)\]", link)
    return found.group(1) if found else None


def register(name):
    """A register of the innermost frame, as a signed number."""
    value = int(gdb.newest_frame().read_register(name)) & (2**64 - 1)
    return value - 2**64 if value >= 2**63 else value


def event():
    """The kind and the descriptor, where a system call of ours returned well.

    gdb also stops where one is entered; the result is ENOSYS there.
    """
    number, result = register("orig_rax"), register("rax")
    first = register("rdi")
    if number in READS:
        return ("eof", first) if result == 0 else None
    kind = OPENERS.get(number)
    if kind == "accept":
        return (kind, result) if result >= 0 else None
    good = result == 0 or (kind == "connect" and result == EINPROGRESS)
    return (kind, first) if kind and good else None


def frames():
    """Program counters and names of the physical frames."""
    found = []
    frame = gdb.newest_frame()
    # Go ends its stacks with a return address of 0.
    while frame is not None and frame.pc() != 0:
        if frame.type() != gdb.INLINE_FRAME:
            found.append((frame.pc(), "".join((frame.name() or "?").split())))
        try:
            frame = frame.older()
        except gdb.error:
            break
    return found


def report():
    """Says the stack of the event that stopped the process, if it is one."""
    found = event()
    inode = found and socket_inode(found[1])
    pair = inode and ports(inode)
    if not pair:
        return
    stack = " ".join(f"{pc:x}/{name}" for pc, name in frames())
    thread = gdb.selected_thread().ptid[1]
    print(f"stack {found[0]} {pair[0]} {pair[1]} {thread} {stack}", flush=True)


def main():
    """Prepares gdb, then follows the process."""
    for setting in SETTINGS:
        try:
            gdb.execute(f"set {setting}")
        except gdb.error:
            pass  # This gdb does not have it.
    gdb.execute("handle all nostop noprint pass", to_string=True)
    gdb.execute(CATCH, to_string=True)
    stops = []
    gdb.events.stop.connect(stops.append)
    print("ready", flush=True)
    try:
        follow(stops)
    except KeyboardInterrupt:
        pass  # It was told to end; gdb detaches by itself.


def follow(stops):
    """Goes from event to event."""
    while gdb.selected_inferior().pid:
        gdb.execute("continue", to_string=True)
        if not stops or isinstance(stops.pop(), gdb.SignalEvent):
            break
        report()


main()
