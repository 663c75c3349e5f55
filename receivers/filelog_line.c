/* SPDX-License-Identifier: Apache-2.0 */
/* filelog_line.c: see filelog_line.h. One pass over the tokens of a line; what a key means is in filelog_key.c.
 *
 * A field is written the moment it is read, because a LogRecord's fields may come in any order. What must wait for the rest
 * of the line (is `name` the service? is `level` 5 a syslog level? is there a better message than `event`?) is kept as
 * a slice of the line in a struct late and settled at the end.
 */
#include "receivers/filelog_line.h"

#include "receivers/filelog_key.h"
#include "receivers/filelog_time.h"
#include "receivers/filelog_value.h"

#include "core/err.h"
#include "core/json.h"
#include "core/otlp.h"
#include "core/utf8.h"

#include <stdlib.h>

enum { DOTTED_MAX = 256, RECORD_SLACK = 4096 };

/* A value put off to the end of the line; key.data NULL: none. */
struct late {
    struct weft_slice key;
    struct weft_json value; /* the reader as it stood behind the value's first token */
    int token;
};

struct parse {
    struct weft_filelog_line *line;
    struct weft_buf *out;
    struct weft_json json;
    unsigned have;          /* 1 << role: that place of the record is taken */
    bool pino, gelf;        /* signs of the logger */
    int64_t number_level;   /* a level that is a number below ten; -1: none */
    struct late event, name;
};

static int read_members(struct parse *p, struct weft_slice prefix);

static bool take(struct parse *p, enum weft_filelog_role place)
{
    bool free = !(p->have & 1u << place);

    p->have |= 1u << place;
    return free;
}

static void untake(struct parse *p, enum weft_filelog_role place)
{
    p->have &= ~(1u << place);
}

/* ---- places of the record; each says false when the value does not fit there ---- */

static bool put_time(struct parse *p, int token)
{
    uint64_t ns;

    if (token == WEFT_JSON_STRING ? !weft_filelog_time_text(p->json.text, &ns) && !weft_filelog_time_number(p->json.text, &ns)
                                  : token != WEFT_JSON_NUMBER || !weft_filelog_time_number(p->json.text, &ns))
        return false;
    weft_wire_put_fixed64(p->out, WEFT_LOG_TIME, ns);
    return true;
}

static void put_severity(struct parse *p, int severity, struct weft_slice text)
{
    if (severity)
        weft_wire_put_varint(p->out, WEFT_LOG_SEVERITY_NUMBER, (uint64_t)severity);
    weft_wire_put_bytes(p->out, WEFT_LOG_SEVERITY_TEXT, text);
}

static bool put_level(struct parse *p, int token)
{
    int64_t level;

    if (token != WEFT_JSON_STRING && token != WEFT_JSON_NUMBER)
        return false;
    if (p->json.escaped || p->json.text.len == 0)
        return false;
    if (!weft_json_int64(p->json.text, &level)) {
        put_severity(p, weft_filelog_severity_word(p->json.text), p->json.text);
        return true;
    }
    p->pino = p->pino || level >= 10;
    p->number_level = level;
    put_severity(p, weft_filelog_severity_pino(level), p->json.text);
    return true;
}

static bool put_id(struct parse *p, uint32_t number, struct weft_slice hex, size_t n)
{
    uint8_t id[16];

    if (p->json.escaped || !weft_hex_read(hex, id, n) || !weft_id_valid(weft_slice_of(id, n), n))
        return false;
    weft_wire_put_bytes(p->out, number, weft_slice_of(id, n));
    return true;
}

/* Datadog writes the low 64 bits of an id in decimal. */
static bool put_decimal_id(struct parse *p, uint32_t number, size_t n)
{
    uint8_t id[16] = { 0 };
    uint64_t value;

    if (!weft_json_uint64(p->json.text, &value) || value == 0)
        return false;
    for (size_t i = 0; i < 8; i++)
        id[n - 1 - i] = (uint8_t)(value >> (8 * i));
    weft_wire_put_bytes(p->out, number, weft_slice_of(id, n));
    return true;
}

