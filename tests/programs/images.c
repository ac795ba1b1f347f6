/*
 * A program that becomes others. Compiled with different NAMEs it has the same code at the same
 * addresses under other names; ROOM is the size of its frames.
 *
 * Commands on standard input, one a line; it ends when standard input does:
 *   listen                                  → port=N
 *   accept                                  → opened=0 LOCAL REMOTE
 *   become PROGRAM      accepts, and runs the program at once; it goes on with the commands
 *   exec PROGRAM        runs the program, called from the first thread
 *   exec-thread PROGRAM the same, called from another thread
 *   fork                a child goes on with the commands until `leave`, which gives them back
 *   fork-as PID         the same with a pid that is free
 *   short               a child with the same descriptors accepts and is gone at once
 *   load LIBRARY        → loaded=ADDRESS; a library that was loaded before is unloaded first
 *   plugin              accepts through the library
 *   plugin-and-stay     the same, and does not return to the library: it ends with its input
 *   jit                 accepts through code made at run time that /tmp/perf-PID.map names
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOIN(a, b) a##_##b
#define JOIN2(a, b) JOIN(a, b)
#define NAMED(b) JOIN2(NAME, b)
#define APART __attribute__((noinline, noclone))

static int listener = -1;
static volatile int one = 1;
static void *library;
static int (*through)(int (*)(void));

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void tell_opened(int fd)
{
    struct sockaddr_in local, remote;
    socklen_t size = sizeof local;
    getsockname(fd, (struct sockaddr *)&local, &size);
    getpeername(fd, (struct sockaddr *)&remote, &size);
    printf("opened=0 %d %d\n", ntohs(local.sin_port), ntohs(remote.sin_port));
}

APART int NAMED(inner)(void)
{
    volatile char room[ROOM];
    room[0] = 1;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        fail("accept");
    return fd * room[0] * one;
}

APART int NAMED(outer)(void)
{
    volatile char room[ROOM];
    room[1] = 1;
    return NAMED(inner)() * room[1] * one;
}

static void listen_any(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    inet_pton(AF_INET, "10.77.0.1", &at.sin_addr);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 64))
        fail("listen");
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("port=%d\n", ntohs(at.sin_port));
}

static void *run(void *program)
{
    char number[16];
    snprintf(number, sizeof number, "%d", listener);
    execl(program, program, number, NULL);
    fail(program);
    return NULL;
}

static void run_in_thread(char *program)
{
    pthread_t thread;
    pthread_create(&thread, NULL, run, program);
    for (;;)
        pause();
}

/* What the child opens stays with the parent. Returns in the child, and in the parent when the child has left. */
static void fork_as(pid_t pid)
{
    struct clone_args how = {.flags = CLONE_FILES, .exit_signal = SIGCHLD};
    if (pid)
        how.set_tid = (uint64_t)(uintptr_t)&pid, how.set_tid_size = 1;
    long child = syscall(SYS_clone3, &how, sizeof how);
    if (child < 0)
        fail("clone3");
    if (child) {
        waitpid(child, NULL, 0);
        puts("left");
    } else {
        printf("child=%ld\n", syscall(SYS_getpid));
    }
}

/* What it opens stays with the parent. */
APART void accept_shortly(void)
{
    long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (child < 0)
        fail("clone");
    if (child == 0) {
        syscall(SYS_exit_group, NAMED(outer)());
    }
    int status;
    waitpid(child, &status, 0);
    tell_opened(WEXITSTATUS(status));
}

static void load(const char *path)
{
    if (library && dlclose(library))
        fail("dlclose");
    library = dlopen(path, RTLD_NOW);
    if (!library)
        fail(dlerror());
    *(void **)&through = dlsym(library, "through");
    printf("loaded=%p\n", (void *)through);
}

APART int accept_and_stay(void)
{
    char byte;
    tell_opened(NAMED(outer)());
    while (read(0, &byte, 1) > 0)
        ;
    _exit(0);
}

/* push rbp; mov rbp, rsp; call rdi; pop rbp; ret */
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};

APART int accept_jit(void)
{
    char path[64];
    void *made = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(made, code, sizeof code);
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(path, "a");
    if (!map)
        fail(path);
    fprintf(map, "%lx %zx jitted_serve\n", (unsigned long)made, sizeof code);
    fclose(map);
    return ((int (*)(int (*)(void)))made)(NAMED(outer)) * one;
}

/* One byte after the other: what was not read is there for the next program. */
static int next_line(char *line, size_t size)
{
    size_t length = 0;
    while (length + 1 < size && read(0, line + length, 1) == 1) {
        if (line[length++] == '\n') {
            line[length - 1] = 0;
            return 1;
        }
    }
    return 0;
}

int main(int count, char **arguments)
{
    char line[512];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count > 1)
        listener = atoi(arguments[1]);
    puts("ready");
    while (next_line(line, sizeof line)) {
        char *argument = strchr(line, ' ');
        argument = argument ? (*argument = 0, argument + 1) : line;
        if (!strcmp(line, "listen"))
            listen_any();
        else if (!strcmp(line, "accept"))
            tell_opened(NAMED(outer)());
        else if (!strcmp(line, "become"))
            NAMED(outer)(), run(argument);
        else if (!strcmp(line, "exec"))
            run(argument);
        else if (!strcmp(line, "exec-thread"))
            run_in_thread(argument);
        else if (!strcmp(line, "fork"))
            fork_as(0);
        else if (!strcmp(line, "fork-as"))
            fork_as(atoi(argument));
        else if (!strcmp(line, "short"))
            accept_shortly();
        else if (!strcmp(line, "load"))
            load(argument);
        else if (!strcmp(line, "plugin"))
            tell_opened(through(NAMED(outer)));
        else if (!strcmp(line, "plugin-and-stay"))
            through(accept_and_stay);
        else if (!strcmp(line, "jit"))
            tell_opened(accept_jit());
        else if (!strcmp(line, "leave"))
            _exit(0);
        else
            fail(line);
    }
    return 0;
}
