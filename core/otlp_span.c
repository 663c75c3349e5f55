/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_span.c: spans, their events and links, and log records. See otlp.h.
 *
 * These loops run once for every span and line that passes through the program, so they use the inline cursor and
 * only count what is repeated. Stateless; any thread. */
#include "core/otlp.h"

#include "core/wire_inline.h"

/* On top of what an earlier piece of the status has set. */
static int merge_status(struct weft_slice message, struct weft_span_view *span)
{
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_STATUS_MESSAGE, WEFT_LENGTH))
            span->status_message = bytes;
        else if (key == WEFT_KEY(WEFT_STATUS_CODE, WEFT_VARINT))
            span->status_code = (int32_t)(uint32_t)scalar;
    }
    return result;
}

/* Not inlined: as a local of this loop the view would be taken apart into two dozen spilled scalars. */
__attribute__((noinline)) static int read_span(struct weft_slice message, struct weft_span_view *span)
{
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_SPAN_ATTRIBUTES, WEFT_LENGTH):
            span->n_attributes += 1 + weft_scan_run(&message, key);
            break;
        case WEFT_KEY(WEFT_SPAN_TRACE_ID, WEFT_LENGTH):
            span->trace_id = bytes;
            break;
        case WEFT_KEY(WEFT_SPAN_SPAN_ID, WEFT_LENGTH):
            span->span_id = bytes;
            break;
        case WEFT_KEY(WEFT_SPAN_TRACE_STATE, WEFT_LENGTH):
            span->trace_state = bytes;
            break;
        case WEFT_KEY(WEFT_SPAN_PARENT_SPAN_ID, WEFT_LENGTH):
            span->parent_span_id = bytes;
            break;
        case WEFT_KEY(WEFT_SPAN_NAME, WEFT_LENGTH):
            span->name = bytes;
            break;
        case WEFT_KEY(WEFT_SPAN_KIND, WEFT_VARINT):
            span->kind = (int32_t)(uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_SPAN_START, WEFT_FIXED64):
            span->start_ns = scalar;
            break;
        case WEFT_KEY(WEFT_SPAN_END, WEFT_FIXED64):
            span->end_ns = scalar;
            break;
        case WEFT_KEY(WEFT_SPAN_DROPPED_ATTRIBUTES, WEFT_VARINT):
            span->dropped_attributes = (uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_SPAN_EVENTS, WEFT_LENGTH):
            span->n_events++;
            break;
        case WEFT_KEY(WEFT_SPAN_DROPPED_EVENTS, WEFT_VARINT):
            span->dropped_events = (uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_SPAN_LINKS, WEFT_LENGTH):
            span->n_links++;
            break;
        case WEFT_KEY(WEFT_SPAN_DROPPED_LINKS, WEFT_VARINT):
            span->dropped_links = (uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_SPAN_STATUS, WEFT_LENGTH):
            result = merge_status(bytes, span);
            if (result < 0)
                return result;
            break;
        case WEFT_KEY(WEFT_SPAN_FLAGS, WEFT_FIXED32):
            span->flags = (uint32_t)scalar;
            break;
        default:
            break;
        }
    }
    return result;
}

int weft_span_read(struct weft_slice message, struct weft_span_view *ret_span)
{
    struct weft_span_view span = { .message = message };
    const int result = read_span(message, &span);

    if (result == 0)
        *ret_span = span;
    return result;
}

int weft_span_event_next(struct weft_slice *rest, struct weft_span_event *ret_event)
{
    struct weft_span_event event = { 0 };
    struct weft_slice fields, bytes;
    uint64_t scalar;
    uint32_t key;
    int result = weft_wire_next_bytes(rest, WEFT_SPAN_EVENTS, &event.message);

    if (result <= 0)
        return result;
    fields = event.message;
    while ((result = weft_scan_field(&fields, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_SPAN_EVENT_TIME, WEFT_FIXED64))
            event.time_ns = scalar;
        else if (key == WEFT_KEY(WEFT_SPAN_EVENT_NAME, WEFT_LENGTH))
            event.name = bytes;
        else if (key == WEFT_KEY(WEFT_SPAN_EVENT_DROPPED, WEFT_VARINT))
            event.dropped_attributes = (uint32_t)scalar;
    }
    if (result < 0)
        return result;
    *ret_event = event;
    return 1;
}

