/* SPDX-License-Identifier: Apache-2.0 */
/* correlation_collect.c: one pass over a request; see correlation_parts.h.
 *
 * A node is made for every message that encloses an item that may be tagged, and for the item itself. Of a metric that
 * holds no exemplar nothing stays. One request, one thread. */
#include "processors/correlation_parts.h"

#include "core/err.h"
#include "core/wire_inline.h"

/* A field of a message, and where its length stands when it is one of WEFT_LENGTH. */
struct step {
    uint32_t key;
    uint64_t scalar;
    const uint8_t *length_at;
    struct weft_slice bytes;
};

static int next_step(struct weft_slice *rest, struct step *s)
{
    struct weft_slice behind_key = *rest;
    uint32_t key;

    if (rest->len > 0 && weft_scan_key(&behind_key, &key))
        s->length_at = behind_key.data;
    return weft_scan_field(rest, &s->key, &s->scalar, &s->bytes);
}

static struct node *add_node(struct work *w, const struct step *s, size_t parent)
{
    enum { FIRST_NODES = 16 };

    if (w->n_nodes == w->nodes_cap) {
        const size_t cap = w->nodes_cap ? 2 * w->nodes_cap : w->n_leaves + FIRST_NODES;
        struct node *nodes = cap < UINT32_MAX ? weft_arena_alloc(w->scratch, cap * sizeof *nodes) : NULL;

        if (!nodes)
            return NULL;
        if (w->n_nodes > 0)
            memcpy(nodes, w->nodes, w->n_nodes * sizeof *nodes);
        w->nodes = nodes;
        w->nodes_cap = cap;
    }
    struct node *node = &w->nodes[w->n_nodes++];
    *node = (struct node){ .length_at = s->length_at, .content = s->bytes, .parent = (uint32_t)parent };
    return node;
}

static const uint8_t *valid_trace(struct weft_slice id)
{
    return weft_id_valid(id, TRACE_ID_LEN) ? id.data : NULL;
}

/* ---- items ---- */

static int collect_span(struct work *w, struct node *node)
{
    struct weft_slice rest = node->content, trace = { 0 }, bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&rest, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_SPAN_ATTRIBUTES, WEFT_LENGTH)) {
            int err = weft_correlation_look(w, bytes, &node->found);
            if (err)
                return err;
        } else if (key == WEFT_KEY(WEFT_SPAN_TRACE_ID, WEFT_LENGTH)) {
            trace = bytes;
        } else if (key == WEFT_KEY(WEFT_SPAN_LINKS, WEFT_LENGTH)) {
            node->has_links = true;
        }
    }
    node->trace_id = valid_trace(trace);
    return result;
}

/* The top level of a structured body says as much as attributes do. */
static int look_into_body(struct work *w, struct weft_slice body, struct found *found)
{
    struct weft_any value;
    int err = weft_any_read(body, &value);

    if (err || value.kind != WEFT_ANY_KVLIST)
        return err;
    return weft_correlation_look_all(w, value.bytes, WEFT_KVLIST_VALUES, found);
}

static int collect_log(struct work *w, struct node *node)
{
    struct weft_slice rest = node->content, trace = { 0 }, body = { 0 }, bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&rest, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_LOG_ATTRIBUTES, WEFT_LENGTH)) {
            int err = weft_correlation_look(w, bytes, &node->found);
            if (err)
                return err;
        } else if (key == WEFT_KEY(WEFT_LOG_TRACE_ID, WEFT_LENGTH)) {
            trace = bytes;
        } else if (key == WEFT_KEY(WEFT_LOG_BODY, WEFT_LENGTH)) {
            body = bytes;
        }
    }
    node->trace_id = valid_trace(trace);
    if (result == 0 && node->found.id.len == 0 && !node->found.present) {
        struct found in_body = { 0 };

        result = look_into_body(w, body, &in_body);
        in_body.present = false; /* a field of the body is not the attribute */
        node->found = in_body;
    }
    return result;
}

static int collect_exemplar(struct work *w, struct node *node)
{
    struct weft_slice rest = node->content, trace = { 0 }, bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&rest, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_EXEMPLAR_ATTRIBUTES, WEFT_LENGTH)) {
            int err = weft_correlation_look(w, bytes, &node->found);
            if (err)
                return err;
        } else if (key == WEFT_KEY(WEFT_EXEMPLAR_TRACE_ID, WEFT_LENGTH)) {
            trace = bytes;
        }
    }
    node->trace_id = valid_trace(trace);
    return result;
}

static int collect_item(struct work *w, const struct step *s, size_t parent)
{
    static int (*const collectors[])(struct work *, struct node *) = { collect_span, collect_log, collect_exemplar };
    struct node *node = add_node(w, s, parent);

    if (!node)
        return WEFT_ERR_LIMIT;
    node->leaf = true;
    return collectors[w->signal](w, node);
}

/* ---- metrics: Metric, Gauge..., data point, Exemplar ---- */