static bool put_trace(struct parse *p, enum weft_filelog_role role, int token)
{
    struct weft_slice text = p->json.text;

    if (token != WEFT_JSON_STRING && !(token == WEFT_JSON_NUMBER && role == WEFT_ROLE_DD_TRACE_ID))
        return false;
    if (role == WEFT_ROLE_DD_TRACE_ID && text.len != 32)
        return put_decimal_id(p, WEFT_LOG_TRACE_ID, 16);
    if (role == WEFT_ROLE_GCP_TRACE) {
        const uint8_t *slash = text.len ? memrchr(text.data, '/', text.len) : NULL;
        if (slash)
            text = weft_slice_from(text, (size_t)(slash - text.data) + 1);
    }
    return put_id(p, WEFT_LOG_TRACE_ID, text, 16);
}

static bool put_span(struct parse *p, enum weft_filelog_role role, int token)
{
    if (role == WEFT_ROLE_DD_SPAN_ID)
        return (token == WEFT_JSON_STRING || token == WEFT_JSON_NUMBER) && put_decimal_id(p, WEFT_LOG_SPAN_ID, 8);
    return token == WEFT_JSON_STRING && put_id(p, WEFT_LOG_SPAN_ID, p->json.text, 8);
}

/* "01" as in traceparent, or a number. */
static bool put_flags(struct parse *p, int token)
{
    uint8_t flags;
    uint64_t number;

    if (token == WEFT_JSON_STRING && weft_hex_read(p->json.text, &flags, 1))
        number = flags;
    else if (token != WEFT_JSON_NUMBER || !weft_json_uint64(p->json.text, &number) || number > 255)
        return false;
    weft_wire_put_fixed32(p->out, WEFT_LOG_FLAGS, (uint32_t)number);
    return true;
}

static bool put_sampled(struct parse *p, int token)
{
    if (token == WEFT_JSON_TRUE)
        weft_wire_put_fixed32(p->out, WEFT_LOG_FLAGS, 1);
    return token == WEFT_JSON_TRUE;
}

static bool put_service(struct parse *p, const struct weft_json *value, int token)
{
    struct weft_filelog_line *l = p->line;
    struct weft_slice text = value->text;

    if (l->fixed_service || token != WEFT_JSON_STRING || text.len == 0 || text.len > WEFT_FILELOG_SERVICE_MAX)
        return false;
    if (value->escaped) {
        weft_buf_reset(&l->text);
        if (weft_json_unescape(text, &l->text) != 0)
            return false;
        text = weft_buf_slice(&l->text);
    }
    l->service = text;
    return true;
}

static bool put_exception(struct parse *p, const char *key, int token)
{
    if (token != WEFT_JSON_STRING)
        return false;
    (void)weft_filelog_put_attribute(p->out, WEFT_LOG_ATTRIBUTES, weft_slice_str(key), &p->json, token);
    return true;
}

/* ---- objects with a meaning ---- */

/* log4j's time. True when it was one; `j` stands behind its '{' and is the caller's to throw away. */
static bool put_instant(struct parse *p, struct weft_json j)
{
    uint64_t seconds = 0, ns = 0;
    int token;

    while ((token = weft_json_next(&j)) == WEFT_JSON_KEY) {
        struct weft_slice key = j.text;
        token = weft_json_next(&j);
        if (token != WEFT_JSON_NUMBER)
            return false;
        if (weft_slice_is(key, "epochSecond") ? !weft_json_uint64(j.text, &seconds)
                                              : weft_slice_is(key, "nanoOfSecond") && !weft_json_uint64(j.text, &ns))
            return false;
    }
    if (token != WEFT_JSON_OBJECT_END || seconds == 0 || seconds > UINT32_MAX || ns >= 1000000000)
        return false;
    weft_wire_put_fixed64(p->out, WEFT_LOG_TIME, seconds * 1000000000 + ns);
    return true;
}

enum error_part { OTHER, TYPE, MESSAGE, STACK, PARTS };

static enum error_part error_part(struct weft_slice key)
{
    static const struct { const char *key; enum error_part part; } parts[] = {
        { "message", MESSAGE }, { "stack", STACK }, { "type", TYPE }, { "name", TYPE }, { "msg", MESSAGE }, { "class", TYPE },
        { "stack_trace", STACK }, { "stacktrace", STACK }, { "stackTrace", STACK }, { "extendedStackTrace", STACK },
        { "exception_class", TYPE }, { "exception_message", MESSAGE },
    };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (weft_slice_is(key, parts[i].key))
            return parts[i].part;
    return OTHER;
}

