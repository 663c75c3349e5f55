/* SPDX-License-Identifier: Apache-2.0 */
/* curl_loop.c: see curl_loop.h.
 *
 * The watch of a connection: made with its socket (on_open_socket), then ACTIVE (libcurl wants events) <-> IDLE (it does
 * not; still watched for reading), closed with its socket (on_close_socket), the only moment its descriptor
 * may be reused. libcurl also watches descriptors that it opens and closes behind our back (its resolver's wake-up
 * pair): those are FOREIGN and their watch goes as soon as libcurl says remove.
 */
#include "core/curl_loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct weft_curl_watch {
    uv_poll_t poll; /* first: a uv_handle_t is a watch */
    struct weft_curl_loop *owner;
    struct weft_curl_watch *next;
    curl_socket_t fd;
    int events; /* what the poll watches now; 0: stopped */
    bool idle, foreign;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void work(struct weft_curl_loop *l, curl_socket_t fd, int flags)
{
    int running;

    if (!l->multi)
        return;
    (void)curl_multi_socket_action(l->multi, fd, flags, &running);
    l->progress(l->ctx);
}

static void on_timer(uv_timer_t *timer)
{
    work(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct weft_curl_loop *l = ctx;
    (void)multi;

    if (timeout_ms < 0 || l->closing)
        return uv_timer_stop(&l->timer);
    uv_update_time(l->loop);
    return uv_timer_start(&l->timer, on_timer, (uint64_t)timeout_ms, 0);
}

static void stop_watching(struct weft_curl_watch *w)
{
    (void)uv_poll_stop(&w->poll);
    w->events = 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct weft_curl_watch *w = (struct weft_curl_watch *)poll;
    int flags = 0;

    if (w->idle) {
        stop_watching(w);
        return;
    }
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    work(w->owner, w->fd, flags);
}

static struct weft_curl_watch *watch_find(struct weft_curl_loop *l, curl_socket_t fd)
{
    struct weft_curl_watch *w = l->watches;

    while (w && w->fd != fd)
        w = w->next;
    return w;
}

static struct weft_curl_watch *watch_new(struct weft_curl_loop *l, curl_socket_t fd)
{
    struct weft_curl_watch *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    if (uv_poll_init_socket(l->loop, &w->poll, fd)) {
        free(w);
        return NULL;
    }
    w->owner = l;
    w->fd = fd;
    w->next = l->watches;
    l->watches = w;
    l->open_handles++;
    w->idle = true; /* until libcurl wants events of it */
    uv_unref((uv_handle_t *)&w->poll);
    return w;
}

static void handle_closed(struct weft_curl_loop *l)
{
    if (--l->open_handles == 0)
        l->closed(l->ctx);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct weft_curl_watch *w = (struct weft_curl_watch *)handle;
    struct weft_curl_loop *l = w->owner;

    free(w);
    handle_closed(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void watch_close(struct weft_curl_loop *l, struct weft_curl_watch *w)
{
    struct weft_curl_watch **at = &l->watches;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

static int watch_set(struct weft_curl_watch *w, int events)
{
    if (w->idle)
        uv_ref((uv_handle_t *)&w->poll);
    w->idle = false;
    if (w->events == events)
        return 0;
    w->events = events;
    return uv_poll_start(&w->poll, events, on_poll);
}

static void watch_rest(struct weft_curl_watch *w)
{
    w->idle = true;
    uv_unref((uv_handle_t *)&w->poll);
    /* Writable is nearly always true: watching for it would fire at once. */
    if (w->events & UV_WRITABLE)
        stop_watching(w);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct weft_curl_loop *l = ctx;
    struct weft_curl_watch *w = watch_find(l, fd);
    (void)easy;
    (void)socket_ctx;

    if (what == CURL_POLL_REMOVE) {
        if (w && w->foreign)
            watch_close(l, w);
        else if (w && !w->idle)
            watch_rest(w);
        return 0;
    }
    if (!w) {
        w = watch_new(l, fd);
        if (!w)
            return -1;
        w->foreign = true;
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return watch_set(w, events) ? -1 : 0;
}

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct weft_curl_loop *l = ctx;
    (void)purpose;

    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (!watch_new(l, fd)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int on_close_socket(void *ctx, curl_socket_t fd)
{
    struct weft_curl_loop *l = ctx;
    struct weft_curl_watch *w = watch_find(l, fd);

    if (w)
        watch_close(l, w);
    return close(fd);
}

int weft_curl_loop_open(struct weft_curl_loop *l, uv_loop_t *loop, void *ctx, void (*progress)(void *),
                        void (*closed)(void *))
{
    *l = (struct weft_curl_loop){ .loop = loop, .ctx = ctx, .progress = progress, .closed = closed };
    int err = uv_timer_init(loop, &l->timer);
    if (err)
        return err;
    l->timer.data = l;
    l->open_handles = 1;
    return 0;
}

int weft_curl_loop_start(struct weft_curl_loop *l)
{
    if (l->multi)
        return 0;
    pthread_once(&global_once, global_init);
    l->multi = global_result == CURLE_OK ? curl_multi_init() : NULL;
    if (!l->multi)
        return UV_ENOMEM;
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    return 0;
}

void weft_curl_loop_adopt(struct weft_curl_loop *l, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, l);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, l);
}

void weft_curl_loop_close(struct weft_curl_loop *l)
{
    if (l->closing)
        return;
    l->closing = true;
    if (l->multi)
        curl_multi_cleanup(l->multi);
    l->multi = NULL;
    while (l->watches)
        watch_close(l, l->watches);
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}
