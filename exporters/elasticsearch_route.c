/* SPDX-License-Identifier: Apache-2.0 */
/* elasticsearch_route.c: see elasticsearch_route.h. */
#include "exporters/elasticsearch_route.h"

#include <stdio.h>

static bool find(const struct weft_es_source *sources, size_t n, struct weft_slice key, struct weft_slice *ret_text)
{
    struct weft_any value;

    for (size_t i = 0; i < n; i++) {
        if (weft_attribute_find(sources[i].message, sources[i].number, key, &value) != 1)
            continue;
        if (value.kind == WEFT_ANY_STRING && value.bytes.len > 0) {
            *ret_text = value.bytes;
            return true;
        }
    }
    return false;
}

/* Lower case, what a name must not have turned into '_', cut to what there is room for before the suffix. Only ASCII
 * is folded; bytes above it pass. */
static void clean(char *to, struct weft_slice from, const char *bad, const char *suffix)
{
    size_t room = WEFT_ES_FIELD_MAX - strlen(suffix), n = from.len < room ? from.len : room;

    while (n < from.len && n > 0 && (from.data[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    for (size_t i = 0; i < n; i++) {
        char c = (char)from.data[i];
        if ((uint8_t)c < 0x20 || c == 0x7f || strchr(bad, c))
            c = '_';
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    memcpy(to + n, suffix, strlen(suffix) + 1);
}

static bool is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* "github.com/.../receiver/hostmetricsreceiver/internal/..." -> "hostmetricsreceiver" */
static bool receiver_of(struct weft_slice scope_name, struct weft_slice *ret_name)
{
    static const char before[] = "/receiver/", after[] = "receiver";
    const uint8_t *found = scope_name.len ? memmem(scope_name.data, scope_name.len, before, sizeof before - 1) : NULL;

    if (!found)
        return false;
    const uint8_t *name = found + sizeof before - 1, *end = name;
    while (end < scope_name.data + scope_name.len && is_word(*end))
        end++;
    while (end - name >= (ptrdiff_t)sizeof after - 1 && memcmp(end - (sizeof after - 1), after, sizeof after - 1) != 0)
        end--;
    if (end - name < (ptrdiff_t)sizeof after - 1)
        return false;
    *ret_name = weft_slice_of(name, (size_t)(end - name));
    return true;
}

static void use_whole_index(struct weft_es_route *r, struct weft_slice name)
{
    size_t n = name.len < WEFT_ES_INDEX_MAX ? name.len : WEFT_ES_INDEX_MAX;

    memcpy(r->index, name.data, n);
    r->index[n] = 0;
}

void weft_es_route(const struct weft_es_route_options *options, const struct weft_es_source *sources, size_t n_sources,
                   struct weft_slice scope_name, struct weft_es_route *ret_route)
{
    struct weft_es_route *r = ret_route;
    struct weft_slice dataset = WEFT_SLICE("generic"), name_space = WEFT_SLICE("default"), text;

    r->type = options->type;
    r->stream = false;
    r->dataset[0] = r->name_space[0] = 0;
    if (find(sources, n_sources, WEFT_SLICE("elasticsearch.index"), &text)) {
        use_whole_index(r, text);
        return;
    }
    if (options->static_index) {
        use_whole_index(r, weft_slice_str(options->static_index));
        return;
    }
    if (!find(sources, n_sources, WEFT_SLICE("data_stream.dataset"), &dataset))
        (void)receiver_of(scope_name, &dataset);
    (void)find(sources, n_sources, WEFT_SLICE("data_stream.namespace"), &name_space);
    clean(r->dataset, dataset, "-\\/*?\"<>| ,#:", options->otel ? ".otel" : "");
    clean(r->name_space, name_space, "\\/*?\"<>| ,#:", "");
    r->stream = true;
    (void)snprintf(r->index, sizeof r->index, "%s-%s-%s", r->type, r->dataset, r->name_space);
}
