/* SPDX-License-Identifier: Apache-2.0 */
/* lane.c: one exporter behind its own wall (the promises are in lane.h).
 *
 * The thread sleeps in its loop until a journal wakes it, an exporter's request ends or a timer is due. Each of
 * those only sets `dirty`; before the loop waits again, pump() sends what may be sent:
 *
 *   a READY batch (a retry, or one that an open breaker held) before new records; new ones while fewer than
 *   `concurrency` batches are held and an endpoint has room; nothing while every endpoint says wait, and no half-empty request
 *   right behind another. When there is nothing to read, the cursors are armed, and only then does the loop sleep.
 *
 * So an exporter's send is never called from inside its own callbacks. Stopping:
 *
 *   RUNNING --drain--> DRAINING --at the tail, or the deadline--> CLOSING --handles closed--> ended (join)
 *      |                  |--the back end fails, and the journals last--v
 *      '-----park----> PARKING --no request is out, or the deadline--> CLOSING
 *
 * Where and when a batch may go is lane_endpoints.c's to say: it is an endpoint that is down, not a batch;
 * max_elapsed_time is counted for each batch from its own first failure. */
#include "agent/lane_state.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/sigbus.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    BATCHES_A_TURN = 64,   /* then the loop looks at its sockets and timers */
    NO_MEMORY_MS = 1000,   /* until a batch that had no room is tried again */
    QUIET_MS = 2000,       /* without a record: give memory back */
    LAST_ANSWERS_MS = 5000, /* for requests that are out when nothing more is sent */
    PACE_MS = 2,           /* from one request that is not full to the next */
};

static struct weft_lane *lane_of(struct weft_exporter *exporter)
{
    return exporter->lane;
}

static bool draining(const struct weft_lane *lane)
{
    return atomic_load_explicit(&lane->drain_until_ms, memory_order_acquire) != 0;
}

/* ---- sending ---- */

static void set_dirty(struct weft_lane *lane)
{
    lane->dirty = true; /* pump runs before the loop waits */
}

static void on_backoff_over(uv_timer_t *timer)
{
    set_dirty(timer->data);
}

static void pause_for(struct weft_lane *lane, uint64_t ms)
{
    (void)uv_timer_start(&lane->backoff, on_backoff_over, ms, 0);
}

static void send_batch(struct weft_lane *lane, struct weft_lane_batch *b)
{
    b->place = WEFT_LANE_OUT;
    b->sent_at_ns = weft_clock_mono_ns();
    lane->sent_ms = uv_now(&lane->loop);
    lane->n_out++;
    atomic_fetch_add_explicit(&lane->in_flight, 1, memory_order_relaxed);
    lane->exporter->type->send(lane->exporter, &b->base);
}

enum prospect {
    NOTHING_THERE, /* every journal is read to its tail */
    MUST_WAIT,     /* for a timer, or for a batch that is out */
    MORE,
};

static enum prospect wait_for(struct weft_lane *lane, uint64_t ms)
{
    if (ms != WEFT_LANE_AFTER_OUTCOME)
        pause_for(lane, ms);
    return MUST_WAIT;
}

/* What has not been sent yet: live records, then the replay's; the other way round when those had their share. */
static int read_new(struct weft_lane *lane, struct weft_lane_batch **ret_batch)
{
    bool due = weft_lane_replay_is_due(lane);
    int found = due ? weft_lane_replay_read(lane, ret_batch) : 0;

    if (found)
        return found;
    found = weft_lane_read(lane, ret_batch);
    lane->live_in_a_row += found == 1;
    return found || due ? found : weft_lane_replay_read(lane, ret_batch);
}

/* The journals are to ring. False: there is something in them already. */
static bool arm_all(struct weft_lane *lane)
{
    bool asleep = true;

    for (size_t i = 0; i < lane->n_readers; i++)
        if (lane->readers[i].cursor && !weft_cursor_arm(lane->readers[i].cursor))
            asleep = false;
    return asleep;
}

