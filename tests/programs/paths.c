/*
 * Opens TCP sockets in call paths chosen by number, and never closes one.
 *
 * Commands on standard input, one a line; it ends when standard input does:
 *   listen K            listens on 10.77.0.1, any port        → port=N
 *   accept K            accepts one connection                → opened=K LOCAL REMOTE
 *   connect K ADDR PORT connects                              → opened=K LOCAL REMOTE
 *   eof K               reads the last socket of K to its end → ended=K
 *
 * K in base 8 is the path: each digit is one step below the next. Path K always runs in thread
 * K mod 4. The functions of a path, innermost first, are told as trail=K NAME,NAME,...
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 4
#define PATHS 4096
#define DEEPEST 256
#define STEP static __attribute__((noinline, noclone))

struct job {
    char what;
    unsigned path;
    unsigned left;
    struct sockaddr_in to;
};

struct worker {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job queue[PATHS];
    unsigned head, tail;
};

static struct worker workers[THREADS];
static int sockets[PATHS];
static int listener = -1;
static volatile int one = 1;

static __thread struct job *current;
static __thread const char *trail[DEEPEST];
static __thread unsigned deep;

STEP int step(struct job *job);

/* What follows a call, so that no call becomes a jump. */
#define AFTER(value) ((value) + one)
#define ENTER() (trail[deep++] = __func__)

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

STEP int leaf_listen(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    ENTER();
    inet_pton(AF_INET, "10.77.0.1", &at.sin_addr);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024))
        fail("listen");
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("port=%d\n", ntohs(at.sin_port));
    return AFTER(0);
}

STEP int leaf_accept(void)
{
    int fd;
    ENTER();
    do
        fd = accept(listener, NULL, NULL);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        fail("accept");
    return fd;
}

STEP int leaf_connect(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ENTER();
    if (connect(fd, (const struct sockaddr *)to, sizeof *to))
        fail("connect");
    return fd;
}

STEP int leaf_eof(int fd)
{
    char buffer[512];
    ssize_t got;
    ENTER();
    do
        got = read(fd, buffer, sizeof buffer);
    while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0)
        fail("read");
    return AFTER(0);
}

static void tell_opened(const struct job *job, int fd)
{
    struct sockaddr_in local, remote;
    socklen_t size = sizeof local;
    getsockname(fd, (struct sockaddr *)&local, &size);
    getpeername(fd, (struct sockaddr *)&remote, &size);
    printf("opened=%u %d %d\n", job->path, ntohs(local.sin_port), ntohs(remote.sin_port));
}

STEP int leaf(struct job *job)
{
    ENTER();
    switch (job->what) {
    case 'l':
        return AFTER(leaf_listen());
    case 'e':
        return AFTER(leaf_eof(sockets[job->path]));
    case 'a':
        return sockets[job->path] = leaf_accept();
    default:
        return sockets[job->path] = leaf_connect(&job->to);
    }
}

STEP int plain(struct job *job)
{
    ENTER();
    return AFTER(step(job));
}

/* A frame whose size is known at run time only. */
STEP int variable(struct job *job)
{
    unsigned size = 100 + job->path * 13 % 3000;
    volatile char *room = alloca(size);
    ENTER();
    memset((char *)room, 0x5a, size);
    return AFTER(step(job)) + room[size / 2];
}

STEP int down(struct job *job, unsigned depth)
{
    ENTER();
    return depth ? AFTER(down(job, depth - 1)) : AFTER(step(job));
}

/* The same return address many times. */
STEP int recursive(struct job *job)
{
    ENTER();
    return AFTER(down(job, job->path % 29));
}

/* A frame with an alignment larger than the ABI's and a size known at run time only: its caller's
 * frame is found through memory. */
STEP int aligned(struct job *job)
{
    _Alignas(64) volatile char wide[128];
    volatile char *room = alloca(1 + job->path % 777);
    ENTER();
    wide[job->path % 128] = room[0] = 1;
    return AFTER(step(job)) + wide[job->path % 128] + room[0];
}

/* More stack than anyone copies. */
STEP int huge(struct job *job)
{
    volatile char room[64 << 10];
    ENTER();
    room[job->path] = 1;
    return AFTER(step(job)) + room[job->path];
}

STEP int compare(const void *left, const void *right)
{
    ENTER();
    (void)left, (void)right;
    return step(current) > 0 ? one : -one;
}

/* Through the C library and back. */
STEP int sorted(struct job *job)
{
    int pair[2] = {1, 2};
    ENTER();
    current = job;
    qsort(pair, 2, sizeof pair[0], compare);
    return AFTER(pair[0]);
}

STEP void on_signal(int number)
{
    ENTER();
    (void)number;
    step(current);
    one = 1;
}

/* Through a signal frame of the kernel. */
STEP int signalled(struct job *job)
{
    ENTER();
    current = job;
    pthread_kill(pthread_self(), SIGUSR1);
    return AFTER(0);
}

static int (*const steps[8])(struct job *) = {
    plain, variable, recursive, aligned, huge, sorted, plain, signalled,
};

STEP int step(struct job *job)
{
    ENTER();
    if (job->left == 0)
        return AFTER(leaf(job));
    unsigned digit = job->left % 8;
    job->left /= 8;
    return AFTER(steps[digit](job));
}

/* Leaves words below the stack pointer that look like return addresses. */
STEP void litter(void)
{
    void *volatile junk[4096];
    for (unsigned i = 0; i < 4096; i++)
        junk[i] = (char *)steps[i % 8] + i % 64;
    (void)junk[one];
}

static void tell_trail(const struct job *job)
{
    printf("trail=%u ", job->path);
    for (unsigned i = deep; i > 0; i--)
        printf("%s%s", trail[i - 1], i > 1 ? "," : "\n");
}

STEP void run(struct job *job)
{
    litter();
    deep = 0;
    step(job);
    flockfile(stdout);
    tell_trail(job);
    if (job->what == 'a' || job->what == 'c')
        tell_opened(job, sockets[job->path]);
    else if (job->what == 'e')
        printf("ended=%u\n", job->path);
    funlockfile(stdout);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (;;) {
        pthread_mutex_lock(&worker->lock);
        while (worker->head == worker->tail)
            pthread_cond_wait(&worker->changed, &worker->lock);
        struct job job = worker->queue[worker->head++ % PATHS];
        pthread_mutex_unlock(&worker->lock);
        run(&job);
    }
    return NULL;
}

static void give(const struct job *job)
{
    struct worker *worker = &workers[job->path % THREADS];
    pthread_mutex_lock(&worker->lock);
    worker->queue[worker->tail++ % PATHS] = *job;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

static void start(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER | SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        pthread_mutex_init(&workers[i].lock, NULL);
        pthread_cond_init(&workers[i].changed, NULL);
        if (pthread_create(&thread, NULL, work, &workers[i]))
            fail("pthread_create");
    }
}

int main(void)
{
    char line[128], what[16], address[64] = "";
    start();
    puts("ready");
    while (fgets(line, sizeof line, stdin)) {
        struct job job = {.to = {.sin_family = AF_INET}};
        unsigned port = 0;
        if (sscanf(line, "%15s %u %63s %u", what, &job.path, address, &port) < 2)
            continue;
        job.what = what[0];
        job.path %= PATHS;
        job.left = job.path;
        job.to.sin_port = htons(port);
        inet_pton(AF_INET, address, &job.to.sin_addr);
        give(&job);
    }
    return 0;
}
