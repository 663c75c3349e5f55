/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_saver.c: see filelog_saver.h. Everything but the handle and the thread is under the lock. */
#include "receivers/filelog_saver.h"

#include "receivers/filelog_positions.h"

#include "core/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct weft_filelog_saver {
    uv_async_t done_async;
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t more;
    void (*on_done)(void *data, uint64_t ticket, int err);
    void *data;
    int dir_fd;
    char name[WEFT_FILELOG_NAME_MAX];
    struct weft_buf waiting;
    uint64_t wanted, done;   /* tickets */
    int err;                 /* of the last save */
    bool ending, joined;
};

/* On the saver's thread. */
static void save_one(struct weft_filelog_saver *s)
{
    struct weft_buf bytes = s->waiting;
    const uint64_t ticket = s->wanted;

    s->waiting = (struct weft_buf){ 0 };
    uv_mutex_unlock(&s->lock);
    int err = weft_filelog_positions_store(s->dir_fd, s->name, weft_buf_slice(&bytes));
    weft_buf_release(&bytes);
    uv_mutex_lock(&s->lock);
    s->done = ticket;
    s->err = err;
    (void)uv_async_send(&s->done_async);
}

static void run(void *arg)
{
    struct weft_filelog_saver *s = arg;

    uv_mutex_lock(&s->lock);
    while (!s->ending) {
        if (s->done == s->wanted)
            uv_cond_wait(&s->more, &s->lock);
        else
            save_one(s);
    }
    uv_mutex_unlock(&s->lock);
}

static void on_async(uv_async_t *handle)
{
    struct weft_filelog_saver *s = handle->data;

    uv_mutex_lock(&s->lock);
    const uint64_t ticket = s->done;
    const int err = s->err;
    uv_mutex_unlock(&s->lock);
    if (!s->joined)
        s->on_done(s->data, ticket, err);
}

int weft_filelog_saver_open(struct weft_filelog_saver **ret_saver, const struct weft_filelog_saver_options *o)
{
    struct weft_filelog_saver *s = calloc(1, sizeof *s);
    int err;

    if (!s)
        return UV_ENOMEM;
    s->on_done = o->on_done;
    s->data = o->data;
    s->dir_fd = o->dir_fd;
    (void)snprintf(s->name, sizeof s->name, "%s", o->name);
    if ((err = uv_mutex_init(&s->lock)))
        goto free_it;
    if ((err = uv_cond_init(&s->more)))
        goto free_lock;
    if ((err = uv_thread_create(&s->thread, run, s)))
        goto free_cond;
    if ((err = uv_async_init(o->loop, &s->done_async, on_async)))
        goto join;
    s->done_async.data = s;
    *ret_saver = s;
    return 0;

join:
    uv_mutex_lock(&s->lock);
    s->ending = true;
    uv_cond_signal(&s->more);
    uv_mutex_unlock(&s->lock);
    (void)uv_thread_join(&s->thread);
free_cond:
    uv_cond_destroy(&s->more);
free_lock:
    uv_mutex_destroy(&s->lock);
free_it:
    free(s);
    return err;
}

uint64_t weft_filelog_saver_put(struct weft_filelog_saver *s, struct weft_buf *bytes)
{
    const size_t limit = bytes->limit;

    uv_mutex_lock(&s->lock);
    struct weft_buf old = s->waiting;
    s->waiting = *bytes;
    const uint64_t ticket = ++s->wanted;
    uv_cond_signal(&s->more);
    uv_mutex_unlock(&s->lock);
    weft_buf_release(&old);
    weft_buf_init(bytes, limit);
    return ticket;
}

void weft_filelog_saver_stop(struct weft_filelog_saver *s)
{
    if (s->joined)
        return;
    uv_mutex_lock(&s->lock);
    s->ending = true;
    uv_cond_signal(&s->more);
    uv_mutex_unlock(&s->lock);
    (void)uv_thread_join(&s->thread);
    s->joined = true;
    uv_close((uv_handle_t *)&s->done_async, NULL);
}

int weft_filelog_saver_write(struct weft_filelog_saver *s, struct weft_slice bytes)
{
    return weft_filelog_positions_store(s->dir_fd, s->name, bytes);
}

void weft_filelog_saver_free(struct weft_filelog_saver *s)
{
    if (!s)
        return;
    weft_buf_release(&s->waiting);
    (void)close(s->dir_fd);
    uv_cond_destroy(&s->more);
    uv_mutex_destroy(&s->lock);
    free(s);
}