/* An object is an error when it has a message or a stack that is text. `j` is a copy. */
static bool is_error(struct weft_json j)
{
    bool found = false;
    int token;

    while ((token = weft_json_next(&j)) == WEFT_JSON_KEY) {
        enum error_part part = error_part(j.text);
        token = weft_json_next(&j);
        if (token == WEFT_JSON_STRING && (part == MESSAGE || part == STACK))
            found = true;
        else if (token < 0 || weft_json_skip(&j, NULL) != 0)
            return false;
    }
    return found && token == WEFT_JSON_OBJECT_END;
}

/* PREFIX.KEY in `out`, or an empty slice when it is too long. */
static struct weft_slice dotted(struct weft_slice prefix, struct weft_slice key, uint8_t out[DOTTED_MAX])
{
    size_t len = prefix.len + 1 + key.len;

    if (len > DOTTED_MAX)
        return weft_slice_of(NULL, 0);
    memcpy(out, prefix.data, prefix.len);
    out[prefix.len] = '.';
    memcpy(out + prefix.len + 1, key.data, key.len);
    return weft_slice_of(out, len);
}

/* The members of an error object whose '{' was just read: exception.*, and the others below `name`. */
static int put_error(struct parse *p, struct weft_slice name)
{
    static const enum weft_filelog_role places[PARTS] = { WEFT_ROLE_NONE, WEFT_ROLE_ERROR_TYPE, WEFT_ROLE_ERROR_MESSAGE, WEFT_ROLE_STACK };
    static const char *const keys[PARTS] = { "", "exception.type", "exception.message", "exception.stacktrace" };
    uint8_t room[DOTTED_MAX];
    int token;

    while ((token = weft_json_next(&p->json)) == WEFT_JSON_KEY) {
        enum error_part part = p->json.escaped ? OTHER : error_part(p->json.text);
        struct weft_slice key = dotted(name, p->json.text, room);
        token = weft_json_next(&p->json);
        if (token < 0)
            return token;
        if (part != OTHER && token == WEFT_JSON_STRING && take(p, places[part]))
            key = weft_slice_str(keys[part]);
        int err = key.data ? weft_filelog_put_attribute(p->out, WEFT_LOG_ATTRIBUTES, key, &p->json, token)
                           : weft_json_skip(&p->json, NULL);
        if (err)
            return err;
    }
    return token < 0 ? token : 0;
}

/* ---- fields ---- */

static void put_off(struct late *late, struct weft_slice key, const struct weft_json *value, int token)
{
    *late = (struct late){ key, *value, token };
}

/* Gives a scalar its place in the record. False: it is an attribute like any other. */
static bool place_scalar(struct parse *p, enum weft_filelog_role role, int token)
{
    switch (role) {
    case WEFT_ROLE_TIME:          return put_time(p, token);
    case WEFT_ROLE_LEVEL:         return put_level(p, token);
    case WEFT_ROLE_TRACE_ID:
    case WEFT_ROLE_DD_TRACE_ID:
    case WEFT_ROLE_GCP_TRACE:     return put_trace(p, role, token);
    case WEFT_ROLE_SPAN_ID:
    case WEFT_ROLE_DD_SPAN_ID:    return put_span(p, role, token);
    case WEFT_ROLE_TRACE_FLAGS:   return put_flags(p, token);
    case WEFT_ROLE_GCP_SAMPLED:   return put_sampled(p, token);
    case WEFT_ROLE_SERVICE:       return put_service(p, &p->json, token);
    case WEFT_ROLE_ERROR_TYPE:    return put_exception(p, "exception.type", token);
    case WEFT_ROLE_ERROR_MESSAGE: return put_exception(p, "exception.message", token);
    case WEFT_ROLE_STACK:         return put_exception(p, "exception.stacktrace", token);
    default:                      return false;
    }
}