static uint32_t exemplars_of(uint32_t data_key)
{
    switch (data_key) {
    case WEFT_KEY(WEFT_METRIC_GAUGE, WEFT_LENGTH):
    case WEFT_KEY(WEFT_METRIC_SUM, WEFT_LENGTH):
        return WEFT_KEY(WEFT_NUMBER_POINT_EXEMPLARS, WEFT_LENGTH);
    case WEFT_KEY(WEFT_METRIC_HISTOGRAM, WEFT_LENGTH):
        return WEFT_KEY(WEFT_HISTOGRAM_POINT_EXEMPLARS, WEFT_LENGTH);
    case WEFT_KEY(WEFT_METRIC_EXP_HISTOGRAM, WEFT_LENGTH):
        return WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_EXEMPLARS, WEFT_LENGTH);
    default:
        return 0; /* a summary has none */
    }
}

/* Opens a node for *s; *ret_self is its index. */
static int open_node(struct work *w, const struct step *s, size_t parent, size_t *ret_self)
{
    if (!add_node(w, s, parent))
        return WEFT_ERR_LIMIT;
    *ret_self = w->n_nodes - 1;
    return 0;
}

/* Takes the node back when nothing has come below it. */
static void close_node(struct work *w, size_t self)
{
    if (w->n_nodes == self + 1)
        w->n_nodes = self;
}

static int collect_point(struct work *w, const struct step *point, size_t parent, uint32_t exemplars)
{
    struct weft_slice rest = point->bytes;
    struct step s;
    size_t self;
    int result = open_node(w, point, parent, &self);

    if (result < 0)
        return result;
    while ((result = next_step(&rest, &s)) > 0) {
        int err = s.key == exemplars ? collect_item(w, &s, self) : 0;
        if (err)
            return err;
    }
    close_node(w, self);
    return result;
}

static int collect_data(struct work *w, const struct step *data, size_t parent)
{
    const uint32_t exemplars = exemplars_of(data->key);
    struct weft_slice rest = data->bytes;
    struct step s;
    size_t self;
    int result;

    if (!exemplars)
        return 0;
    result = open_node(w, data, parent, &self);
    if (result < 0)
        return result;
    while ((result = next_step(&rest, &s)) > 0) {
        int err = s.key == WEFT_KEY(WEFT_DATA_POINTS, WEFT_LENGTH) ? collect_point(w, &s, self, exemplars) : 0;
        if (err)
            return err;
    }
    close_node(w, self);
    return result;
}

static int collect_metric(struct work *w, const struct step *metric, size_t parent)
{
    struct weft_slice rest = metric->bytes;
    struct step s;
    size_t self;
    int result = open_node(w, metric, parent, &self);

    if (result < 0)
        return result;
    while ((result = next_step(&rest, &s)) > 0) {
        int err = collect_data(w, &s, self);
        if (err)
            return err;
    }
    close_node(w, self);
    return result;
}

/* ---- groups ---- */

static int collect_scope(struct work *w, const struct step *group, size_t parent)
{
    struct weft_slice rest = group->bytes;
    struct step s;
    size_t self;
    int result = open_node(w, group, parent, &self);

    if (result < 0)
        return result;
    while ((result = next_step(&rest, &s)) > 0) {
        int err = 0;

        if (s.key == WEFT_KEY(WEFT_OTLP_ITEMS, WEFT_LENGTH))
            err = w->signal == WEFT_METRICS ? collect_metric(w, &s, self) : collect_item(w, &s, self);
        else if (s.key == WEFT_KEY(WEFT_SCOPE_GROUP_SCOPE, WEFT_LENGTH))
            err = weft_correlation_look_all(w, s.bytes, WEFT_SCOPE_ATTRIBUTES, &w->nodes[self].found);
        if (err)
            return err;
    }
    return result;
}

static int collect_resource(struct work *w, const struct step *group, size_t parent)
{
    struct weft_slice rest = group->bytes;
    struct step s;
    size_t self;
    int result = open_node(w, group, parent, &self);

    if (result < 0)
        return result;
    while ((result = next_step(&rest, &s)) > 0) {
        int err = 0;

        if (s.key == WEFT_KEY(WEFT_RESOURCE_GROUP_SCOPES, WEFT_LENGTH))
            err = collect_scope(w, &s, self);
        else if (s.key == WEFT_KEY(WEFT_RESOURCE_GROUP_RESOURCE, WEFT_LENGTH))
            err = weft_correlation_look_all(w, s.bytes, WEFT_RESOURCE_ATTRIBUTES, &w->nodes[self].found);
        if (err)
            return err;
    }
    return result;
}

int weft_correlation_collect(struct work *w)
{
    const struct step request = { .bytes = w->payload };
    struct weft_slice rest = w->payload;
    struct step s;
    size_t self;
    int result = open_node(w, &request, 0, &self);

    if (result < 0)
        return result;
    while ((result = next_step(&rest, &s)) > 0) {
        int err = s.key == WEFT_KEY(WEFT_REQUEST_GROUPS, WEFT_LENGTH) ? collect_resource(w, &s, self) : 0;
        if (err)
            return err;
    }
    return result;
}
