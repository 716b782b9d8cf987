// Inference by ONNX Runtime on the CPU.
//
//	node onnxruntime.mjs FOLDER MODEL INPUT OUTPUT BATCH
//
// FOLDER is where npm has installed onnxruntime-node; INPUT is float32, little endian,
// of as many rows as there are, and goes through MODEL in batches of BATCH. The logits go
// to OUTPUT in the same form, and the last line to stdout says how wide they are.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [folder, model, input, output, batch] = process.argv.slice(2);
const require = createRequire(join(folder, 'package.json'));
const ort = require('onnxruntime-node');

const session = await ort.InferenceSession.create(model, { executionProviders: ['cpu'], intraOpNumThreads: 2 });
const features = session.inputMetadata[0].shape[1];
const file = readFileSync(input);
const x = new Float32Array(file.buffer, file.byteOffset, file.length / 4);
const parts = [];
let classes;
for (let at = 0; at < x.length; at += batch * features) {
  const rows = x.slice(at, at + batch * features);
  const { logits } = await session.run({ pixels: new ort.Tensor('float32', rows, [rows.length / features, features]) });
  classes = logits.dims[1];
  parts.push(Buffer.from(logits.data.buffer, logits.data.byteOffset, logits.data.byteLength));
}
writeFileSync(output, Buffer.concat(parts));
console.log(`${session.inputNames} ${features} ${session.outputNames} ${classes}`);
