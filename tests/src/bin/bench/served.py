# Accepts connections, two functions deep, and closes them.
import socket, sys


def handle(listener):
    connection, _ = listener.accept()
    connection.close()


def loop(listener, count):
    for _ in range(count):
        handle(listener)


listener = socket.create_server((sys.argv[1], 0), backlog=512)
print(f"port={listener.getsockname()[1]}", flush=True)
loop(listener, int(sys.argv[2]))
print("served", flush=True)
