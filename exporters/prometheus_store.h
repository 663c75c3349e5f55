/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_store.h: what the next scrape will see: families of series, updated in place.
 *
 * A series is found by its raw key, a hash of the bytes that identify it (resource, scope, metric, attributes in any
 * order), so an update of a known series translates nothing. A raw key that is not known yet is translated into label
 * text and looked up by its key, a hash of the text: two spellings of one label set are one series.
 *
 *      origin (resource + scope: job, instance, otel_scope_*) ◄── series ──► family (name, type, help, unit)
 *         └──► target (target_info of one job and instance)
 *
 *   (1) lines <= max_lines, ledger.used <= ledger.limit, whatever comes.
 *   (2) No two families claim one sample name; no two series of a family have the same labels.
 *   (3) Families are kept in the order of their names, series in the order of their birth.
 *   (4) A series that was not updated for expire_ms is gone before the next page.
 *   (5) Families, origins and targets live while series refer to them.
 *
 * One thread: the lane's.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_STORE_H
#define WEFT_EXPORTERS_PROMETHEUS_STORE_H

#include "core/otlp.h"
#include "core/option.h"
#include "exporters/prometheus_index.h"
#include "exporters/prometheus_labels.h"
#include "exporters/prometheus_name.h"

enum weft_prom_type { WEFT_PROM_COUNTER, WEFT_PROM_GAUGE, WEFT_PROM_HISTOGRAM, WEFT_PROM_SUMMARY };

/* How a series keeps its data. A histogram family may have both kinds of histogram. */
enum weft_prom_kind { WEFT_PROM_NUMBER, WEFT_PROM_BUCKETS, WEFT_PROM_EXPONENTIAL, WEFT_PROM_QUANTILES };

/* The newest exemplar of a counter or of a bucket; its labels are rendered. */
struct weft_prom_exemplar {
    double value;
    uint64_t time_ns;
    uint32_t cap, len;
    uint8_t labels[];
};

/* Bucket bounds, shared by series that have the same. */
struct weft_prom_bounds {
    unsigned refs;
    uint32_t n, size;        /* size: of the whole block */
    const uint8_t *text;     /* le="..." of each bound, one behind the other */
    uint32_t *ends;          /* where each text ends */
    double values[];
};

struct weft_prom_histogram {
    struct weft_prom_bounds *bounds;
    struct weft_prom_exemplar **exemplars; /* bounds->n + 1, or NULL */
    double sum;
    bool has_sum;
    uint64_t counts[];                     /* bounds->n + 1, not cumulative */
};

enum { WEFT_PROM_EXP_MAX = 320 };          /* buckets of one side; more are merged into coarser ones */

struct weft_prom_exp_side { int32_t offset; uint32_t n; uint64_t *counts; };

struct weft_prom_exp {
    int32_t scale;
    double sum, zero_threshold;
    bool has_sum;
    uint64_t count, zero_count;
    struct weft_prom_exp_side positive, negative;
    struct weft_prom_exemplar *exemplar;
};

struct weft_prom_quantiles {
    double sum;
    uint64_t count;
    uint32_t n;
    struct weft_quantile items[];
};

struct weft_prom_family;
struct weft_prom_origin;

struct weft_prom_series {
    struct weft_prom_family *family;
    struct weft_prom_origin *origin;
    uint64_t raw_key, key;
    uint64_t seen_ms;                      /* monotonic */
    uint64_t start_ns, time_ns;            /* of the last point, by the sender's clock */
    union {
        double number;
        struct weft_prom_histogram *buckets;
        struct weft_prom_exp *exp;
        struct weft_prom_quantiles *quantiles;
    };
    struct weft_prom_exemplar *exemplar;   /* of a counter */
    uint32_t lines;                        /* it will write */
    uint8_t kind;                          /* enum weft_prom_kind */
    bool delta, dead;                      /* dead: gone with the next sweep, which comes before the next page */
    uint32_t labels_len;
    uint8_t labels[];                      /* beside its origin's */
};

struct weft_prom_family {
    uint64_t raw_key;
    enum weft_prom_type type;
    bool total, plain, odd_labels;         /* plain: the name needs no quotes. odd_labels: some label of a series does */
    struct weft_slice name, help, unit;    /* behind the struct */
    size_t size;                           /* of the whole block */
    struct weft_prom_bounds *bounds;       /* the last that were used, or NULL */
    struct weft_prom_series **series;
    size_t n, cap;
};

/* target_info of one job and instance. */
struct weft_prom_target {
    uint64_t key, resource_key;
    unsigned refs;
    bool odd_labels;
    uint32_t labels_len;
    uint8_t *labels;                       /* NULL: the resource has no attributes */
};

