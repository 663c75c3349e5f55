/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_metric.c: metrics, their data points and exemplars. See otlp.h. Stateless; any thread. */
#include "core/otlp.h"

#include "core/wire_inline.h"

static double real_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static int32_t unzigzag(uint64_t scalar)
{
    const uint32_t bits = (uint32_t)scalar;

    return (int32_t)(bits >> 1 ^ (0 - (bits & 1)));
}

/* The head of the data of the metric: how many points, and the fields that sums and histograms have. */
static int read_data(struct weft_metric_view *metric)
{
    struct weft_slice rest = metric->data, bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&rest, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_DATA_POINTS, WEFT_LENGTH))
            metric->n_points++;
        else if (key == WEFT_KEY(WEFT_DATA_TEMPORALITY, WEFT_VARINT))
            metric->temporality = (enum weft_temporality)(uint32_t)scalar;
        else if (key == WEFT_KEY(WEFT_DATA_MONOTONIC, WEFT_VARINT))
            metric->monotonic = scalar != 0;
    }
    return result;
}

int weft_metric_read(struct weft_slice message, struct weft_metric_view *ret_metric)
{
    struct weft_metric_view metric = { .message = message };
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_METRIC_NAME, WEFT_LENGTH):
            metric.name = bytes;
            break;
        case WEFT_KEY(WEFT_METRIC_DESCRIPTION, WEFT_LENGTH):
            metric.description = bytes;
            break;
        case WEFT_KEY(WEFT_METRIC_UNIT, WEFT_LENGTH):
            metric.unit = bytes;
            break;
        case WEFT_KEY(WEFT_METRIC_GAUGE, WEFT_LENGTH):
        case WEFT_KEY(WEFT_METRIC_SUM, WEFT_LENGTH):
        case WEFT_KEY(WEFT_METRIC_HISTOGRAM, WEFT_LENGTH):
        case WEFT_KEY(WEFT_METRIC_EXP_HISTOGRAM, WEFT_LENGTH):
        case WEFT_KEY(WEFT_METRIC_SUMMARY, WEFT_LENGTH):
            metric.kind = (enum weft_metric_kind)(key >> 3);
            metric.data = bytes;
            break;
        default:
            break;
        }
    }
    if (result == 0)
        result = read_data(&metric);
    if (result == 0)
        *ret_metric = metric;
    return result;
}

int weft_metric_point_next(struct weft_slice *rest, struct weft_slice *ret_point)
{
    return weft_wire_next_bytes(rest, WEFT_DATA_POINTS, ret_point);
}

int weft_number_point_read(struct weft_slice message, struct weft_number_point *ret_point)
{
    struct weft_number_point point = { .message = message };
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_NUMBER_POINT_START, WEFT_FIXED64):
            point.start_ns = scalar;
            break;
        case WEFT_KEY(WEFT_NUMBER_POINT_TIME, WEFT_FIXED64):
            point.time_ns = scalar;
            break;
        case WEFT_KEY(WEFT_NUMBER_POINT_DOUBLE, WEFT_FIXED64):
            point.real = real_of(scalar);
            point.integer = 0;
            point.is_int = false;
            point.has_value = true;
            break;
        case WEFT_KEY(WEFT_NUMBER_POINT_INT, WEFT_FIXED64):
            point.integer = (int64_t)scalar;
            point.real = 0;
            point.is_int = point.has_value = true;
            break;
        case WEFT_KEY(WEFT_NUMBER_POINT_FLAGS, WEFT_VARINT):
            point.flags = (uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_NUMBER_POINT_EXEMPLARS, WEFT_LENGTH):
            point.n_exemplars++;
            break;
        default:
            break;
        }
    }
    if (result == 0)
        *ret_point = point;
    return result;
}