/* A request costs the same at both ends whatever it holds, so one that has room left lets what comes next ride along. More than a
 * request holds does not wait, nor what comes after a silence, nor what a replay or a drain is to get done with. */
static uint64_t left_of_pace(const struct weft_lane *lane)
{
    uint64_t since = uv_now(&lane->loop) - lane->sent_ms;

    if (since >= PACE_MS || lane->exporter->type->local || lane->replaying || draining(lane))
        return 0;
    for (size_t i = 0; i < lane->n_readers; i++)
        if (lane->readers[i].has_ahead)
            return 0;
    return PACE_MS - since;
}

/* One batch, one that is READY before what has not been read. With nothing held it is read ahead of its time, because only so
 * is it known whether there is anything to wait for. */
static enum prospect send_one(struct weft_lane *lane)
{
    if (lane->starved_until_ms > uv_now(&lane->loop))
        return wait_for(lane, lane->starved_until_ms - uv_now(&lane->loop));

    struct weft_lane_batch *b = weft_lane_ready(lane);
    uint64_t wait = !b && lane->n_held > 0 ? weft_lane_room(lane) : 0;

    if (wait || (!b && lane->n_held + weft_lane_replay_out(lane) >= lane->concurrency))
        return wait_for(lane, wait ? wait : WEFT_LANE_AFTER_OUTCOME);
    wait = b ? 0 : left_of_pace(lane);
    if (wait)
        return arm_all(lane) ? NOTHING_THERE : wait_for(lane, wait);
    int found = b ? 1 : read_new(lane, &b);
    if (found == 0)
        return NOTHING_THERE;
    if (found < 0)
        return wait_for(lane, NO_MEMORY_MS);
    if (weft_lane_prepare(b))
        return weft_lane_starve_unlisted(lane, b) ? MORE : wait_for(lane, NO_MEMORY_MS);
    wait = weft_lane_route(lane, b);
    if (wait)
        return wait_for(lane, wait);
    send_batch(lane, b);
    return MORE;
}

static enum prospect send_what_may_be_sent(struct weft_lane *lane)
{
    enum prospect prospect = MORE;

    for (int i = 0; i < BATCHES_A_TURN && prospect == MORE; i++)
        prospect = send_one(lane);
    return prospect;
}

/* ---- waiting ---- */

static void on_quiet(uv_timer_t *timer)
{
    struct weft_lane *lane = timer->data;

    if (lane->n_read == lane->n_read_when_quiet_began && lane->n_held == 0) {
        for (size_t i = 0; i < lane->n_readers; i++)
            if (lane->readers[i].cursor)
                weft_journal_trim(lane->readers[i].source.journal);
        if (lane->exporter->type->trim)
            lane->exporter->type->trim(lane->exporter);
        return;
    }
    lane->n_read_when_quiet_began = lane->n_read;
    (void)uv_timer_start(timer, on_quiet, QUIET_MS, 0);
}

static void watch_for_quiet(struct weft_lane *lane)
{
    if (lane->n_read == lane->n_read_when_quiet_began || uv_is_active((uv_handle_t *)&lane->quiet))
        return;
    lane->n_read_when_quiet_began = lane->n_read;
    (void)uv_timer_start(&lane->quiet, on_quiet, QUIET_MS, 0);
}

static void on_more(uv_idle_t *idle)
{
    set_dirty(idle->data);
}

static void go_on_at_once(struct weft_lane *lane, bool at_once)
{
    if (at_once)
        (void)uv_idle_start(&lane->more, on_more);
    else
        (void)uv_idle_stop(&lane->more);
}

/* ---- stopping ---- */

static void close_handle(void *handle)
{
    uv_close(handle, NULL);
}

static void close_handles(struct weft_lane *lane)
{
    weft_bell_close(&lane->bell);
    weft_beat_close(&lane->beat);
    close_handle(&lane->pump);
    close_handle(&lane->more);
    close_handle(&lane->backoff);
    close_handle(&lane->deadline);
    close_handle(&lane->quiet);
    weft_lane_words_close(lane);
}

