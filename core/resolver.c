/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.c: see resolver.h.
 *
 * The question is shared by the thread and the asker: whoever is through with it last frees it. `asker` is NULL once
 * it was cancelled; both look at it under the lock, so that a closed uv_async_t is never signalled.
 */
#include "core/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_MAX = 256, PORT_MAX = 8, STACK = 512 * 1024 };

struct question {
    pthread_mutex_t lock;
    struct weft_resolver *asker;
    bool answered;
    char host[HOST_MAX], port[PORT_MAX];
    int err;
    struct addrinfo *addresses;
};

struct weft_resolver {
    uv_async_t async;
    struct question *question;
    void *ctx;
    void (*done)(void *ctx, int err, struct addrinfo *addresses);
};

int weft_resolver_err(int code)
{
    switch (code) {
    case 0:          return 0;
    case EAI_AGAIN:  return UV_EAI_AGAIN;
    case EAI_FAIL:   return UV_EAI_FAIL;
    case EAI_FAMILY: return UV_EAI_FAMILY;
    case EAI_MEMORY: return UV_EAI_MEMORY;
    case EAI_SYSTEM: return errno ? -errno : UV_EAI_FAIL;
    default:         return UV_EAI_NONAME;
    }
}

static void question_free(struct question *q)
{
    if (q->addresses)
        freeaddrinfo(q->addresses);
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
}

static void *answer(void *arg)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG };
    struct question *q = arg;

    q->err = weft_resolver_err(getaddrinfo(q->host, q->port, &hints, &q->addresses));
    (void)pthread_mutex_lock(&q->lock);
    q->answered = true;
    bool wanted = q->asker != NULL;
    if (wanted)
        (void)uv_async_send(&q->asker->async);
    (void)pthread_mutex_unlock(&q->lock);
    if (!wanted)
        question_free(q);
    return NULL;
}

/* Detached, and deaf to signals: those are the main thread's. */
static int start_thread(struct question *q)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t thread;

    int err = pthread_attr_init(&attr);
    if (err)
        return -err;
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread, &attr, answer, q);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return -err;
}

static void on_closed(uv_handle_t *handle)
{
    free((struct weft_resolver *)handle);
}

/* The asker's side lets go of the question. */
static void let_go(struct weft_resolver *r)
{
    struct question *q = r->question;

    (void)pthread_mutex_lock(&q->lock);
    q->asker = NULL;
    bool last = q->answered;
    (void)pthread_mutex_unlock(&q->lock);
    if (last)
        question_free(q);
    uv_close((uv_handle_t *)&r->async, on_closed);
}

static void on_async(uv_async_t *async)
{
    struct weft_resolver *r = (struct weft_resolver *)async;
    struct question *q = r->question;

    (void)pthread_mutex_lock(&q->lock); /* the thread may still hold it */
    int err = q->err;
    struct addrinfo *addresses = q->addresses;
    q->addresses = NULL;
    (void)pthread_mutex_unlock(&q->lock);
    let_go(r);
    r->done(r->ctx, err, addresses);
}

static struct question *question_new(const char *host, const char *port)
{
    struct question *q = calloc(1, sizeof *q);

    if (!q || pthread_mutex_init(&q->lock, NULL)) {
        free(q);
        return NULL;
    }
    memcpy(q->host, host, strlen(host) + 1);
    memcpy(q->port, port, strlen(port) + 1);
    return q;
}

int weft_resolver_ask(struct weft_resolver **ret_resolver, uv_loop_t *loop, const char *host, const char *port, void *ctx,
                      void (*done)(void *ctx, int err, struct addrinfo *addresses))
{
    if (strlen(host) >= HOST_MAX || strlen(port) >= PORT_MAX)
        return UV_EAI_NONAME;
    struct weft_resolver *r = calloc(1, sizeof *r);
    struct question *q = r ? question_new(host, port) : NULL;
    int err = q ? uv_async_init(loop, &r->async, on_async) : UV_ENOMEM;
    if (err) {
        if (q)
            question_free(q);
        free(r);
        return err;
    }
    r->question = q;
    r->ctx = ctx;
    r->done = done;
    q->asker = r;
    err = start_thread(q);
    if (err) {
        q->answered = true; /* no thread will: the question goes with the asker */
        let_go(r);
        return err;
    }
    *ret_resolver = r;
    return 0;
}

void weft_resolver_cancel(struct weft_resolver *r)
{
    let_go(r);
}
