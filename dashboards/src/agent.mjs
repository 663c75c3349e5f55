// SPDX-License-Identifier: Apache-2.0
// The agent's own dashboard: what comes in, what waits, what goes out, and what was lost and why. Its metrics are the
// stable contract of docs/metrics.md.
import { bars, board, choice, instant, lines, logs, logVariable, number, query, row, states } from './house.mjs';

const here = 'job=~"$job",instance=~"$instance"';
const lane = `${here},exporter=~"$exporter"`;

/** @param {string} name @param {string} [labels] */
const rate = (name, labels = here) => `rate(${name}{${labels}}[$__rate_interval])`;
/** @param {string} name @param {string} [labels] */
const grown = (name, labels = here) => `increase(${name}{${labels}}[$__range])`;

const sent = 'weft_exporter_sent_items_total';
const failed = 'weft_exporter_failed_items_total';
const dropped = 'weft_dropped_items_total';
const lost = `(sum(${grown(failed, lane)}) + sum(${grown(dropped, lane)}))`;

const closed = { value: 0, text: 'closed', color: 'green' };
const half = { value: 1, text: 'half open', color: 'orange' };
const open = { value: 2, text: 'open', color: 'red' };

const disk = { value: 0, text: 'ok', color: 'green' };
const memory = { value: 1, text: 'memory', color: 'orange' };
const refusing = { value: 2, text: 'refusing', color: 'red' };

function now() {
  return [
    number({ title: 'Agents', span: 4, unit: 'none', missing: 'weft_build_info', queries: [
      instant(`count by (version) (weft_build_info{${here}})`, '{{version}}')],
      about: 'Running agents by version. More than one version for long means an upgrade that stopped half-way.' }),
    number({ title: 'Uptime of the youngest', span: 4, unit: 's', missing: 'process_start_time_seconds', queries: [
      instant(`min(time() - process_start_time_seconds{${here}})`)],
      about: 'Time since the last start of any agent. If it keeps falling back, look at the exit code and the last lines of its log: 3 is a taken port or an unwritable directory.' }),
    number({ title: 'Memory of budget', span: 4, unit: 'percentunit', min: 0, warn: 0.7, bad: 0.85, missing: 'weft_memory_budget_bytes', queries: [
      instant(`max(process_resident_memory_bytes{${here}} / (weft_memory_budget_bytes{${here}} > 0))`)],
      about: 'Resident memory of the fullest agent as a part of service.memory_limit. Close to the limit receivers refuse work that clients will try again; raise memory_limit or lower journal.max_size.' }),
    number({ title: 'CPU', span: 4, unit: 'none', min: 0, decimals: 2, missing: 'process_cpu_seconds_total', queries: [
      query(`max(${rate('process_cpu_seconds_total')})`)],
      about: 'Cores used by the busiest agent. Compare with what comes in: an agent takes well under a microsecond a span.' }),
    number({ title: 'Lost', span: 4, unit: 'percentunit', min: 0, max: 1, warn: 0.0001, bad: 0.001, decimals: 3, missing: sent, queries: [
      instant(`${lost} / clamp_min(${lost} + sum(${grown(sent, lane)}), 1)`)],
      about: 'Items that were rejected or dropped, of all that left the journal, over the time range shown. Anything above zero is explained by reason in the row Losses. Rejected items lie in the dead-letter journal and can be replayed.' }),
    number({ title: 'Breakers open', span: 4, unit: 'none', min: 0, bad: 1, missing: 'weft_circuit_breaker_state', queries: [
      instant(`sum(weft_circuit_breaker_state{${lane},state=~"open|half_open"})`)],
      about: 'Endpoints that are only probed because they failed five times in a row. Data goes to another endpoint of the exporter, or waits in the journal; repair the back end before the queue is full.' }),
  ];
}