int weft_span_link_next(struct weft_slice *rest, struct weft_span_link *ret_link)
{
    struct weft_span_link link = { 0 };
    struct weft_slice fields, bytes;
    uint64_t scalar;
    uint32_t key;
    int result = weft_wire_next_bytes(rest, WEFT_SPAN_LINKS, &link.message);

    if (result <= 0)
        return result;
    fields = link.message;
    while ((result = weft_scan_field(&fields, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_SPAN_LINK_TRACE_ID, WEFT_LENGTH))
            link.trace_id = bytes;
        else if (key == WEFT_KEY(WEFT_SPAN_LINK_SPAN_ID, WEFT_LENGTH))
            link.span_id = bytes;
        else if (key == WEFT_KEY(WEFT_SPAN_LINK_TRACE_STATE, WEFT_LENGTH))
            link.trace_state = bytes;
        else if (key == WEFT_KEY(WEFT_SPAN_LINK_DROPPED, WEFT_VARINT))
            link.dropped_attributes = (uint32_t)scalar;
        else if (key == WEFT_KEY(WEFT_SPAN_LINK_FLAGS, WEFT_FIXED32))
            link.flags = (uint32_t)scalar;
    }
    if (result < 0)
        return result;
    *ret_link = link;
    return 1;
}

/* 1: one of the fields that an AnyValue chooses from is there. 0: none. */
static int holds_value(struct weft_slice any)
{
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result, found = 0;

    while ((result = weft_scan_field(&any, &key, &scalar, &bytes)) > 0)
        found |= key >> 3 <= WEFT_VALUE_STRING_INDEX;
    return result < 0 ? result : found;
}

/* A second body merges into the first: the last piece that holds a value is the body. */
static int merge_body(struct weft_slice piece, struct weft_log_view *log)
{
    const int result = log->body.data ? holds_value(piece) : 1;

    if (result > 0)
        log->body = piece;
    return result < 0 ? result : 0;
}

__attribute__((noinline)) static int read_log(struct weft_slice message, struct weft_log_view *log)
{
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_LOG_ATTRIBUTES, WEFT_LENGTH):
            log->n_attributes += 1 + weft_scan_run(&message, key);
            break;
        case WEFT_KEY(WEFT_LOG_TIME, WEFT_FIXED64):
            log->time_ns = scalar;
            break;
        case WEFT_KEY(WEFT_LOG_OBSERVED, WEFT_FIXED64):
            log->observed_ns = scalar;
            break;
        case WEFT_KEY(WEFT_LOG_SEVERITY_NUMBER, WEFT_VARINT):
            log->severity_number = (int32_t)(uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_LOG_SEVERITY_TEXT, WEFT_LENGTH):
            log->severity_text = bytes;
            break;
        case WEFT_KEY(WEFT_LOG_BODY, WEFT_LENGTH):
            result = merge_body(bytes, log);
            if (result < 0)
                return result;
            break;
        case WEFT_KEY(WEFT_LOG_DROPPED_ATTRIBUTES, WEFT_VARINT):
            log->dropped_attributes = (uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_LOG_FLAGS, WEFT_FIXED32):
            log->flags = (uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_LOG_TRACE_ID, WEFT_LENGTH):
            log->trace_id = bytes;
            break;
        case WEFT_KEY(WEFT_LOG_SPAN_ID, WEFT_LENGTH):
            log->span_id = bytes;
            break;
        case WEFT_KEY(WEFT_LOG_EVENT_NAME, WEFT_LENGTH):
            log->event_name = bytes;
            break;
        default:
            break;
        }
    }
    return result;
}

int weft_log_read(struct weft_slice message, struct weft_log_view *ret_log)
{
    struct weft_log_view log = { .message = message };
    const int result = read_log(message, &log);

    if (result == 0)
        *ret_log = log;
    return result;
}
