/* SPDX-License-Identifier: Apache-2.0 */
#include "core/endpoint.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>
#include <arpa/inet.h>
#include <cmocka.h>

static void render(const struct sockaddr_storage *a, char *text, size_t size)
{
    char host[64] = "?";
    unsigned port = 0;

    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        port = ntohs(v4->sin_port);
    } else if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        port = ntohs(v6->sin6_port);
    }
    (void)snprintf(text, size, "%s %u", host, port);
}

static void every_text_has_one_address_or_a_refusal(void **state)
{
    const struct { const char *text, *address; int err; } cases[] = {
        { "127.0.0.1:4317", "127.0.0.1 4317", 0 },
        { "0.0.0.0:0", "0.0.0.0 0", 0 },
        { "localhost:4318", "127.0.0.1 4318", 0 },
        { "[::1]:65535", "::1 65535", 0 },
        { "[::]:80", ":: 80", 0 },
        { ":4317", ":: 4317", 0 },
        { "", NULL, UV_EINVAL },
        { "127.0.0.1", NULL, UV_EINVAL },
        { "127.0.0.1:", NULL, UV_EINVAL },
        { "127.0.0.1:65536", NULL, UV_EINVAL },
        { "127.0.0.1:999999", NULL, UV_EINVAL },
        { "127.0.0.1:http", NULL, UV_EINVAL },
        { "127.0.0.1:-1", NULL, UV_EINVAL },
        { "::1:4317", NULL, UV_EINVAL },
        { "[]:4317", NULL, UV_EINVAL },
        { "[::1:4317", NULL, UV_EINVAL },
        { "http://localhost:4317", NULL, UV_EINVAL },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_storage a;
        socklen_t len;
        char text[96] = "-";
        if (weft_endpoint_well_formed(cases[i].text) != !cases[i].err)
            fail_msg("'%s': the form alone is judged otherwise", cases[i].text);
        int err = weft_endpoint_parse(cases[i].text, &a, &len);

        if (!err)
            render(&a, text, sizeof text);
        if (err != cases[i].err || (cases[i].address && strcmp(text, cases[i].address) != 0))
            fail_msg("\"%s\": %d, %s", cases[i].text, err, text);
    }
}

static void a_host_too_long_for_a_name_is_refused(void **state)
{
    char text[400];
    struct sockaddr_storage a;
    socklen_t len;
    (void)state;

    memset(text, 'a', sizeof text);
    memcpy(text + 300, ":1", 3);
    assert_int_equal(weft_endpoint_parse(text, &a, &len), UV_EINVAL);
}

static void a_listener_is_bound_non_blocking_and_close_on_exec(void **state)
{
    (void)state;

    int fd = weft_endpoint_listen("127.0.0.1:0", false, 16);
    assert_true(fd >= 0);
    assert_true(weft_endpoint_port(fd) > 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
}

static void a_port_is_shared_only_when_asked(void **state)
{
    char text[32];
    (void)state;

    int first = weft_endpoint_listen("127.0.0.1:0", true, 16);
    assert_true(first >= 0);
    (void)snprintf(text, sizeof text, "127.0.0.1:%d", weft_endpoint_port(first));
    int second = weft_endpoint_listen(text, true, 16);
    assert_true(second >= 0);
    assert_int_equal(weft_endpoint_listen(text, false, 16), UV_EADDRINUSE);
    close(first);
    close(second);
}

static void an_empty_host_takes_connections_of_both_families(void **state)
{
    (void)state;

    int fd = weft_endpoint_listen(":0", false, 16);
    assert_true(fd >= 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to.sin_port = htons((uint16_t)weft_endpoint_port(fd));
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
    close(client);
    close(fd);
}

static void the_port_of_what_is_no_socket_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(weft_endpoint_port(-1), UV_EBADF);
    assert_int_equal(weft_endpoint_port(STDIN_FILENO) < 0, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_has_one_address_or_a_refusal),
        cmocka_unit_test(a_host_too_long_for_a_name_is_refused),
        cmocka_unit_test(a_listener_is_bound_non_blocking_and_close_on_exec),
        cmocka_unit_test(a_port_is_shared_only_when_asked),
        cmocka_unit_test(an_empty_host_takes_connections_of_both_families),
        cmocka_unit_test(the_port_of_what_is_no_socket_is_an_error),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
