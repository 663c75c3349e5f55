/* SPDX-License-Identifier: Apache-2.0 */
/* api_journals.c: the body of /api/v1/journals (declared in api.h): each journal that is open, whose places are in it, what
 * waits for whom, and how the disk is. */
#include "agent/api.h"

#include "agent/api_put.h"
#include "agent/runtime_state.h"
#include "core/clock.h"
#include "core/err.h"

const char *weft_disk_state_name(enum weft_disk_state state)
{
    static const char *const names[] = { [WEFT_DISK_OK] = "ok", [WEFT_DISK_REFUSING] = "refusing", [WEFT_DISK_MEMORY] = "memory" };

    return names[state];
}

static void put_seconds(struct weft_buf *b, const char *key, uint64_t ms)
{
    put_key(b, key);
    weft_json_put_double(b, (double)ms / 1000);
}

static void put_recovery(struct weft_buf *b, const struct weft_journal_stats *s, const struct weft_shelf_entry *e)
{
    const struct weft_journal_recovery *r = &s->recovery;

    put_key(b, "recovery");
    weft_buf_append_byte(b, '{');
    put_seconds(b, "seconds", (uint64_t)e->opened_ms);
    put_number(b, "records", s->opened_records);
    put_number(b, "items", s->opened_items);
    put_number(b, "bytes", s->opened_bytes);
    put_number(b, "torn_bytes", r->torn_bytes);
    put_number(b, "stepped_over_records", r->stepped_over);
    put_number(b, "quarantined_segments", r->quarantined_segments);
    put_number(b, "lost_records", r->lost_records);
    put_number(b, "lost_items", r->lost_items);
    put_bool(b, "cursors_lost", r->cursors_lost);
    weft_buf_append_byte(b, '}');
}

static void put_disk(struct weft_buf *b, const struct weft_journal_stats *s, const struct weft_shelf_entry *e)
{
    uint64_t durable = weft_journal_durable(e->journal);

    put_text(b, "directory", e->path);
    put_text(b, "disk_state", weft_disk_state_name(s->disk_state));
    put_text(b, "disk_error", s->disk_error ? weft_err_text(s->disk_error) : NULL);
    put_number(b, "disk_errors", s->disk_errors);
    put_number(b, "memory_bytes", s->memory_bytes);
    put_number(b, "durable_lag_records", durable + 1 < s->next_sequence ? s->next_sequence - 1 - durable : 0);
    put_number(b, "corrupt_records", s->corrupt_records);
    put_recovery(b, s, e);
}

static void put_parked(void *ctx, const struct weft_parked *parked)
{
    struct weft_buf *b = ctx;
    uint64_t now = weft_clock_wall_ns();

    begin_item(b);
    put_text(b, "exporter", parked->name);
    put_bool(b, "hold", parked->hold);
    put_number(b, "waiting_records", parked->waiting_records);
    put_number(b, "waiting_items", parked->waiting_items);
    put_number(b, "waiting_bytes", parked->waiting_bytes);
    put_seconds(b, "parked_seconds", now > parked->parked_wall_ns ? (now - parked->parked_wall_ns) / 1000000 : 0);
    weft_buf_append_byte(b, '}');
}

/* Age of the oldest record that is kept, 0 when there is none. Looks through a cursor of its own, which holds nothing. */
static uint64_t oldest_age_ms(const struct weft_shelf_entry *e)
{
    struct weft_cursor_options o = { .start = WEFT_CURSOR_OLDEST, .transient = true, .wake_fd = -1 };
    struct weft_cursor *c;
    struct weft_record r = { .wall_ns = 0 };
    uint64_t now = weft_clock_wall_ns();

    if (weft_cursor_open(&c, e->journal, &o))
        return 0;
    int found = weft_cursor_next(c, &r);
    weft_cursor_close(c);
    return found > 0 && now > r.wall_ns ? (now - r.wall_ns) / 1000000 : 0;
}

static void put_journal(struct weft_buf *b, const struct weft_shelf_entry *e)
{
    struct weft_journal_stats s;

    weft_journal_stats(e->journal, &s);
    begin_item(b);
    put_text(b, "pipeline", e->id);
    put_text(b, "signal", weft_signal_name(e->signal));
    put_text(b, "mode", e->path ? "disk" : "memory");
    put_bool(b, "orphan", e->orphan);
    put_number(b, "capacity_bytes", s.capacity_bytes);
    put_number(b, "segment_bytes", s.segment_bytes);
    put_number(b, "segments", s.n_segments);
    put_key(b, "fill");
    weft_json_put_double(b, weft_journal_fill(e->journal));
    put_seconds(b, "oldest_record_age_seconds", oldest_age_ms(e));
    put_number(b, "first_sequence", s.first_sequence);
    put_number(b, "next_sequence", s.next_sequence);
    put_number(b, "appended_records", s.appended_records);
    put_number(b, "appended_items", s.appended_items);
    put_number(b, "refused_records", s.refused_records);
    put_number(b, "readers", s.n_cursors); /* without the one that has just looked */
    if (e->path)
        put_disk(b, &s, e);
    put_key(b, "parked");
    weft_buf_append_byte(b, '[');
    weft_journal_parked(e->journal, put_parked, b);
    weft_buf_append_str(b, "]}");
}

void weft_api_journals(const struct weft_admin_view *view, struct weft_buf *out)
{
    const struct weft_runtime *rt = view->runtime;

    weft_buf_append_str(out, "{\"journals\":[");
    for (const struct weft_shelf_entry *e = rt ? weft_shelf_first(rt->shelf) : NULL; e; e = e->next)
        put_journal(out, e);
    weft_buf_append_str(out, "]}\n");
}
