#!/bin/busybox sh
# The first program of a guest. It makes a root file system of the host's files, which it can only
# read, under a layer in memory, which takes what is written, and goes on there as /run/guest.
b=/bin/busybox
fail() { echo "vm: $1"; $b poweroff -f; }

for name in $($b cat /modules/order); do
    $b insmod "/modules/$name.ko" || fail "module $name does not load"
done
shared='trans=virtio,version=9p2000.L,msize=512000'
$b mount -t 9p -o "$shared,ro,cache=loose" root /host || fail 'no root file system'
$b mount -t tmpfs layer /layer
$b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /new ||
    fail 'no layer over the root file system'

cd /new || fail 'no new root'
$b mkdir -p proc sys dev run tmp
$b chmod 1777 tmp
$b mount -t proc proc proc
$b mount -t sysfs sysfs sys
$b mount -t devtmpfs devtmpfs dev
$b mkdir -p dev/pts dev/shm
$b mount -t devpts devpts dev/pts
$b mount -t tmpfs shm dev/shm
$b mount -t tmpfs -o mode=755 run run
$b mount -t tracefs tracefs sys/kernel/tracing
$b mount -t securityfs securityfs sys/kernel/security
$b mount -t cgroup2 cgroup2 sys/fs/cgroup

$b mkdir run/jobs
$b mount -t 9p -o "$shared" jobs run/jobs || fail 'no directory for results'
$b cp /guest /try /bin/busybox run/
exec $b switch_root /new /run/guest