/* The place that a role competes for. */
static enum weft_filelog_role place_of(enum weft_filelog_role role)
{
    switch (role) {
    case WEFT_ROLE_INSTANT:       return WEFT_ROLE_TIME;
    case WEFT_ROLE_SHORT_MESSAGE: return WEFT_ROLE_MESSAGE;
    case WEFT_ROLE_DD_TRACE_ID:
    case WEFT_ROLE_GCP_TRACE:     return WEFT_ROLE_TRACE_ID;
    case WEFT_ROLE_DD_SPAN_ID:    return WEFT_ROLE_SPAN_ID;
    case WEFT_ROLE_GCP_SAMPLED:   return WEFT_ROLE_TRACE_FLAGS;
    default:                      return role;
    }
}

static int put_attribute(struct parse *p, struct weft_slice key, int token)
{
    return weft_filelog_put_attribute(p->out, WEFT_LOG_ATTRIBUTES, key, &p->json, token);
}

static int put_message(struct parse *p, struct weft_slice key, enum weft_filelog_role role, int token)
{
    p->gelf = p->gelf || role == WEFT_ROLE_SHORT_MESSAGE;
    if (token == WEFT_JSON_NULL || !take(p, WEFT_ROLE_MESSAGE))
        return put_attribute(p, key, token);
    return weft_filelog_put_value(p->out, WEFT_LOG_BODY, &p->json, token, 0);
}

/* An object under a key with a meaning; its '{' was just read. */
static int put_object(struct parse *p, struct weft_slice key, enum weft_filelog_role role)
{
    switch (role) {
    case WEFT_ROLE_INSTANT:
        if (p->have & 1u << WEFT_ROLE_TIME || !put_instant(p, p->json))
            break;
        (void)take(p, WEFT_ROLE_TIME);
        return weft_json_skip(&p->json, NULL);
    case WEFT_ROLE_ERROR:
        if (is_error(p->json))
            return put_error(p, key);
        break;
    case WEFT_ROLE_LOG:
    case WEFT_ROLE_SERVICE:
    case WEFT_ROLE_PREFIX:
        if (key.len < DOTTED_MAX / 2)
            return read_members(p, key);
        break;
    default:
        break;
    }
    return put_attribute(p, key, WEFT_JSON_OBJECT_BEGIN);
}

static int put_field(struct parse *p, struct weft_slice key, int token, bool top)
{
    enum weft_filelog_role role = weft_filelog_role(key);

    if (role == WEFT_ROLE_NONE)
        return put_attribute(p, key, token);
    if (role == WEFT_ROLE_MESSAGE || role == WEFT_ROLE_SHORT_MESSAGE)
        return put_message(p, key, role, token);
    if (token == WEFT_JSON_OBJECT_BEGIN)
        return top ? put_object(p, key, role) : put_attribute(p, key, token);
    if (token == WEFT_JSON_STRING && top) {
        struct late *late = role == WEFT_ROLE_NAME ? &p->name : role == WEFT_ROLE_EVENT || role == WEFT_ROLE_LOG ? &p->event : NULL;
        if (late && !late->key.data) {
            put_off(late, key, &p->json, token);
            return 0;
        }
    }
    const enum weft_filelog_role place = place_of(role);
    if (token != WEFT_JSON_NULL && take(p, place)) {
        if (place_scalar(p, role, token))
            return p->out->err;
        untake(p, place);
    }
    return put_attribute(p, key, token);
}

/* The members of the object whose '{' was just read, up to its '}'. `prefix` empty: of the line itself. */
static int read_members(struct parse *p, struct weft_slice prefix)
{
    uint8_t room[DOTTED_MAX], plain_room[DOTTED_MAX];
    int token;

    while ((token = weft_json_next(&p->json)) == WEFT_JSON_KEY) {
        struct weft_slice key = p->json.text;
        if (p->json.escaped) {
            struct weft_buf plain = { .data = plain_room, .cap = DOTTED_MAX, .limit = DOTTED_MAX };
            if (weft_json_unescape(key, &plain) == 0)
                key = weft_buf_slice(&plain); /* a longer one stays as it is written */
        }
        if (prefix.len > 0)
            key = dotted(prefix, key, room);
        token = weft_json_next(&p->json);
        if (token < 0)
            return token;
        int err = key.data ? put_field(p, key, token, prefix.len == 0) : weft_json_skip(&p->json, NULL);
        if (err)
            return err;
    }
    return token < 0 ? token : 0;
}

/* ---- the end of a line ---- */

