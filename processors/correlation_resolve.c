/* SPDX-License-Identifier: Apache-2.0 */
/* correlation_resolve.c: which ID an item gets; the rules are told in docs/correlation.md.
 *
 * First all items teach what they know, then each is decided, so that the order of items in a request says nothing.
 * One request, one thread. */
#include "processors/correlation_parts.h"

#include "core/err.h"

/* A link may lead to a trace whose ID is itself known by a link; so many links in a row are followed. */
enum { LINKS_IN_A_ROW = 8 };

static struct weft_slice trace_slice(const uint8_t *trace_id)
{
    return weft_slice_of(trace_id, TRACE_ID_LEN);
}

/* The scope's own, or the resource's own; found.id empty: none. */
static const struct found *group_found(const struct work *w, const struct node *leaf)
{
    static const struct found nothing;

    for (uint32_t at = leaf->parent; at != 0; at = w->nodes[at].parent)
        if (w->nodes[at].found.id.len > 0)
            return &w->nodes[at].found;
    return &nothing;
}

/* ---- learning ---- */

/* What the item's own ID is worth to others: one that another agent has inferred is worth the least. */
static enum strength worth(const struct found *f)
{
    return f->present && f->inferred ? FROM_INFERRED : (enum strength)f->strength;
}

static bool same_lesson(const struct node *a, const struct node *b)
{
    return a && a->trace_id && memcmp(a->trace_id, b->trace_id, TRACE_ID_LEN) == 0 &&
           worth(&a->found) == worth(&b->found) && weft_slice_equal(a->found.id, b->found.id);
}

/* Returns the node that taught a trace last: spans of one trace come together and mostly say the same. */
static const struct node *teach_own(struct work *w, const struct node *leaf, const struct node *last)
{
    const struct found *f = &leaf->found;

    if (f->request.len > 0)
        weft_correlation_teach(w, &w->requests, f->request, f->id, worth(f), leaf->trace_id);
    if (!leaf->trace_id || f->id.len == 0)
        return last;
    if (!same_lesson(last, leaf))
        weft_correlation_teach(w, &w->traces, trace_slice(leaf->trace_id), f->id, worth(f), NULL);
    return leaf;
}

static void teach_all(struct work *w)
{
    const struct node *last = NULL;

    for (size_t i = 0; i < w->n_nodes; i++) {
        const struct node *leaf = &w->nodes[i];

        if (!leaf->leaf)
            continue;
        last = teach_own(w, leaf, last);
        if (leaf->trace_id && leaf->found.id.len == 0) {
            const struct found *f = group_found(w, leaf);

            if (f->id.len > 0)
                weft_correlation_teach(w, &w->traces, trace_slice(leaf->trace_id), f->id, FROM_RESOURCE, NULL);
        }
    }
}

/* A span's trace has the ID of the traces that the span links to, when it has none of its own. 1: learned something. */
static int follow_links(struct work *w, const struct node *span)
{
    struct weft_slice rest = span->content;
    struct weft_span_link link;
    int result;

    if (weft_correlation_recall(w->traces, trace_slice(span->trace_id)))
        return 0;
    while ((result = weft_span_link_next(&rest, &link)) > 0) {
        const struct lesson *l = weft_id_valid(link.trace_id, TRACE_ID_LEN)
                                     ? weft_correlation_recall(w->traces, link.trace_id) : NULL;

        if (l)
            return weft_correlation_teach(w, &w->traces, trace_slice(span->trace_id), l->id, FROM_LINK, NULL);
    }
    return result;
}

static int teach_links(struct work *w)
{
    for (int round = 0; w->traces && round < LINKS_IN_A_ROW; round++) {
        bool news = false;

        for (size_t i = 0; i < w->n_nodes; i++) {
            const struct node *span = &w->nodes[i];
            const int result = span->has_links && span->trace_id ? follow_links(w, span) : 0;

            if (result < 0)
                return result;
            news = news || result > 0;
        }
        if (!news)
            break;
    }
    return 0;
}

/* ---- deciding ---- */

static void decide(struct work *w, struct node *leaf, struct weft_slice id, enum source source)
{
    leaf->tag = id;
    leaf->source = (uint8_t)source;
    leaf->inferred = source == SOURCE_BATCH || source == SOURCE_LINK || source == SOURCE_TRACE_ID;
    w->counts[TAGGED_EXPLICIT + source - SOURCE_EXPLICIT]++;
}

static const struct lesson *of_trace(const struct work *w, const uint8_t *trace_id)
{
    return trace_id ? weft_correlation_recall(w->traces, trace_slice(trace_id)) : NULL;
}

/* The correlation ID that goes with a request ID, when somebody in the batch carried both, or its trace has one. */
static const struct lesson *of_request(const struct work *w, const struct lesson *request, const uint8_t *trace_id)
{
    const struct lesson *l = request;

    if (l && l->strength == FROM_CORRELATION)
        return l;
    l = of_trace(w, trace_id);
    return l && l->strength == FROM_CORRELATION ? l : NULL;
}

static void decide_request(struct work *w, struct node *leaf)
{
    const struct lesson *request = weft_correlation_recall(w->requests, leaf->found.request);

    if (w->signal == WEFT_LOGS && !leaf->trace_id && request && request->trace_id) {
        leaf->give_trace = request->trace_id;
        w->counts[INHERITED_TRACES]++;
    }
    const struct lesson *better = of_request(w, request, leaf->trace_id ? leaf->trace_id : leaf->give_trace);
    if (better)
        decide(w, leaf, better->id, SOURCE_BATCH);
    else
        decide(w, leaf, leaf->found.id, SOURCE_REQUEST);
    leaf->inferred = leaf->inferred || leaf->give_trace;
}

static void resolve_leaf(struct work *w, struct node *leaf)
{
    const struct found *group = group_found(w, leaf);
    const struct lesson *l;

    if (leaf->found.present)
        w->counts[KEPT]++;
    else if (leaf->found.strength == FROM_CORRELATION)
        decide(w, leaf, leaf->found.id, SOURCE_EXPLICIT);
    else if (leaf->found.strength == FROM_REQUEST)
        decide_request(w, leaf);
    else if (group->id.len > 0)
        decide(w, leaf, group->id, SOURCE_RESOURCE);
    else if ((l = of_trace(w, leaf->trace_id)))
        decide(w, leaf, l->id, l->strength == FROM_LINK ? SOURCE_LINK : SOURCE_BATCH);
    else if (leaf->trace_id)
        decide(w, leaf, weft_slice_of(NULL, 2 * TRACE_ID_LEN), SOURCE_TRACE_ID);
    else
        w->counts[UNTAGGED]++;
}

int weft_correlation_resolve(struct work *w)
{
    teach_all(w);
    int err = teach_links(w);

    for (size_t i = 0; !err && i < w->n_nodes; i++)
        if (w->nodes[i].leaf)
            resolve_leaf(w, &w->nodes[i]);
    return err;
}