struct weft_prom_origin {
    uint64_t key, labels_key;
    unsigned refs;
    struct weft_prom_target *target;       /* NULL: neither job nor instance */
    bool odd_labels;
    uint32_t labels_len;
    uint8_t labels[];
};

struct weft_prom_settings {
    enum weft_prom_strategy strategy;
    struct weft_slice space;               /* namespace; this and all else here lives as long as the store */
    struct weft_pairs const_labels;
    struct weft_strings included, excluded; /* resource attributes that become labels: patterns */
    bool scope_labels;
    uint64_t expire_ms, max_lines, memory_limit, seed;
};

struct weft_prom_store {
    struct weft_prom_settings settings;
    struct weft_prom_ledger ledger;
    uint64_t lines, n_series;
    struct weft_prom_index by_raw, by_key; /* series */
    struct weft_prom_index metrics, claims; /* families: by what the sender calls them, by sample name */
    struct weft_prom_index origins, targets_by_key;
    struct weft_prom_family **families;
    size_t n_families, families_cap;
    struct weft_prom_target **targets;
    size_t n_targets, targets_cap;
    uint64_t swept_ms;
    struct weft_arena scratch;             /* for translating; bounded, beside the ledger */
    struct weft_buf text;
    struct weft_prom_name name;
    struct weft_prom_labels labels;
};

/* Empty, and allocates nothing yet; release frees everything that came in. */
void weft_prom_store_init(struct weft_prom_store *s, const struct weft_prom_settings *settings);
void weft_prom_store_release(struct weft_prom_store *s);

/* What could not be taken, and why. `reason` is one of the words below; `metric` is the sender's name for it. */
struct weft_prom_drops {
    void *ctx;
    void (*drop)(void *ctx, uint64_t item, const char *reason, struct weft_slice metric);
};

/* Values of the label `reason`. */
#define WEFT_PROM_TYPE_CONFLICT "type_conflict"          /* its name belongs to a metric of another type */
#define WEFT_PROM_MAX_SERIES    "max_series"
#define WEFT_PROM_MEMORY        "memory_limit"
#define WEFT_PROM_OUT_OF_ORDER  "out_of_order"           /* older than what is here, or a delta seen before */
#define WEFT_PROM_TEMPORALITY   "unsupported_temporality" /* unspecified, or a delta that can fall */
#define WEFT_PROM_NAME          "invalid_name"
#define WEFT_PROM_POINT         "invalid_point"          /* no value, buckets that do not add up, ... */
#define WEFT_PROM_MALFORMED     "malformed"

/* Takes a metrics payload of `n_items` data points, numbered from `first_item`. Every data point ends in the store
 * or in drops. */
void weft_prom_take(struct weft_prom_store *s, struct weft_slice payload, uint64_t now_ms, uint64_t first_item,
                    uint64_t n_items, const struct weft_prom_drops *drops);

/* Removes series that were not updated for expire_ms, and what nothing refers to any more. */
void weft_prom_sweep(struct weft_prom_store *s, uint64_t now_ms);

/* ---- for prometheus_take.c ---- */

/* The family of a metric, made when it is new. NULL and *ret_reason when it cannot be had. */
struct weft_prom_family *weft_prom_family_of(struct weft_prom_store *s, const struct weft_metric_view *metric,
                                             enum weft_prom_type type, const char **ret_reason);

/* Room for one more pointer behind the `n` of a list. */
bool weft_prom_list_room(struct weft_prom_ledger *l, void ***items, size_t n, size_t *cap);

/* The origin of the walk's place, made when it is new. NULL and *ret_reason when it cannot be had. */
struct weft_prom_origin *weft_prom_origin_of(struct weft_prom_store *s, const struct weft_otlp_walk *walk,
                                             const char **ret_reason);

/* The series with the labels of `point`, made when it is new, under `raw_key` from now on. */
struct weft_prom_series *weft_prom_series_make(struct weft_prom_store *s, struct weft_prom_family *f,
                                               struct weft_prom_origin *o, struct weft_slice point, uint32_t attributes,
                                               uint64_t raw_key, const char **ret_reason);

/* Gives a series as many lines as it will write now. False: max_lines would be passed. */
bool weft_prom_series_resize(struct weft_prom_store *s, struct weft_prom_series *series, uint32_t lines);

/* Frees a series' data (not the series). */
void weft_prom_series_clear(struct weft_prom_store *s, struct weft_prom_series *series);

void weft_prom_bounds_unref(struct weft_prom_store *s, struct weft_prom_bounds *b);

#endif
