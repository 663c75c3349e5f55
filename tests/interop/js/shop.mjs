// SPDX-License-Identifier: Apache-2.0
// shop.mjs: one order through a small shop, told by the OpenTelemetry JS SDK.
//
//   node shop.mjs PROTOCOL ENDPOINT none|gzip CORRELATION-ID
//
// PROTOCOL is grpc, http/protobuf or http/json. Sends one trace of two services, two log records and a
// counter and a histogram recorded inside the spans, then prints one JSON line with what it sent.
import { context, trace, SpanKind, SpanStatusCode, ROOT_CONTEXT } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, SimpleSpanProcessor, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { LoggerProvider, BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';

const [protocol, endpoint, compression, correlation] = process.argv.slice(2);
const kind = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' }[protocol];
const load = async (signal, name) => (await import(`@opentelemetry/exporter-${signal}-otlp-${kind}`))[name];
const TraceExporter = await load('trace', 'OTLPTraceExporter');
const LogExporter = await load('logs', 'OTLPLogExporter');
const MetricExporter = await load('metrics', 'OTLPMetricExporter');

const options = (path) => ({
  url: protocol === 'grpc' ? `http://${endpoint}` : `http://${endpoint}/v1/${path}`,
  compression,
});

function service(name) {
  const resource = resourceFromAttributes({ 'service.name': name, 'service.namespace': 'shop', 'service.instance.id': `${name}-1` });
  const tracers = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new TraceExporter(options('traces')))] });
  const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new LogExporter(options('logs')) })] });
  const meters = new MeterProvider({ resource, readers: [new PeriodicExportingMetricReader({ exporter: new MetricExporter(options('metrics')), exportIntervalMillis: 3600000 })] });
  return { tracer: tracers.getTracer('shop', '1.0.0'), logger: logs.getLogger('shop', '1.0.0'), meter: meters.getMeter('shop', '1.0.0'),
           close: async () => { await tracers.shutdown(); await logs.shutdown(); await meters.shutdown(); } };
}

const frontend = service('frontend');
const orders = service('order-service');
const attributes = { 'correlation.id': correlation, 'http.request.method': 'POST', 'http.route': '/checkout' };
const root = frontend.tracer.startSpan('POST /checkout', { kind: SpanKind.SERVER, attributes });
const inRoot = trace.setSpan(ROOT_CONTEXT, root);
const child = orders.tracer.startSpan('create order', { kind: SpanKind.SERVER, attributes: { 'order.items': 3, 'order.total': 59.9, 'order.gift': false } }, inRoot);
child.addEvent('stock reserved', { sku: 'SKU-1001' });
const inChild = trace.setSpan(ROOT_CONTEXT, child);

orders.logger.emit({ severityNumber: SeverityNumber.INFO, severityText: 'INFO', body: 'order created', context: inChild,
                     attributes: { correlation_id: correlation, 'order.id': 'o-1001' } });
frontend.logger.emit({ severityNumber: SeverityNumber.ERROR, severityText: 'ERROR', body: 'naïve ✓ 😀', context: inRoot, attributes: { correlation_id: correlation } });
frontend.meter.createCounter('shop.orders', { unit: '{order}', description: 'orders taken' }).add(2, { channel: 'web' }, inRoot);
frontend.meter.createHistogram('shop.checkout.duration', { unit: 's', description: 'time to check out', advice: { explicitBucketBoundaries: [0.1, 0.5, 1] } })
  .record(0.42, { channel: 'web' }, inRoot);

child.end();
root.setStatus({ code: SpanStatusCode.ERROR, message: 'card declined' });
root.end();
await orders.close();
await frontend.close();
console.log(JSON.stringify({ trace: root.spanContext().traceId, root: root.spanContext().spanId, child: child.spanContext().spanId }));
process.exit(0);