function flow() {
  return [
    lines({ title: 'In, by receiver and signal', span: 8, unit: 'cps', min: 0, missing: 'weft_receiver_accepted_items_total', queries: [
      query(`sum by (receiver, signal) (${rate('weft_receiver_accepted_items_total')})`, '{{receiver}} {{signal}}')],
      about: 'Spans, log records and data points per second that were acknowledged. A line at zero: the client does not send, or not here; ask it, then weft tail.' }),
    lines({ title: 'Out, by exporter and signal', span: 8, unit: 'cps', min: 0, missing: sent, queries: [
      query(`sum by (exporter, signal) (${rate(sent, lane)})`, '{{exporter}} {{signal}}')],
      about: 'Items per second that back ends have taken. It should follow what comes in, once for every exporter of a pipeline; below it a queue is growing.' }),
    bars({ title: 'Refused, by reason', span: 8, unit: 'cps', min: 0, missing: 'weft_receiver_refused_items_total', queries: [
      query(`sum by (receiver, reason) (${rate('weft_receiver_refused_items_total')})`, '{{receiver}} {{reason}}')],
      about: 'Items that a client was told to keep. journal_full, shed_debug, shed_info and memory_limit: the client will try again; find the exporter whose queue is full. malformed, too_large, unsupported: it will not; its sender is wrong.' }),
  ];
}

function queues() {
  return [
    lines({ title: 'Queue fill, by exporter', span: 8, unit: 'percentunit', min: 0, max: 1, warn: 0.75, bad: 0.9, missing: 'weft_queue_capacity_bytes', queries: [
      query(`max by (exporter) (weft_queue_bytes{${lane}} / (weft_queue_capacity_bytes{${lane}} > 0))`, '{{exporter}}')],
      about: 'What waits for an exporter, as a part of the journal it reads from. From 80 % the agent delays and then refuses by priority, debug logs first. A queue that stays high: its back end is slower than the traffic.' }),
    lines({ title: 'Time until full', span: 8, unit: 's', min: 0, missing: 'weft_queue_bytes', queries: [
      query(`min by (exporter) (clamp_max((weft_queue_capacity_bytes{${lane}} - weft_queue_bytes{${lane}}) / clamp_min(deriv(weft_queue_bytes{${lane}}[5m]), 0.001), 604800))`, '{{exporter}}')],
      about: 'How long the journal lasts if the queue goes on growing as in the last five minutes. A week means that it does not grow. Under an hour: act, or give service.journal.max_size more.' }),
    lines({ title: 'Age of the oldest', span: 8, unit: 's', min: 0, warn: 300, bad: 900, missing: 'weft_queue_oldest_age_seconds', queries: [
      query(`max by (exporter) (weft_queue_oldest_age_seconds{${lane}})`, '{{exporter}}')],
      about: 'How long ago the item came that an exporter has to deliver next. Well under a second; minutes mean a back end that is down or behind.' }),
    states({ title: 'Disk under the journals', span: 8, height: 8, unit: 'none', missing: 'weft_journal_disk_state', queries: [
      query(`max by (pipeline) (weft_journal_disk_state{${here},state="memory"}) + 2 * max by (pipeline) (weft_journal_disk_state{${here},state="refusing"})`, '{{pipeline}}')],
      about: 'Ok: it takes what comes. Memory: it is full or fails, new input is kept in memory (on_disk_error: memory). Refusing: the same, and clients are told to try again.' },
    [disk, memory, refusing]),
    lines({ title: 'Waiting items', span: 4, unit: 'short', min: 0, missing: 'weft_queue_items', queries: [
      query(`sum by (exporter) (weft_queue_items{${lane}})`, '{{exporter}}')],
      about: 'Items between an exporter and the end of the journal: a few thousand under load, near zero otherwise.' }),
    lines({ title: 'Journal', span: 4, unit: 'bytes', min: 0, missing: 'weft_journal_bytes', queries: [
      query(`sum by (pipeline) (weft_journal_bytes{${here}})`, '{{pipeline}}')],
      about: 'Segments that each pipeline holds, those kept for weft trace included. It grows to max_size and stays there: that is no leak.' }),
  ];
}

