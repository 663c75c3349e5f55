/* SPDX-License-Identifier: Apache-2.0 */
/* A mapped file that is cut under its reader: zeros in guarded ranges, the end of the process elsewhere.
 *
 * Each test runs in a process of its own, because cmocka puts its own handlers in place around each test. There a check that
 * fails is an exit code: the line. */
#include "core/sigbus.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { PAGE = 4096, PAGES = 8 };

#define CHECK(condition) (void)((condition) || (exit_with(__LINE__), 0))

static void exit_with(int line)
{
    (void)fprintf(stderr, "%s:%d\n", __FILE__, line);
    _exit(1);
}

struct file {
    int fd;
    volatile uint8_t *base;
};

static struct file map_file(void)
{
    char name[] = "sigbus-XXXXXX";
    struct file f = { .fd = mkstemp(name) };

    CHECK(f.fd >= 0);
    CHECK(unlink(name) == 0);
    CHECK(ftruncate(f.fd, PAGES * PAGE) == 0);
    f.base = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, f.fd, 0);
    CHECK(f.base != MAP_FAILED);
    for (size_t i = 0; i < PAGES * PAGE; i++)
        f.base[i] = 'x';
    return f;
}

static void unmap_file(struct file *f)
{
    CHECK(munmap((void *)(uintptr_t)f->base, PAGES * PAGE) == 0);
    CHECK(close(f->fd) == 0);
}

/* What a child that does `act` ends with: its signal, or -1 when it ends well. */
static int end_of(void (*act)(struct file *f))
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = { 0, 0 };
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGBUS, SIG_DFL); /* what is there before the first guard */
        struct file f = map_file();
        act(&f);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        fail_msg("a check failed");
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static int guard_file(const struct file *f)
{
    return weft_sigbus_guard((void *)(uintptr_t)f->base, PAGES * PAGE);
}

static void cut_and_read(struct file *f)
{
    int guard = guard_file(f);

    CHECK(guard >= 0);
    CHECK(ftruncate(f->fd, 2 * PAGE) == 0);
    CHECK(f->base[PAGE] == 'x');
    CHECK(weft_sigbus_hits(guard) == 0);
    CHECK(f->base[5 * PAGE + 17] == 0);
    CHECK(weft_sigbus_hits(guard) == 1);
    f->base[7 * PAGE] = 'y'; /* a write goes nowhere, but it goes */
    CHECK(f->base[7 * PAGE] == 'y');
    CHECK(weft_sigbus_hits(guard) == 2);
    CHECK(f->base[5 * PAGE] == 0);
    CHECK(weft_sigbus_hits(guard) == 2); /* once a page */
    weft_sigbus_unguard(guard);
    unmap_file(f);
}

static void pages_of_a_file_that_was_cut_read_as_zeros(void **state)
{
    (void)state;
    assert_int_equal(end_of(cut_and_read), -1);
}

static void *read_in_a_thread(void *data)
{
    const struct file *f = data;

    weft_sigbus_block_others();
    return f->base[3 * PAGE] == 0 ? data : NULL;
}

static void cut_and_read_in_a_thread(struct file *f)
{
    pthread_t thread;
    void *result;

    CHECK(guard_file(f) >= 0);
    CHECK(ftruncate(f->fd, 0) == 0);
    CHECK(pthread_create(&thread, NULL, read_in_a_thread, f) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == f);
}

static void threads_that_block_signals_are_safe_too(void **state)
{
    (void)state;
    assert_int_equal(end_of(cut_and_read_in_a_thread), -1);
}

static void fill_the_table(struct file *f)
{
    static int guards[WEFT_SIGBUS_RANGES];

    for (size_t i = 0; i < WEFT_SIGBUS_RANGES; i++) {
        guards[i] = weft_sigbus_guard((void *)(uintptr_t)((i + 1) << 20), PAGE); /* never touched */
        CHECK(guards[i] >= 0);
    }
    CHECK(guard_file(f) < 0);
    weft_sigbus_unguard(guards[100]);
    CHECK(guard_file(f) == guards[100]);
    CHECK(ftruncate(f->fd, 0) == 0);
    CHECK(f->base[0] == 0);
    for (size_t i = 0; i < WEFT_SIGBUS_RANGES; i++)
        weft_sigbus_unguard(guards[i]);
    weft_sigbus_unguard(-1);
    CHECK(weft_sigbus_hits(-1) == 0);
}

static void slots_are_used_again_and_their_number_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(end_of(fill_the_table), -1);
}

static void cut_and_read_another(struct file *f)
{
    struct file other = map_file();

    CHECK(guard_file(f) >= 0);
    CHECK(ftruncate(other.fd, 0) == 0);
    CHECK(other.base[0] == 0);
}

static void cut_and_read_after_the_guard(struct file *f)
{
    weft_sigbus_unguard(guard_file(f));
    CHECK(ftruncate(f->fd, 0) == 0);
    CHECK(f->base[0] == 0);
}

static void be_killed(struct file *f)
{
    CHECK(guard_file(f) >= 0);
    (void)raise(SIGBUS);
    (void)raise(SIGBUS); /* the first one gives the signal back to the system */
}

static void faults_elsewhere_end_the_process_as_before(void **state)
{
    (void)state;
    assert_int_equal(end_of(cut_and_read_another), SIGBUS);
    assert_int_equal(end_of(cut_and_read_after_the_guard), SIGBUS);
    assert_int_equal(end_of(be_killed), SIGBUS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_a_file_that_was_cut_read_as_zeros),
        cmocka_unit_test(threads_that_block_signals_are_safe_too),
        cmocka_unit_test(slots_are_used_again_and_their_number_is_bounded),
        cmocka_unit_test(faults_elsewhere_end_the_process_as_before),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