static int put_late(struct parse *p, struct late *late)
{
    return weft_filelog_put_attribute(p->out, WEFT_LOG_ATTRIBUTES, late->key, &late->value, late->token);
}

static int settle(struct parse *p)
{
    int err = 0;

    if (p->name.key.data && !(p->pino && take(p, WEFT_ROLE_SERVICE) && put_service(p, &p->name.value, p->name.token)))
        err = put_late(p, &p->name);
    if (!err && p->event.key.data)
        err = take(p, WEFT_ROLE_MESSAGE) ? weft_filelog_put_value(p->out, WEFT_LOG_BODY, &p->event.value, p->event.token, 0)
                                         : put_late(p, &p->event);
    int severity = p->gelf ? weft_filelog_severity_syslog(p->number_level) : 0;
    if (!err && severity)
        weft_wire_put_varint(p->out, WEFT_LOG_SEVERITY_NUMBER, (uint64_t)severity);
    return err ? err : p->out->err;
}

/* 0; WEFT_ERR_MALFORMED or WEFT_ERR_TOO_DEEP when the line is no JSON object; the buffer's error. */
static int read_json(struct weft_filelog_line *l, struct weft_slice line)
{
    struct parse p;

    p.line = l;
    p.out = &l->record;
    p.have = 0;
    p.pino = p.gelf = false;
    p.number_level = -1;
    p.event.key.data = p.name.key.data = NULL;
    weft_json_init(&p.json, line);
    int err = weft_json_next(&p.json);
    if (err != WEFT_JSON_OBJECT_BEGIN)
        return WEFT_ERR_MALFORMED;
    err = read_members(&p, weft_slice_of(NULL, 0));
    if (!err && weft_json_next(&p.json) != WEFT_JSON_END)
        err = WEFT_ERR_MALFORMED;
    if (!err)
        err = settle(&p);
    if (!err && !(p.have & 1u << WEFT_ROLE_MESSAGE))
        weft_any_put_string(&l->record, WEFT_LOG_BODY, line); /* no message at all: the line is what there is to show */
    return err ? err : l->record.err;
}

static bool looks_like_json(struct weft_slice line)
{
    size_t i = 0;

    while (i < line.len && (line.data[i] == ' ' || line.data[i] == '\t'))
        i++;
    return i < line.len && line.data[i] == '{';
}

static void put_text(struct weft_buf *out, struct weft_slice text)
{
    size_t body = weft_wire_begin(out, WEFT_LOG_BODY), string = weft_wire_begin(out, WEFT_VALUE_STRING);

    weft_filelog_put_utf8(out, text);
    weft_wire_end(out, string);
    weft_wire_end(out, body);
}

void weft_filelog_line_init(struct weft_filelog_line *l, size_t limit)
{
    *l = (struct weft_filelog_line){ 0 };
    weft_buf_init(&l->record, 4 * limit + RECORD_SLACK); /* U+FFFD takes three bytes for one, values of "[1,1,1" four for two */
    weft_buf_init(&l->text, WEFT_FILELOG_SERVICE_MAX);
}

void weft_filelog_line_release(struct weft_filelog_line *l)
{
    weft_buf_release(&l->record);
    weft_buf_release(&l->text);
}

int weft_filelog_line_read(struct weft_filelog_line *l, struct weft_slice line, uint64_t observed_ns,
                           struct weft_slice attributes)
{
    bool json = l->format != WEFT_FILELOG_TEXT && looks_like_json(line);

    l->malformed = l->format == WEFT_FILELOG_JSON && !json;
    l->service = weft_slice_of(NULL, 0);
    weft_buf_reset(&l->record);
    weft_wire_put_fixed64(&l->record, WEFT_LOG_OBSERVED, observed_ns);
    weft_buf_append(&l->record, attributes.data, attributes.len);
    if (json) {
        const size_t before = l->record.len;
        int err = l->record.err ? l->record.err : read_json(l, line);
        if (err != WEFT_ERR_MALFORMED && err != WEFT_ERR_TOO_DEEP && err != WEFT_ERR_TOO_LARGE)
            return err;
        l->malformed = true;
        l->service = weft_slice_of(NULL, 0);
        l->record.len = before;
        l->record.err = 0;
    }
    put_text(&l->record, line);
    return l->record.err;
}