function losses() {
  return [
    bars({ title: 'Dropped, by reason', span: 8, unit: 'cps', min: 0, missing: dropped, queries: [
      query(`sum by (exporter, reason) (${rate(dropped, lane)})`, '{{exporter}} {{reason}}')],
      about: 'Items that an exporter gave up: skipped (on_full: skip), max_elapsed_time, shutdown, or what its back end cannot hold (type_conflict, max_series). docs/delivery.md and docs/prometheus.md explain each reason.' }),
    bars({ title: 'Rejected by back ends, by reason', span: 8, unit: 'cps', min: 0, missing: failed, queries: [
      query(`sum by (exporter, reason) (${rate(failed, lane)})`, '{{exporter}} {{reason}}')],
      about: 'Items that a back end refused for good: mapping conflicts, bad requests. They lie in the dead-letter journal: weft dlq list shows the back end\'s words, weft dlq replay sends them again.' }),
    lines({ title: 'Retries', span: 8, unit: 'cps', min: 0, missing: 'weft_exporter_retries_total', queries: [
      query(`sum by (exporter) (${rate('weft_exporter_retries_total', lane)})`, '{{exporter}}')],
      about: 'Requests sent again. Some are normal after a restart of a back end; a steady rate is a back end that is overloaded or half broken.' }),
    states({ title: 'Circuit breakers', span: 24, height: 6, unit: 'none', missing: 'weft_circuit_breaker_state', queries: [
      query(`max by (exporter, endpoint) (weft_circuit_breaker_state{${lane},state="half_open"}) + 2 * max by (exporter, endpoint) (weft_circuit_breaker_state{${lane},state="open"})`, '{{exporter}} {{endpoint}}')],
      about: 'Closed: requests go out. Open: five in a row failed, nothing is sent until the next probe. Half open: one probe is out.' },
    [closed, half, open]),
  ];
}

function exporters() {
  return [
    lines({ title: 'Time of a request, p50 and p99', span: 8, unit: 's', min: 0, missing: 'weft_export_duration_seconds', queries: [
      query(`histogram_quantile(0.5, sum by (exporter, le) (${rate('weft_export_duration_seconds_bucket', lane)}))`, '{{exporter}} p50'),
      query(`histogram_quantile(0.99, sum by (exporter, le) (${rate('weft_export_duration_seconds_bucket', lane)}))`, '{{exporter}} p99')],
      about: 'From the start of a request to the back end\'s answer. A p99 near the timeout (10 s) comes before retries do.' }),
    lines({ title: 'Requests at once: limit and in flight', span: 8, unit: 'none', min: 0, missing: 'weft_exporter_concurrency_limit', queries: [
      query(`sum by (exporter, endpoint) (weft_exporter_concurrency_limit{${lane}})`, '{{exporter}} {{endpoint}} limit'),
      query(`sum by (exporter, endpoint) (weft_exporter_requests_in_flight{${lane}})`, '{{exporter}} {{endpoint}} in flight')],
      about: 'How many requests an endpoint may be given at once, found from its answers: one more while they stay as fast as usual, fewer when they slow down or fail. A limit at 1 with a full queue: the back end is the bottleneck.' }),
    lines({ title: 'Bytes sent', span: 8, unit: 'Bps', min: 0, missing: 'weft_exporter_sent_bytes_total', queries: [
      query(`sum by (exporter) (${rate('weft_exporter_sent_bytes_total', lane)})`, '{{exporter}}')],
      about: 'Bytes of requests on the wire, after compression. Exporters that are scraped, like prometheus, send nothing of their own.' }),
  ];
}

/** Records that can be found by an ID, of all that the processor saw. @param {string} signal */
function covered(signal) {
  const labels = `${here},signal="${signal}"`;
  const [tagged, kept, untagged] = ['tagged', 'kept', 'untagged'].map(
    (word) => `sum(${rate(`weft_correlation_${word}_records_total`, labels)})`);
  return `(${tagged} + ${kept}) / clamp_min(${tagged} + ${kept} + ${untagged}, 0.001)`;
}

