// ONNX Runtime, fp16 or fp32 in and out: a model of one MatMul, called through
// session.run, so that the overhead of a call from Node is part of the time.
// It speaks the protocol of worker.go.
//
//	node onnxruntime.mjs FOLDER THREADS fp16|fp32
//
// FOLDER is where npm has installed onnxruntime-node. B is an input of the model.
// MatMul has no operands that are stored transposed.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

const [folder, threads, dtype] = process.argv.slice(2);
const require = createRequire(join(folder, 'package.json'));

// The protocol buffers that an ONNX file is made of.
const varint = n => {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Buffer.from([...bytes, n]);
};
const number = (field, n) => Buffer.concat([varint(field * 8), varint(n)]);
const bytes = (field, ...parts) => {
  const b = Buffer.concat(parts);
  return Buffer.concat([varint(field * 8 + 2), varint(b.length), b]);
};
const text = (field, s) => bytes(field, Buffer.from(s));

// For each type of elements its number in TensorProto.DataType, its name in a
// tensor, and the array that holds it, in which fp16 is bits.
const { number: dataType, name: tensorType, array: Elements } = {
  fp16: { number: 10, name: 'float16', array: Uint16Array },
  fp32: { number: 1, name: 'float32', array: Float32Array },
}[dtype];

// valueInfo is a ValueInfoProto: an input or output of the graph.
const valueInfo = (name, rows, cols) => {
  const shape = [rows, cols].map(d => bytes(1, number(1, d)));
  return [text(1, name), bytes(2, bytes(1, number(1, dataType), bytes(2, ...shape)))];
};

// model is a ModelProto: C (m×n) = MatMul(A (m×k), B (k×n)).
function model(m, n, k) {
  const node = [text(1, 'A'), text(1, 'B'), text(2, 'C'), text(4, 'MatMul')];
  const values = [bytes(11, ...valueInfo('A', m, k)), bytes(11, ...valueInfo('B', k, n)), bytes(12, ...valueInfo('C', m, n))];
  const graph = [bytes(1, ...node), text(2, 'product'), ...values];
  const irVersion = 8, opset = 17;
  return Buffer.concat([number(1, irVersion), bytes(7, ...graph), bytes(8, number(2, opset))]);
}

// value is an operand's element, where its position along k is p and the other
// is i: the formula is in operands.go.
const value = (i, p, fi, fp) => {
  const n = (fi * i + fp * p) % 64;
  return dtype === 'fp16' ? ((13 - (i % 2)) << 10) | (n << 4) : (64 + n) / (256 << (i % 2));
};

// widen returns the number that an element stands for: positive, normal fp16 bits.
const widen = x => (dtype === 'fp16' ? (1 + (x & 1023) / 1024) * 2 ** ((x >> 10) - 15) : x);

let ort, session, feeds, fetches, shape;

async function prepare(m, n, k) {
  await session?.release();
  const a = new Elements(m * k), b = new Elements(k * n), c = new Elements(m * n);
  for (let i = 0; i < m; i++) for (let p = 0; p < k; p++) a[i * k + p] = value(i, p, 31, 17);
  for (let p = 0; p < k; p++) for (let j = 0; j < n; j++) b[p * n + j] = value(j, p, 13, 29);
  session = await ort.InferenceSession.create(model(m, n, k), {
    executionProviders: ['cpu'],
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
  });
  feeds = { A: new ort.Tensor(tensorType, a, [m, k]), B: new ort.Tensor(tensorType, b, [k, n]) };
  fetches = { C: new ort.Tensor(tensorType, c, [m, n]) };
  shape = `${m} ${n} ${k}`;
  await session.run(feeds, fetches);
  return `ok ${widen(c[0])} ${widen(c[m * n - 1])}`;
}

async function gemm(calls) {
  // Cold caches, sleeping threads, a processor that has slowed down: not timed.
  for (let i = 0; i < calls; i++) await session.run(feeds, fetches);
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) await session.run(feeds, fetches);
  return (Number(process.hrtime.bigint() - start) / calls).toFixed(1);
}

async function answer(line) {
  const [command, ...words] = line.trim().split(' ');
  const [m, n, k, calls] = words.map(Number);
  if (command === 'prepare' && words.length === 4 && words[3] === 'nn') return prepare(m, n, k);
  if (command === 'show' && fetches) return Array.from(fetches.C.data, widen).join(' ');
  if (command === 'gemm' && shape === `${m} ${n} ${k}` && calls > 0) return gemm(calls);
  return `error unknown command, or a shape that is not prepared: ${line}`;
}

try {
  ort = require('onnxruntime-node');
  const { version } = require('onnxruntime-node/package.json');
  const about = `MatMul of ${dtype} from Node ${process.version}`;
  console.log(['ready ONNX Runtime', version, '', about].join('\t'));
  for await (const line of createInterface({ input: process.stdin })) console.log(await answer(line));
} catch (e) {
  console.log(`error ${String(e.message).replaceAll('\n', ' ')}`);
  process.exitCode = 1;
}