static void forget(struct weft_lane *lane, struct weft_lane_batch *b)
{
    if (lane->exporter->type->forget)
        lane->exporter->type->forget(lane->exporter, &b->base);
}

static void begin_to_close(struct weft_lane *lane)
{
    struct weft_lane_batch *b;

    weft_lane_replay_look(lane, true);
    lane->closing = true;
    while ((b = weft_lane_ready(lane)) != NULL) {
        b->place = WEFT_LANE_LEFT;
        forget(lane, b);
    }
    lane->exporter->type->stop(lane->exporter);
    close_handles(lane);
}

static void on_deadline(uv_timer_t *timer)
{
    struct weft_lane *lane = timer->data;

    if (!lane->closing)
        begin_to_close(lane);
}

static void watch_deadline(struct weft_lane *lane)
{
    uint64_t until = atomic_load_explicit(&lane->drain_until_ms, memory_order_acquire);
    uint64_t now = weft_clock_mono_ms();

    (void)uv_timer_start(&lane->deadline, on_deadline, until > now ? until - now : 0, 0);
}

/* Nothing more is sent: what waits, waits for who comes after us. */
static bool leaves_the_rest(const struct weft_lane *lane)
{
    return draining(lane)
           && (atomic_load_explicit(&lane->parking, memory_order_relaxed) || (lane->lasting && weft_lane_is_failing(lane)));
}

/* Ends with the requests that are out, and waits for those a moment only. */
static void end_with_what_is_out(struct weft_lane *lane)
{
    go_on_at_once(lane, false);
    if (lane->n_out == 0) {
        begin_to_close(lane);
        return;
    }
    if (!lane->hurried && uv_timer_get_due_in(&lane->deadline) > LAST_ANSWERS_MS)
        (void)uv_timer_start(&lane->deadline, on_deadline, LAST_ANSWERS_MS, 0);
    lane->hurried = true;
}

static void on_ring(void *data)
{
    struct weft_lane *lane = data;

    if (draining(lane) && !uv_is_active((uv_handle_t *)&lane->deadline))
        watch_deadline(lane);
    set_dirty(lane);
}

/* Everything has been read: what ends and is settled is given up. From then on the journal may be gone. */
static void leave_what_ended(struct weft_lane *lane)
{
    for (size_t i = 0; i < lane->n_readers; i++) {
        struct weft_lane_reader *reader = &lane->readers[i];
        if (reader->source.ends && reader->cursor && !reader->first && !reader->has_ahead)
            weft_lane_leave(lane, reader);
    }
}

static void pump(uv_prepare_t *prepare)
{
    struct weft_lane *lane = prepare->data;

    if (!lane->dirty || lane->closing)
        return;
    lane->dirty = false;
    weft_lane_replay_look(lane, draining(lane));
    if (leaves_the_rest(lane)) {
        end_with_what_is_out(lane);
        return;
    }
    bool drain = draining(lane); /* before the last look: what was published before it must go out */
    enum prospect prospect = send_what_may_be_sent(lane);
    if (prospect == NOTHING_THERE)
        leave_what_ended(lane);
    if (prospect == NOTHING_THERE && (lane->replay_has_more || !arm_all(lane)))
        prospect = MORE;
    if (prospect == NOTHING_THERE && lane->replay_waits)
        pause_for(lane, NO_MEMORY_MS);
    go_on_at_once(lane, prospect == MORE);
    if (prospect == NOTHING_THERE && drain && lane->n_held == 0 && lane->n_out == 0)
        begin_to_close(lane);
    else if (prospect == NOTHING_THERE)
        watch_for_quiet(lane);
}

/* ---- what the exporter says ---- */

/* The batch is given up here: counted by `word`, said once. */
static void give_up(struct weft_lane *lane, struct weft_lane_batch *b, const char *word, const char *reason,
                    const char *detail)
{
    weft_lane_log_failure(lane, b, reason, detail, "giving the items up, counted as dropped");
    forget(lane, b);
    weft_lane_judge(lane, b, WEFT_ITEM_DROPPED, word, NULL);
}