int weft_histogram_point_read(struct weft_slice message, struct weft_histogram_point *ret_point)
{
    struct weft_histogram_point point = {
        .message = message,
        .bounds = { .rest = message, .number = WEFT_HISTOGRAM_POINT_BOUNDS },
        .bucket_counts = { .rest = message, .number = WEFT_HISTOGRAM_POINT_BUCKET_COUNTS },
    };
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_START, WEFT_FIXED64):
            point.start_ns = scalar;
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_TIME, WEFT_FIXED64):
            point.time_ns = scalar;
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_COUNT, WEFT_FIXED64):
            point.count = scalar;
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_SUM, WEFT_FIXED64):
            point.sum = real_of(scalar);
            point.has_sum = true;
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_MIN, WEFT_FIXED64):
            point.min = real_of(scalar);
            point.has_min = true;
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_MAX, WEFT_FIXED64):
            point.max = real_of(scalar);
            point.has_max = true;
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_BOUNDS, WEFT_FIXED64):
            point.n_bounds++;
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_BOUNDS, WEFT_LENGTH):
            point.n_bounds += (uint32_t)(bytes.len / 8);
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_BUCKET_COUNTS, WEFT_FIXED64):
            point.n_bucket_counts++;
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_BUCKET_COUNTS, WEFT_LENGTH):
            point.n_bucket_counts += (uint32_t)(bytes.len / 8);
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_FLAGS, WEFT_VARINT):
            point.flags = (uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_HISTOGRAM_POINT_EXEMPLARS, WEFT_LENGTH):
            point.n_exemplars++;
            break;
        default:
            break;
        }
    }
    if (result == 0)
        *ret_point = point;
    return result;
}

/* How many varints a packed array holds: as many as it has bytes without a continuation bit. */
static uint32_t count_varints(struct weft_slice packed)
{
    uint32_t n = 0;

    for (size_t i = 0; i < packed.len; i++)
        n += packed.data[i] < 0x80;
    return n;
}

/* On top of what an earlier piece of the same buckets has set. */
static int merge_buckets(struct weft_slice message, struct weft_exp_buckets *buckets)
{
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_EXP_BUCKETS_OFFSET, WEFT_VARINT))
            buckets->offset = unzigzag(scalar);
        else if (key == WEFT_KEY(WEFT_EXP_BUCKETS_COUNTS, WEFT_VARINT))
            buckets->n_counts++;
        else if (key == WEFT_KEY(WEFT_EXP_BUCKETS_COUNTS, WEFT_LENGTH))
            buckets->n_counts += count_varints(bytes);
    }
    return result;
}

static struct weft_exp_buckets buckets_of(struct weft_slice point, uint32_t number)
{
    return (struct weft_exp_buckets){
        .counts = { .outer = point, .outer_number = number, .number = WEFT_EXP_BUCKETS_COUNTS }
    };
}

int weft_exp_histogram_point_read(struct weft_slice message, struct weft_exp_histogram_point *ret_point)
{
    struct weft_exp_histogram_point point = {
        .message = message,
        .positive = buckets_of(message, WEFT_EXP_HISTOGRAM_POINT_POSITIVE),
        .negative = buckets_of(message, WEFT_EXP_HISTOGRAM_POINT_NEGATIVE),
    };
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_START, WEFT_FIXED64):
            point.start_ns = scalar;
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_TIME, WEFT_FIXED64):
            point.time_ns = scalar;
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_COUNT, WEFT_FIXED64):
            point.count = scalar;
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_SUM, WEFT_FIXED64):
            point.sum = real_of(scalar);
            point.has_sum = true;
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_MIN, WEFT_FIXED64):
            point.min = real_of(scalar);
            point.has_min = true;
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_MAX, WEFT_FIXED64):
            point.max = real_of(scalar);
            point.has_max = true;
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_SCALE, WEFT_VARINT):
            point.scale = unzigzag(scalar);
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_ZERO_COUNT, WEFT_FIXED64):
            point.zero_count = scalar;
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_ZERO_THRESHOLD, WEFT_FIXED64):
            point.zero_threshold = real_of(scalar);
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_POSITIVE, WEFT_LENGTH):
            result = merge_buckets(bytes, &point.positive);
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_NEGATIVE, WEFT_LENGTH):
            result = merge_buckets(bytes, &point.negative);
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_FLAGS, WEFT_VARINT):
            point.flags = (uint32_t)scalar;
            break;
        case WEFT_KEY(WEFT_EXP_HISTOGRAM_POINT_EXEMPLARS, WEFT_LENGTH):
            point.n_exemplars++;
            break;
        default:
            break;
        }
        if (result < 0)
            return result;
    }
    if (result == 0)
        *ret_point = point;
    return result;
}

