// One instance of the module in Node, for cmd/soak, which has the other end of standard input and output
// and says there what goes over them.
import { readSync, writeSync } from "node:fs";

// Blocks until the bytes are full; false at the end of the input.
function readAll(bytes) {
  for (let at = 0; at < bytes.length;) {
    const n = readSync(0, bytes, at, bytes.length - at);
    if (n === 0) {
      return false;
    }
    at += n;
  }
  return true;
}

function writeAll(bytes) {
  for (let at = 0; at < bytes.length;) {
    at += writeSync(1, bytes, at);
  }
}

const size = Buffer.alloc(4);

function read() {
  if (!readAll(size)) {
    return undefined;
  }
  const bytes = Buffer.alloc(size.readUInt32LE());
  return readAll(bytes) ? bytes : undefined;
}

function write(status, pages, bytes) {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(status, 0);
  head.writeUInt32LE(pages, 4);
  head.writeUInt32LE(bytes.length, 8);
  writeAll(Buffer.concat([head, bytes]));
}

let exports;

function start(module) {
  exports = new WebAssembly.Instance(new WebAssembly.Module(module)).exports;
  return Buffer.alloc(0);
}

function call(request) {
  const { memory } = exports;
  const inside = (ptr, length) => ptr > 0 && ptr + length <= memory.buffer.byteLength;
  const ptr = exports.agentassert_alloc(request.length) >>> 0;
  if (!inside(ptr, request.length)) {
    throw new Error(`the buffer at ${ptr} is outside of the memory`);
  }
  new Uint8Array(memory.buffer, ptr, request.length).set(request);
  const result = BigInt.asUintN(64, exports.agentassert_call(ptr, request.length));
  const response = Number(result >> 32n);
  const length = Number(result & 0xffffffffn);
  if (!inside(response, length)) {
    throw new Error(`the response at ${response}, of ${length} bytes, is outside of the memory`);
  }
  const answer = Buffer.from(new Uint8Array(memory.buffer, response, length));
  exports.agentassert_free(response);
  exports.agentassert_free(ptr);
  return answer;
}

for (let bytes = read(); bytes !== undefined; bytes = read()) {
  try {
    const answer = exports === undefined ? start(bytes) : call(bytes);
    write(0, exports.memory.buffer.byteLength / 65536, answer);
  } catch (error) {
    write(1, 0, Buffer.from(String(error)));
  }
}