static bool too_old(const struct weft_lane *lane, struct weft_lane_batch *b, uint64_t now)
{
    if (!b->first_failure_ms)
        b->first_failure_ms = now;
    return lane->config.max_elapsed_time && now - b->first_failure_ms >= lane->config.max_elapsed_time;
}

/* After a failure that may pass. True: the batch is done with. */
static bool retry_or_give_up(struct weft_lane *lane, struct weft_lane_batch *b, const char *reason, const char *detail,
                             uint64_t retry_after_ms)
{
    uint64_t now = uv_now(&lane->loop);

    if (strcmp(reason, WEFT_REASON_MEMORY) == 0) {
        bool done = weft_lane_starve(lane, b, detail);
        if (done)
            forget(lane, b);
        return done;
    }
    weft_lane_refused(lane, b, retry_after_ms, reason, detail);
    if (!lane->config.retry_enabled) {
        give_up(lane, b, "retry_disabled", reason, detail);
        return true;
    }
    if (too_old(lane, b, now)) {
        give_up(lane, b, "max_elapsed_time", reason, detail);
        return true;
    }
    char next[200];
    const char *other = weft_lane_stand_in(lane, b);
    if (other)
        (void)snprintf(next, sizeof next, "trying %s instead", other);
    else
        (void)snprintf(next, sizeof next, "retry %u in %.1f s", b->base.attempt + 1, (double)weft_lane_left_ms(lane) / 1000);
    weft_lane_log_failure(lane, b, reason, detail, next);
    b->base.attempt++;
    weft_lane_add(&lane->retries[b->base.signal], 1);
    b->place = WEFT_LANE_READY;
    return false;
}

/* True: every item of the batch has its outcome now. */
static bool end_attempt(struct weft_lane *lane, struct weft_lane_batch *b, enum weft_outcome outcome, const char *reason,
                        const char *detail, uint64_t retry_after_ms)
{
    uint64_t took_ns = weft_clock_mono_ns() - b->sent_at_ns;

    if (outcome == WEFT_SENT) {
        weft_lane_answered(lane, b, took_ns);
        weft_lane_note_error(lane, NULL, NULL);
        weft_lane_judge(lane, b, WEFT_ITEM_SENT, NULL, NULL);
        return true;
    }
    reason = reason ? reason : "unknown";
    weft_lane_note_error(lane, reason, detail);
    if (outcome == WEFT_REJECTED) {
        weft_lane_answered(lane, b, took_ns);
        weft_lane_note_refused(lane, b, b->base.n_items - b->counted, reason, detail);
        weft_lane_judge(lane, b, WEFT_ITEM_REJECTED, reason, detail);
        return true;
    }
    if (weft_lane_count_marked(lane, b)) { /* each item had its answer */
        weft_lane_answered(lane, b, took_ns);
        forget(lane, b);
        return true;
    }
    return retry_or_give_up(lane, b, reason, detail, retry_after_ms);
}

static void host_done(struct weft_exporter *exporter, struct weft_batch *batch, enum weft_outcome outcome,
                      const char *reason, const char *detail, uint64_t retry_after_ms)
{
    struct weft_lane *lane = lane_of(exporter);
    struct weft_lane_batch *b = (struct weft_lane_batch *)batch;

    assert(b->place == WEFT_LANE_OUT);
    uv_update_time(&lane->loop); /* a send that blocked must not shorten the wait */
    weft_lane_end_letters(lane);
    lane->n_out--;
    weft_lane_returned(lane, b);
    atomic_fetch_sub_explicit(&lane->in_flight, 1, memory_order_relaxed);
    weft_lane_time(lane, weft_clock_mono_ns() - b->sent_at_ns);
    weft_lane_add(&lane->sent_bytes[batch->signal], batch->sent_bytes);
    batch->sent_bytes = 0;
    if (lane->closing && outcome == WEFT_RETRY) {
        (void)weft_lane_count_marked(lane, b); /* what is left of it is counted by join */
        b->place = WEFT_LANE_LEFT;
        forget(lane, b);
        return;
    }
    if (end_attempt(lane, b, outcome, reason, detail, retry_after_ms))
        weft_lane_settle(lane, b);
    weft_lane_say_refused(lane);
    set_dirty(lane);
}