function correlation() {
  return [
    lines({ title: 'Records with a correlation ID', span: 12, unit: 'percentunit', min: 0, max: 1, missing: 'weft_correlation_tagged_records_total', queries: [
      query(covered('logs'), 'logs'), query(covered('traces'), 'spans')],
      about: 'The part of log records and spans that can be found by one ID. Low for logs: the service writes neither a correlation ID nor a trace ID into its lines; add its field\'s name to the keys of the correlation processor.' }),
    lines({ title: 'Where the IDs come from', span: 12, unit: 'cps', min: 0, missing: 'weft_correlation_tagged_records_total', queries: [
      query(`sum by (signal, source) (${rate('weft_correlation_tagged_records_total')})`, '{{signal}} {{source}}'),
      query(`sum by (signal) (${rate('weft_correlation_kept_records_total')})`, '{{signal}} came with one'),
      query(`sum by (signal) (${rate('weft_correlation_untagged_records_total')})`, '{{signal}} without')],
      about: 'How records got their ID: they came with one, it was learned from another record, or it is the trace ID for want of a better one.' }),
  ];
}

function process() {
  return [
    lines({ title: 'Memory', span: 8, unit: 'bytes', min: 0, missing: 'process_resident_memory_bytes', queries: [
      query(`process_resident_memory_bytes{${here}}`, 'resident {{instance}}'),
      query(`weft_memory_budget_bytes{${here}}`, 'budget {{instance}}')],
      about: 'Resident memory and service.memory_limit. It rises to what the journal may hold and stays below the budget, whatever comes in.' }),
    lines({ title: 'Open files of limit', span: 8, unit: 'percentunit', min: 0, warn: 0.7, bad: 0.85, missing: 'process_open_fds', queries: [
      query(`process_open_fds{${here}} / process_max_fds{${here}}`, '{{instance}}')],
      about: 'Connections, followed files and segments, as a part of what the process may open. Near 100 % new connections are refused: raise LimitNOFILE.' }),
    lines({ title: 'Reloads of the configuration', span: 8, unit: 'short', min: 0, missing: 'weft_config_reloads_total', queries: [
      query(`sum by (result) (${grown('weft_config_reloads_total').replace('$__range', '$__rate_interval')})`, '{{result}}'),
      query(`min(weft_config_last_reload_successful{${here}})`, 'last was good')],
      about: 'SIGHUP reads the configuration again. After a failed reload the old one goes on; weft check says what is wrong with the new one.' }),
  ];
}

function log() {
  return [
    logs({ title: 'What the agents say', lucene: 'resource.attributes.service.name:"weft"',
      about: 'Weft\'s own log: one line a problem, with what happens next. To have it here run weft with --log-format json and let a filelog receiver follow the file with resource: { service.name: weft }.' }),
  ];
}

export function agent() {
  const b = board('weft-agent', 'Weft / Agent', 'The health of Weft itself: what comes in, what waits, what goes out, what was lost and why.')
    .withVariable(logVariable())
    .withVariable(choice('job', 'Job', 'label_values(weft_build_info, job)'))
    .withVariable(choice('instance', 'Agent', 'label_values(weft_build_info{job=~"$job"}, instance)'))
    .withVariable(choice('exporter', 'Exporter', 'label_values(weft_queue_bytes{job=~"$job",instance=~"$instance"}, exporter)'));

  const rows = /** @type {const} */ ([
    ['Now', now], ['Flow', flow], ['Queues', queues], ['Losses', losses], ['Exporters', exporters],
    ['Correlation', correlation], ['Process', process], ['Log', log]]);
  for (const [title, panels] of rows) {
    b.withRow(row(title));
    for (const panel of panels()) b.withPanel(panel);
  }
  return b;
}
