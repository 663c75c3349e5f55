// SPDX-License-Identifier: Apache-2.0
// loggers.mjs: the same small story told by pino, winston and bunyan, each into a file of its own.
//
//   node loggers.mjs DIRECTORY CORRELATION-ID TRACE-ID SPAN-ID
import { createWriteStream } from 'node:fs';
import bunyan from 'bunyan';
import pino from 'pino';
import winston from 'winston';

const [directory, correlation, trace, span] = process.argv.slice(2);
const fields = { correlation_id: correlation, trace_id: trace, span_id: span };
const failure = new Error('card declined');

const p = pino({ name: 'pino-service' }, pino.destination({ dest: `${directory}/pino.log`, sync: true })).child(fields);
p.info({ total: 59.9 }, 'order created');
p.warn('low stock');
p.error({ err: failure }, 'charge failed');

const b = bunyan.createLogger({ name: 'bunyan-service', streams: [{ path: `${directory}/bunyan.log` }], serializers: bunyan.stdSerializers }).child(fields);
b.info({ total: 59.9 }, 'order created');
b.warn('low stock');
b.error({ err: failure }, 'charge failed');

const stream = createWriteStream(`${directory}/winston.log`, { flags: 'a' });
const w = winston.createLogger({ defaultMeta: { service: 'winston-service', ...fields }, level: 'silly',
  format: winston.format.combine(winston.format.timestamp(), winston.format.json()), transports: [new winston.transports.Stream({ stream })] });
w.info('order created', { total: 59.9 });
w.warn('low stock');
w.error('charge failed', { stack: failure.stack });
w.on('finish', () => stream.end());
w.end();