static void host_reject(struct weft_exporter *exporter, struct weft_batch *batch, uint64_t first, uint64_t n,
                        const char *reason, const char *detail)
{
    struct weft_lane *lane = lane_of(exporter);

    reason = reason ? reason : "rejected";
    uint64_t items = weft_lane_mark(lane, (struct weft_lane_batch *)batch, first, n, WEFT_ITEM_REJECTED, reason,
                                    detail);
    weft_lane_note_refused(lane, (struct weft_lane_batch *)batch, items, reason, detail);
}

static void host_drop(struct weft_exporter *exporter, struct weft_batch *batch, uint64_t first, uint64_t n,
                      const char *reason)
{
    (void)weft_lane_mark(lane_of(exporter), (struct weft_lane_batch *)batch, first, n, WEFT_ITEM_DROPPED, reason,
                         NULL);
}

static const struct weft_exporter_host host = { .done = host_done, .reject = host_reject, .drop = host_drop };

/* ---- the thread ---- */

static void be_nice(int nice)
{
    id_t self = (id_t)gettid();

    if (nice)
        (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + nice);
}

static void name_thread(const struct weft_lane *lane)
{
    char name[16] = { 0 };

    for (size_t i = 0; i + 1 < sizeof name && lane->id[i]; i++)
        name[i] = lane->id[i];
    (void)pthread_setname_np(pthread_self(), name);
}

static void run(void *data)
{
    struct weft_lane *lane = data;

    weft_sigbus_block_others(); /* signals are main's */
    name_thread(lane);
    be_nice(lane->nice);
    weft_beat_mark(&lane->beat);
    uv_update_time(&lane->loop);
    lane->start_result = lane->exporter->type->start ? lane->exporter->type->start(lane->exporter) : 0;
    if (lane->start_result)
        begin_to_close(lane);
    uv_sem_post(&lane->answer);
    (void)uv_run(&lane->loop, UV_RUN_DEFAULT);
    atomic_store(&lane->thread_ended, true);
}

/* ---- opening ---- */

static void open_handles(struct weft_lane *lane) /* none of these can fail */
{
    (void)uv_prepare_init(&lane->loop, &lane->pump);
    (void)uv_idle_init(&lane->loop, &lane->more);
    (void)uv_timer_init(&lane->loop, &lane->backoff);
    (void)uv_timer_init(&lane->loop, &lane->deadline);
    (void)uv_timer_init(&lane->loop, &lane->quiet);
    lane->pump.data = lane->more.data = lane->backoff.data = lane->deadline.data = lane->quiet.data = lane;
    weft_lane_words_open(lane);
    (void)uv_prepare_start(&lane->pump, pump);
}

static int open_loop(struct weft_lane *lane)
{
    int err = uv_sem_init(&lane->answer, 0);

    if (err)
        return err;
    err = uv_loop_init(&lane->loop);
    if (err)
        goto fail_sem;
    err = weft_bell_open(&lane->bell, &lane->loop, on_ring, lane);
    if (err)
        goto fail_loop;
    err = weft_beat_open(&lane->beat, &lane->loop);
    if (err)
        goto fail_bell;
    open_handles(lane);
    lane->loop_open = true;
    return 0;

fail_bell:
    weft_bell_close(&lane->bell);
    (void)uv_run(&lane->loop, UV_RUN_DEFAULT);
    weft_bell_release(&lane->bell);
fail_loop:
    (void)uv_loop_close(&lane->loop);
fail_sem:
    uv_sem_destroy(&lane->answer);
    return err;
}

