# Connects, two functions deep, reads end-of-file and closes; a first round, and another when told to.
import socket, sys


def once(address):
    with socket.create_connection(address) as connection:
        connection.recv(1)


def loop(address, count):
    for _ in range(count):
        once(address)


address = (sys.argv[1], int(sys.argv[2]))
for count in sys.argv[3:]:
    loop(address, int(count))
    print(f"called={count}", flush=True)
    sys.stdin.readline()
