/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_json_schema.c: the rows of otlp_json_schema.h, as opentelemetry-proto 1.11 has them. The fields that only profiles
 * use (string indexes into a dictionary) are left out: they mean nothing in the other signals. Constants only. */
#include "core/otlp_json_schema.h"

enum { R = WEFT_OJ_REPEATED, W = WEFT_OJ_REPEATED | WEFT_OJ_WIDE, P = WEFT_OJ_PRESENCE,
       O = WEFT_OJ_ONEOF | WEFT_OJ_PRESENCE };

#define VALUE(number, key, kind, flags) [WEFT_##number] = { key, sizeof key - 1, WEFT_OJ_##kind, 0, flags }
#define CHILD(number, key, message, flags) \
    [WEFT_##number] = { key, sizeof key - 1, WEFT_OJ_CHILD, WEFT_OJ_##message, flags }

const struct weft_oj_field weft_oj_fields[WEFT_OJ_MESSAGES][WEFT_OJ_FIELD_MAX + 1] = {
    [WEFT_OJ_TRACES] = {
        CHILD(REQUEST_GROUPS, "resourceSpans", RESOURCE_SPANS, W),
    },
    [WEFT_OJ_LOGS] = {
        CHILD(REQUEST_GROUPS, "resourceLogs", RESOURCE_LOGS, W),
    },
    [WEFT_OJ_METRICS] = {
        CHILD(REQUEST_GROUPS, "resourceMetrics", RESOURCE_METRICS, W),
    },
    [WEFT_OJ_RESOURCE_SPANS] = {
        CHILD(RESOURCE_GROUP_RESOURCE, "resource", RESOURCE, 0),
        CHILD(RESOURCE_GROUP_SCOPES, "scopeSpans", SCOPE_SPANS, W),
        VALUE(RESOURCE_GROUP_SCHEMA_URL, "schemaUrl", STRING, 0),
    },
    [WEFT_OJ_RESOURCE_LOGS] = {
        CHILD(RESOURCE_GROUP_RESOURCE, "resource", RESOURCE, 0),
        CHILD(RESOURCE_GROUP_SCOPES, "scopeLogs", SCOPE_LOGS, W),
        VALUE(RESOURCE_GROUP_SCHEMA_URL, "schemaUrl", STRING, 0),
    },
    [WEFT_OJ_RESOURCE_METRICS] = {
        CHILD(RESOURCE_GROUP_RESOURCE, "resource", RESOURCE, 0),
        CHILD(RESOURCE_GROUP_SCOPES, "scopeMetrics", SCOPE_METRICS, W),
        VALUE(RESOURCE_GROUP_SCHEMA_URL, "schemaUrl", STRING, 0),
    },
    [WEFT_OJ_SCOPE_SPANS] = {
        CHILD(SCOPE_GROUP_SCOPE, "scope", SCOPE, 0),
        CHILD(OTLP_ITEMS, "spans", SPAN, R),
        VALUE(SCOPE_GROUP_SCHEMA_URL, "schemaUrl", STRING, 0),
    },
    [WEFT_OJ_SCOPE_LOGS] = {
        CHILD(SCOPE_GROUP_SCOPE, "scope", SCOPE, 0),
        CHILD(OTLP_ITEMS, "logRecords", LOG, R),
        VALUE(SCOPE_GROUP_SCHEMA_URL, "schemaUrl", STRING, 0),
    },
    [WEFT_OJ_SCOPE_METRICS] = {
        CHILD(SCOPE_GROUP_SCOPE, "scope", SCOPE, 0),
        CHILD(OTLP_ITEMS, "metrics", METRIC, R),
        VALUE(SCOPE_GROUP_SCHEMA_URL, "schemaUrl", STRING, 0),
    },
    [WEFT_OJ_RESOURCE] = {
        CHILD(RESOURCE_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(RESOURCE_DROPPED, "droppedAttributesCount", UINT32, 0),
        CHILD(RESOURCE_ENTITY_REFS, "entityRefs", ENTITY_REF, R),
    },
    [WEFT_OJ_ENTITY_REF] = {
        VALUE(ENTITY_REF_SCHEMA_URL, "schemaUrl", STRING, 0),
        VALUE(ENTITY_REF_TYPE, "type", STRING, 0),
        VALUE(ENTITY_REF_ID_KEYS, "idKeys", STRING, R),
        VALUE(ENTITY_REF_DESCRIPTION_KEYS, "descriptionKeys", STRING, R),
    },
    [WEFT_OJ_SCOPE] = {
        VALUE(SCOPE_NAME, "name", STRING, 0),
        VALUE(SCOPE_VERSION, "version", STRING, 0),
        CHILD(SCOPE_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(SCOPE_DROPPED, "droppedAttributesCount", UINT32, 0),
    },
    [WEFT_OJ_KEYVALUE] = {
        VALUE(KEYVALUE_KEY, "key", STRING, 0),
        CHILD(KEYVALUE_VALUE, "value", ANY, 0),
    },
    [WEFT_OJ_ANY] = {
        VALUE(VALUE_STRING, "stringValue", STRING, O),
        VALUE(VALUE_BOOL, "boolValue", BOOL, O),
        VALUE(VALUE_INT, "intValue", INT64, O),
        VALUE(VALUE_DOUBLE, "doubleValue", DOUBLE, O),
        CHILD(VALUE_ARRAY, "arrayValue", ARRAY, O),
        CHILD(VALUE_KVLIST, "kvlistValue", KVLIST, O),
        VALUE(VALUE_BYTES, "bytesValue", BYTES, O),
    },
    [WEFT_OJ_ARRAY] = {
        CHILD(ARRAY_VALUES, "values", ANY, R),
    },
    [WEFT_OJ_KVLIST] = {
        CHILD(KVLIST_VALUES, "values", KEYVALUE, R),
    },
    [WEFT_OJ_SPAN] = {
        VALUE(SPAN_TRACE_ID, "traceId", TRACE_ID, 0),
        VALUE(SPAN_SPAN_ID, "spanId", SPAN_ID, 0),
        VALUE(SPAN_TRACE_STATE, "traceState", STRING, 0),
        VALUE(SPAN_PARENT_SPAN_ID, "parentSpanId", SPAN_ID, 0),
        VALUE(SPAN_NAME, "name", STRING, 0),
        VALUE(SPAN_KIND, "kind", INT32, 0),
        VALUE(SPAN_START, "startTimeUnixNano", FIXED64, 0),
        VALUE(SPAN_END, "endTimeUnixNano", FIXED64, 0),
        CHILD(SPAN_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(SPAN_DROPPED_ATTRIBUTES, "droppedAttributesCount", UINT32, 0),
        CHILD(SPAN_EVENTS, "events", EVENT, R),
        VALUE(SPAN_DROPPED_EVENTS, "droppedEventsCount", UINT32, 0),
        CHILD(SPAN_LINKS, "links", LINK, R),
        VALUE(SPAN_DROPPED_LINKS, "droppedLinksCount", UINT32, 0),
        CHILD(SPAN_STATUS, "status", STATUS, 0),
        VALUE(SPAN_FLAGS, "flags", FIXED32, 0),
    },
    [WEFT_OJ_EVENT] = {
        VALUE(SPAN_EVENT_TIME, "timeUnixNano", FIXED64, 0),
        VALUE(SPAN_EVENT_NAME, "name", STRING, 0),
        CHILD(SPAN_EVENT_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(SPAN_EVENT_DROPPED, "droppedAttributesCount", UINT32, 0),
    },
    [WEFT_OJ_LINK] = {
        VALUE(SPAN_LINK_TRACE_ID, "traceId", TRACE_ID, 0),
        VALUE(SPAN_LINK_SPAN_ID, "spanId", SPAN_ID, 0),
        VALUE(SPAN_LINK_TRACE_STATE, "traceState", STRING, 0),
        CHILD(SPAN_LINK_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(SPAN_LINK_DROPPED, "droppedAttributesCount", UINT32, 0),
        VALUE(SPAN_LINK_FLAGS, "flags", FIXED32, 0),
    },
    [WEFT_OJ_STATUS] = {
        VALUE(STATUS_MESSAGE, "message", STRING, 0),
        VALUE(STATUS_CODE, "code", INT32, 0),
    },
    [WEFT_OJ_LOG] = {
        VALUE(LOG_TIME, "timeUnixNano", FIXED64, 0),
        VALUE(LOG_SEVERITY_NUMBER, "severityNumber", INT32, 0),
        VALUE(LOG_SEVERITY_TEXT, "severityText", STRING, 0),
        CHILD(LOG_BODY, "body", ANY, 0),
        CHILD(LOG_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(LOG_DROPPED_ATTRIBUTES, "droppedAttributesCount", UINT32, 0),
        VALUE(LOG_FLAGS, "flags", FIXED32, 0),
        VALUE(LOG_TRACE_ID, "traceId", TRACE_ID, 0),
        VALUE(LOG_SPAN_ID, "spanId", SPAN_ID, 0),
        VALUE(LOG_OBSERVED, "observedTimeUnixNano", FIXED64, 0),
        VALUE(LOG_EVENT_NAME, "eventName", STRING, 0),
    },
    [WEFT_OJ_METRIC] = {
        VALUE(METRIC_NAME, "name", STRING, 0),
        VALUE(METRIC_DESCRIPTION, "description", STRING, 0),
        VALUE(METRIC_UNIT, "unit", STRING, 0),
        CHILD(METRIC_GAUGE, "gauge", GAUGE, O),
        CHILD(METRIC_SUM, "sum", SUM, O),
        CHILD(METRIC_HISTOGRAM, "histogram", HISTOGRAM, O),
        CHILD(METRIC_EXP_HISTOGRAM, "exponentialHistogram", EXP_HISTOGRAM, O),
        CHILD(METRIC_SUMMARY, "summary", SUMMARY, O),
        CHILD(METRIC_METADATA, "metadata", KEYVALUE, R),
    },
    [WEFT_OJ_GAUGE] = {
        CHILD(DATA_POINTS, "dataPoints", NUMBER_POINT, R),
    },
    [WEFT_OJ_SUM] = {
        CHILD(DATA_POINTS, "dataPoints", NUMBER_POINT, R),
        VALUE(DATA_TEMPORALITY, "aggregationTemporality", INT32, 0),
        VALUE(DATA_MONOTONIC, "isMonotonic", BOOL, 0),
    },
    [WEFT_OJ_HISTOGRAM] = {
        CHILD(DATA_POINTS, "dataPoints", HISTOGRAM_POINT, R),
        VALUE(DATA_TEMPORALITY, "aggregationTemporality", INT32, 0),
    },
    [WEFT_OJ_EXP_HISTOGRAM] = {
        CHILD(DATA_POINTS, "dataPoints", EXP_HISTOGRAM_POINT, R),
        VALUE(DATA_TEMPORALITY, "aggregationTemporality", INT32, 0),
    },
    [WEFT_OJ_SUMMARY] = {
        CHILD(DATA_POINTS, "dataPoints", SUMMARY_POINT, R),
    },
    [WEFT_OJ_NUMBER_POINT] = {
        VALUE(NUMBER_POINT_START, "startTimeUnixNano", FIXED64, 0),
        VALUE(NUMBER_POINT_TIME, "timeUnixNano", FIXED64, 0),
        VALUE(NUMBER_POINT_DOUBLE, "asDouble", DOUBLE, O),
        CHILD(NUMBER_POINT_EXEMPLARS, "exemplars", EXEMPLAR, R),
        VALUE(NUMBER_POINT_INT, "asInt", SFIXED64, O),
        CHILD(NUMBER_POINT_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(NUMBER_POINT_FLAGS, "flags", UINT32, 0),
    },
    [WEFT_OJ_HISTOGRAM_POINT] = {
        VALUE(HISTOGRAM_POINT_START, "startTimeUnixNano", FIXED64, 0),
        VALUE(HISTOGRAM_POINT_TIME, "timeUnixNano", FIXED64, 0),
        VALUE(HISTOGRAM_POINT_COUNT, "count", FIXED64, 0),
        VALUE(HISTOGRAM_POINT_SUM, "sum", DOUBLE, P),
        VALUE(HISTOGRAM_POINT_BUCKET_COUNTS, "bucketCounts", FIXED64, R),
        VALUE(HISTOGRAM_POINT_BOUNDS, "explicitBounds", DOUBLE, R),
        CHILD(HISTOGRAM_POINT_EXEMPLARS, "exemplars", EXEMPLAR, R),
        CHILD(HISTOGRAM_POINT_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(HISTOGRAM_POINT_FLAGS, "flags", UINT32, 0),
        VALUE(HISTOGRAM_POINT_MIN, "min", DOUBLE, P),
        VALUE(HISTOGRAM_POINT_MAX, "max", DOUBLE, P),
    },
    [WEFT_OJ_EXP_HISTOGRAM_POINT] = {
        CHILD(EXP_HISTOGRAM_POINT_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(EXP_HISTOGRAM_POINT_START, "startTimeUnixNano", FIXED64, 0),
        VALUE(EXP_HISTOGRAM_POINT_TIME, "timeUnixNano", FIXED64, 0),
        VALUE(EXP_HISTOGRAM_POINT_COUNT, "count", FIXED64, 0),
        VALUE(EXP_HISTOGRAM_POINT_SUM, "sum", DOUBLE, P),
        VALUE(EXP_HISTOGRAM_POINT_SCALE, "scale", SINT32, 0),
        VALUE(EXP_HISTOGRAM_POINT_ZERO_COUNT, "zeroCount", FIXED64, 0),
        CHILD(EXP_HISTOGRAM_POINT_POSITIVE, "positive", BUCKETS, 0),
        CHILD(EXP_HISTOGRAM_POINT_NEGATIVE, "negative", BUCKETS, 0),
        VALUE(EXP_HISTOGRAM_POINT_FLAGS, "flags", UINT32, 0),
        CHILD(EXP_HISTOGRAM_POINT_EXEMPLARS, "exemplars", EXEMPLAR, R),
        VALUE(EXP_HISTOGRAM_POINT_MIN, "min", DOUBLE, P),
        VALUE(EXP_HISTOGRAM_POINT_MAX, "max", DOUBLE, P),
        VALUE(EXP_HISTOGRAM_POINT_ZERO_THRESHOLD, "zeroThreshold", DOUBLE, 0),
    },
    [WEFT_OJ_BUCKETS] = {
        VALUE(EXP_BUCKETS_OFFSET, "offset", SINT32, 0),
        VALUE(EXP_BUCKETS_COUNTS, "bucketCounts", UINT64, R),
    },
    [WEFT_OJ_SUMMARY_POINT] = {
        VALUE(SUMMARY_POINT_START, "startTimeUnixNano", FIXED64, 0),
        VALUE(SUMMARY_POINT_TIME, "timeUnixNano", FIXED64, 0),
        VALUE(SUMMARY_POINT_COUNT, "count", FIXED64, 0),
        VALUE(SUMMARY_POINT_SUM, "sum", DOUBLE, 0),
        CHILD(SUMMARY_POINT_QUANTILES, "quantileValues", QUANTILE, R),
        CHILD(SUMMARY_POINT_ATTRIBUTES, "attributes", KEYVALUE, R),
        VALUE(SUMMARY_POINT_FLAGS, "flags", UINT32, 0),
    },
    [WEFT_OJ_QUANTILE] = {
        VALUE(QUANTILE_QUANTILE, "quantile", DOUBLE, 0),
        VALUE(QUANTILE_VALUE, "value", DOUBLE, 0),
    },
    [WEFT_OJ_EXEMPLAR] = {
        VALUE(EXEMPLAR_TIME, "timeUnixNano", FIXED64, 0),
        VALUE(EXEMPLAR_DOUBLE, "asDouble", DOUBLE, O),
        VALUE(EXEMPLAR_SPAN_ID, "spanId", SPAN_ID, 0),
        VALUE(EXEMPLAR_TRACE_ID, "traceId", TRACE_ID, 0),
        VALUE(EXEMPLAR_INT, "asInt", SFIXED64, O),
        CHILD(EXEMPLAR_ATTRIBUTES, "filteredAttributes", KEYVALUE, R),
    },
};