static int open_readers(struct weft_lane *lane, const struct weft_lane_setup *setup)
{
    lane->readers = calloc(setup->n_sources + 1, sizeof *lane->readers);
    if (!lane->readers)
        return UV_ENOMEM;
    lane->n_sources = setup->n_sources;
    for (size_t i = 0; i < setup->n_sources; i++) {
        struct weft_lane_reader *reader = &lane->readers[i];
        reader->source = setup->sources[i];
        reader->source.pipeline = reader->pipeline = strdup(setup->sources[i].pipeline); /* ours: the journal may end before we do */
        if (!reader->pipeline)
            return UV_ENOMEM;
        reader->last = &reader->first;
        struct weft_cursor_options o = { .name = lane->id, .start = (enum weft_cursor_start)lane->config.journal_start, .wake_fd = lane->bell.fd,
                                         .hold = lane->config.on_full == WEFT_ON_FULL_REFUSE };
        int err = weft_cursor_open(&reader->cursor, reader->source.journal, &o);
        if (err)
            return err;
        struct weft_journal_stats journal;
        weft_journal_stats(reader->source.journal, &journal);
        reader->capacity_bytes = journal.capacity_bytes;
        lane->n_readers++;
        lane->lasting = (i == 0 || lane->lasting) && reader->source.lasting;
        struct weft_cursor_stats stats;
        weft_cursor_stats(reader->cursor, &stats);
        reader->recovered_items = stats.waiting_items + stats.lost_items;
    }
    return 0;
}

static uint64_t first_of(uint64_t a, uint64_t b, uint64_t c)
{
    return a ? a : b ? b : c;
}

static void configure(struct weft_lane *lane)
{
    const struct weft_exporter_type *type = lane->exporter->type;
    const struct weft_lane_config *c = &lane->config;

    lane->batch_items = first_of((uint64_t)c->batch_items, type->batch_items, WEFT_LANE_ITEMS);
    lane->batch_bytes = first_of(c->batch_bytes, type->batch_bytes, WEFT_LANE_BYTES);
    if (getrandom(&lane->random, sizeof lane->random, 0) != (ssize_t)sizeof lane->random || !lane->random)
        lane->random = weft_clock_mono_ns() | 1;
}

int weft_lane_open(struct weft_lane **ret_lane, const struct weft_lane_setup *setup)
{
    struct weft_lane *lane = calloc(1, sizeof *lane);

    if (!lane)
        return UV_ENOMEM;
    if (uv_mutex_init(&lane->error_lock)) {
        free(lane);
        return UV_ENOMEM;
    }
    lane->exporter = setup->exporter;
    lane->config = *setup->config;
    lane->nice = setup->nice;
    lane->account = setup->account;
    lane->letters = setup->letters;
    lane->starve_ms = setup->starve_ms;
    if (lane->letters)
        weft_buf_init(&lane->letter_body, weft_letters_max_body(lane->letters));
    lane->letter_body.account = lane->account;
    configure(lane);
    lane->id = strdup(setup->exporter->id);
    int err = lane->id ? weft_lane_endpoints_open(lane) : UV_ENOMEM;
    if (!err)
        err = open_loop(lane);
    if (!err)
        err = open_readers(lane, setup);
    if (err) {
        weft_lane_free(lane);
        return err;
    }
    weft_lane_figures_init(lane);
    lane->exporter->loop = &lane->loop;
    lane->exporter->lane = lane;
    lane->exporter->host = &host;
    lane->exporter->concurrency = (unsigned)lane->concurrency;
    lane->dirty = true;
    *ret_lane = lane;
    return 0;
}

static void end_thread(struct weft_lane *lane)
{
    (void)uv_thread_join(&lane->thread);
    lane->thread_runs = false;
    assert(lane->n_out == 0);
}

int weft_lane_start(struct weft_lane *lane)
{
    int err = uv_thread_create(&lane->thread, run, lane);

    if (err)
        return err;
    lane->thread_runs = true;
    uv_sem_wait(&lane->answer);
    if (lane->start_result)
        end_thread(lane);
    return lane->start_result;
}

/* ---- closing ---- */

void weft_lane_drain(struct weft_lane *lane, uint64_t deadline_mono_ms)
{
    atomic_store_explicit(&lane->drain_until_ms, deadline_mono_ms ? deadline_mono_ms : 1, memory_order_release);
    if (lane->thread_runs)
        weft_bell_ring(&lane->bell);
}

