/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are answered later, over real sockets: each waiter comes back once, whatever becomes of its client. */
#include "core/err.h"
#include "core/grpc_server.h"
#include "tests/support/grpc_caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { WAITERS = 256 };

static const char *const methods[] = { "/test.Service/Call", NULL };

struct rig {
    uv_loop_t loop;
    struct weft_grpc_server *server;
    void *handles[WAITERS];
    bool back[WAITERS];
    unsigned calls, gone;
    struct grpc_caller caller;
};

static void on_call(void *ctx, const struct weft_grpc_call *call, struct weft_grpc_answer *answer)
{
    struct rig *rig = ctx;

    assert_true(rig->calls < WAITERS);
    rig->handles[rig->calls] = call->handle;
    answer->waiter = &rig->handles[rig->calls++];
}

static void on_gone(void *ctx, void *waiter)
{
    struct rig *rig = ctx;
    size_t i = (size_t)((void **)waiter - rig->handles);

    assert_in_range(i, 0, WAITERS - 1);
    assert_false(rig->back[i]);
    rig->back[i] = true;
    rig->gone++;
}

static struct rig *open_rig(uint64_t request_timeout_ms)
{
    static struct rig rig;
    const char *error = "";
    struct weft_grpc_server_options o = {
        .endpoint = "127.0.0.1:0",
        .limits = { .max_message_size = 1 << 20, .max_inflight = 4 << 20, .request_timeout_ms = request_timeout_ms },
        .handlers = { .ctx = &rig, .methods = methods, .on_call = on_call, .on_gone = on_gone },
    };

    memset(&rig, 0, sizeof rig);
    assert_int_equal(uv_loop_init(&rig.loop), 0);
    if (weft_grpc_server_open(&rig.server, &rig.loop, &o, &error))
        fail_msg("%s", error);
    grpc_caller_connect(&rig.caller, &rig.loop, weft_grpc_server_port(rig.server));
    return &rig;
}

static void close_rig(struct rig *rig)
{
    weft_grpc_server_close(rig->server);
    assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    grpc_caller_close(&rig->caller);
}

static int32_t call(struct rig *rig)
{
    return grpc_caller_call(&rig->caller, &(struct grpc_request){ .body = WEFT_SLICE("\0\0\0\0\1a") });
}

static void carry(struct rig *rig, unsigned calls)
{
    for (int turn = 0; turn < 200 && rig->calls < calls; turn++)
        (void)grpc_caller_wait_hangup(&rig->caller, 10);
    assert_int_equal(rig->calls, calls);
}

static void answer(struct rig *rig, unsigned i)
{
    struct weft_grpc_answer a = { .body = WEFT_SLICE("durable") };

    assert_false(rig->back[i]);
    rig->back[i] = true;
    weft_grpc_server_answer(rig->server, rig->handles[i], &a);
}

static void a_call_is_answered_when_its_waiter_says_so(void **state)
{
    struct rig *rig = open_rig(0);
    (void)state;

    int32_t id = call(rig);
    carry(rig, 1);
    assert_int_equal(weft_grpc_server_in_hand(rig->server), 1);
    assert_string_equal(grpc_caller_reply(&rig->caller, id)->grpc_status, "");
    answer(rig, 0);
    const struct grpc_reply *r = grpc_caller_wait(&rig->caller, id);
    assert_string_equal(r->grpc_status, "0");
    assert_int_equal(r->body_len, 12);
    assert_int_equal(weft_grpc_server_in_hand(rig->server), 0);
    assert_int_equal(rig->gone, 0);
    close_rig(rig);
}

static void many_calls_of_one_connection_wait_and_are_answered_in_any_order(void **state)
{
    struct rig *rig = open_rig(0);
    int32_t ids[200];
    (void)state;

    for (unsigned i = 0; i < 200; i++)
        ids[i] = call(rig);
    carry(rig, 200);
    for (unsigned i = 200; i-- > 0;)
        answer(rig, i);
    for (unsigned i = 0; i < 200; i++)
        assert_string_equal(grpc_caller_wait(&rig->caller, ids[i])->grpc_status, "0");
    assert_int_equal(rig->gone, 0);
    close_rig(rig);
}

static void a_client_that_hangs_up_gives_its_waiters_back(void **state)
{
    struct rig *rig = open_rig(0);
    (void)state;

    for (unsigned i = 0; i < 5; i++)
        (void)call(rig);
    carry(rig, 5);
    answer(rig, 2); /* not sent yet when the connection goes */
    grpc_caller_close(&rig->caller);
    for (int turn = 0; turn < 1000 && weft_grpc_server_connections(rig->server) > 0; turn++)
        (void)uv_run(&rig->loop, UV_RUN_ONCE);
    assert_int_equal(rig->gone, 4);
    memset(&rig->caller, 0, sizeof rig->caller);
    rig->caller.fd = -1;
    grpc_caller_connect(&rig->caller, &rig->loop, weft_grpc_server_port(rig->server));
    close_rig(rig);
}

static void a_call_that_waits_past_its_deadline_is_told_to_come_again(void **state)
{
    struct rig *rig = open_rig(100);
    (void)state;

    int32_t id = call(rig);
    carry(rig, 1);
    const struct grpc_reply *r = grpc_caller_wait(&rig->caller, id);
    assert_string_equal(r->grpc_status, "14");
    assert_int_equal(rig->gone, 1);
    close_rig(rig);
}

static void calls_that_wait_finish_after_quiesce_and_then_the_connection_ends(void **state)
{
    struct rig *rig = open_rig(0);
    (void)state;

    int32_t id = call(rig);
    carry(rig, 1);
    weft_grpc_server_quiesce(rig->server);
    (void)grpc_caller_wait_hangup(&rig->caller, 20);
    assert_int_equal(weft_grpc_server_in_hand(rig->server), 1);
    answer(rig, 0);
    assert_string_equal(grpc_caller_wait(&rig->caller, id)->grpc_status, "0");
    assert_true(grpc_caller_wait_hangup(&rig->caller, 10000));
    close_rig(rig);
}

static void closing_gives_every_waiter_back(void **state)
{
    struct rig *rig = open_rig(0);
    (void)state;

    for (unsigned i = 0; i < 20; i++)
        (void)call(rig);
    carry(rig, 20);
    answer(rig, 7);
    weft_grpc_server_close(rig->server);
    assert_int_equal(rig->gone, 19);
    close_rig(rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_answered_when_its_waiter_says_so),
        cmocka_unit_test(many_calls_of_one_connection_wait_and_are_answered_in_any_order),
        cmocka_unit_test(a_client_that_hangs_up_gives_its_waiters_back),
        cmocka_unit_test(a_call_that_waits_past_its_deadline_is_told_to_come_again),
        cmocka_unit_test(calls_that_wait_finish_after_quiesce_and_then_the_connection_ends),
        cmocka_unit_test(closing_gives_every_waiter_back),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
