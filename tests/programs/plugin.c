/* A library that calls back, with NAME in the names of its functions and frames of ROOM bytes. */
#define JOIN(a, b) a##_##b
#define JOIN2(a, b) JOIN(a, b)
#define NAMED(b) JOIN2(NAME, b)

static volatile int one = 1;

__attribute__((noinline, noclone)) int NAMED(plugin)(int (*call)(void))
{
    volatile char room[ROOM];
    room[0] = 1;
    return call() * room[0] * one;
}

int through(int (*call)(void))
{
    return NAMED(plugin)(call) * one;
}