int weft_summary_point_read(struct weft_slice message, struct weft_summary_point *ret_point)
{
    struct weft_summary_point point = { .message = message };
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_SUMMARY_POINT_START, WEFT_FIXED64):
            point.start_ns = scalar;
            break;
        case WEFT_KEY(WEFT_SUMMARY_POINT_TIME, WEFT_FIXED64):
            point.time_ns = scalar;
            break;
        case WEFT_KEY(WEFT_SUMMARY_POINT_COUNT, WEFT_FIXED64):
            point.count = scalar;
            break;
        case WEFT_KEY(WEFT_SUMMARY_POINT_SUM, WEFT_FIXED64):
            point.sum = real_of(scalar);
            break;
        case WEFT_KEY(WEFT_SUMMARY_POINT_FLAGS, WEFT_VARINT):
            point.flags = (uint32_t)scalar;
            break;
        default:
            break;
        }
    }
    if (result == 0)
        *ret_point = point;
    return result;
}

int weft_quantile_next(struct weft_slice *rest, struct weft_quantile *ret_quantile)
{
    struct weft_quantile quantile = { 0 };
    struct weft_slice message, bytes;
    uint64_t scalar;
    uint32_t key;
    int result = weft_wire_next_bytes(rest, WEFT_SUMMARY_POINT_QUANTILES, &message);

    if (result <= 0)
        return result;
    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        if (key == WEFT_KEY(WEFT_QUANTILE_QUANTILE, WEFT_FIXED64))
            quantile.quantile = real_of(scalar);
        else if (key == WEFT_KEY(WEFT_QUANTILE_VALUE, WEFT_FIXED64))
            quantile.value = real_of(scalar);
    }
    if (result < 0)
        return result;
    *ret_quantile = quantile;
    return 1;
}

static uint32_t exemplars_field(enum weft_metric_kind kind)
{
    switch (kind) {
    case WEFT_METRIC_GAUGE:
    case WEFT_METRIC_SUM:
        return WEFT_NUMBER_POINT_EXEMPLARS;
    case WEFT_METRIC_HISTOGRAM:
        return WEFT_HISTOGRAM_POINT_EXEMPLARS;
    case WEFT_METRIC_EXP_HISTOGRAM:
        return WEFT_EXP_HISTOGRAM_POINT_EXEMPLARS;
    case WEFT_METRIC_SUMMARY:
    case WEFT_METRIC_EMPTY:
        break;
    }
    return 0;
}

static int read_exemplar(struct weft_slice message, struct weft_exemplar *ret_exemplar)
{
    struct weft_exemplar exemplar = { .message = message };
    struct weft_slice bytes;
    uint64_t scalar;
    uint32_t key;
    int result;

    while ((result = weft_scan_field(&message, &key, &scalar, &bytes)) > 0) {
        switch (key) {
        case WEFT_KEY(WEFT_EXEMPLAR_TIME, WEFT_FIXED64):
            exemplar.time_ns = scalar;
            break;
        case WEFT_KEY(WEFT_EXEMPLAR_DOUBLE, WEFT_FIXED64):
            exemplar.real = real_of(scalar);
            exemplar.integer = 0;
            exemplar.is_int = false;
            exemplar.has_value = true;
            break;
        case WEFT_KEY(WEFT_EXEMPLAR_INT, WEFT_FIXED64):
            exemplar.integer = (int64_t)scalar;
            exemplar.real = 0;
            exemplar.is_int = exemplar.has_value = true;
            break;
        case WEFT_KEY(WEFT_EXEMPLAR_SPAN_ID, WEFT_LENGTH):
            exemplar.span_id = bytes;
            break;
        case WEFT_KEY(WEFT_EXEMPLAR_TRACE_ID, WEFT_LENGTH):
            exemplar.trace_id = bytes;
            break;
        default:
            break;
        }
    }
    if (result == 0)
        *ret_exemplar = exemplar;
    return result;
}

int weft_exemplar_next(enum weft_metric_kind kind, struct weft_slice *rest, struct weft_exemplar *ret_exemplar)
{
    const uint32_t number = exemplars_field(kind);
    struct weft_slice message;
    int result = number ? weft_wire_next_bytes(rest, number, &message) : 0;

    if (result <= 0)
        return result;
    result = read_exemplar(message, ret_exemplar);
    return result < 0 ? result : 1;
}