void weft_lane_park(struct weft_lane *lane, uint64_t deadline_mono_ms)
{
    atomic_store_explicit(&lane->parking, true, memory_order_relaxed);
    weft_lane_drain(lane, deadline_mono_ms);
}

static void add_left(struct weft_lane_left *left, uint64_t records, uint64_t items, uint64_t bytes)
{
    left->records += records;
    left->items += items;
    left->bytes += bytes;
}

/* What has no outcome: of a journal that lasts, what its disk did not take goes with the process all the same. Nobody else is there
 * any more. */
static void count_left(struct weft_lane *lane, struct weft_lane_reader *reader)
{
    bool parks = atomic_load_explicit(&lane->parking, memory_order_relaxed), lasts = reader->source.lasting || parks;
    struct weft_cursor_stats c;

    weft_cursor_stats(reader->cursor, &c);
    uint64_t items = c.waiting_items - atomic_load_explicit(&reader->counted_items, memory_order_relaxed);
    uint64_t in_memory = !reader->source.lasting || c.memory_items > items ? items : c.memory_items, goes = parks ? 0 : in_memory;
    reader->skipped_items = c.skipped_items;
    reader->lost_items = c.lost_items;
    atomic_store_explicit(&reader->counted_items, 0, memory_order_relaxed);
    if (goes)
        weft_lane_lose(lane, WEFT_LANE_DROPPED, reader->source.signal, "shutdown", goes);
    lane->kept_lasting_items += items - in_memory;
    if (!lasts)
        add_left(&lane->left, c.waiting_records, items, c.waiting_bytes);
    else
        add_left(&lane->kept, c.waiting_records, items - goes, c.waiting_bytes - (goes ? c.memory_bytes : 0));
}

static void close_readers(struct weft_lane *lane)
{
    for (size_t i = 0; i < lane->n_readers; i++) {
        if (!lane->readers[i].cursor)
            continue;
        count_left(lane, &lane->readers[i]);
        weft_cursor_close(lane->readers[i].cursor);
        lane->readers[i].cursor = NULL;
    }
    weft_lane_replay_close(lane);
    weft_lane_free_batches(lane);
}

static void close_loop(struct weft_lane *lane, bool ran)
{
    if (!lane->loop_open)
        return;
    if (!ran) {
        close_handles(lane);
        (void)uv_run(&lane->loop, UV_RUN_DEFAULT);
    }
    int err = uv_loop_close(&lane->loop);
    assert(err == 0);
    (void)err;
    weft_bell_release(&lane->bell);
    uv_sem_destroy(&lane->answer);
    lane->loop_open = false;
}

void weft_lane_wait(struct weft_lane *lane)
{
    if (lane->thread_runs && !draining(lane))
        weft_lane_drain(lane, 1);
    if (lane->thread_runs)
        end_thread(lane);
}

int weft_lane_join(struct weft_lane *lane, struct weft_lane_left *ret_left)
{
    bool ran = lane->thread_runs || lane->closing;

    if (!lane->joined) {
        weft_lane_wait(lane);
        close_readers(lane); /* before the bell: publications ring it */
        close_loop(lane, ran);
        lane->joined = true;
        lane->join_result = lane->left.items ? WEFT_ERR_TIMEOUT : 0;
    }
    if (lane->join_result && ret_left)
        *ret_left = lane->left;
    return lane->join_result;
}

struct weft_lane_left weft_lane_kept(const struct weft_lane *lane)
{
    return lane->kept;
}

void weft_lane_free(struct weft_lane *lane)
{
    if (!lane)
        return;
    (void)weft_lane_join(lane, NULL);
    uv_mutex_destroy(&lane->error_lock);
    weft_buf_release(&lane->letter_body);
    weft_lane_endpoints_free(lane);
    weft_lane_replay_free(lane);
    for (size_t i = 0; i < lane->n_sources; i++)
        free(lane->readers[i].pipeline);
    free(lane->readers);
    free(lane->id);
    free(lane);
}

const char *weft_lane_id(const struct weft_lane *lane)
{
    return lane->id;
}
