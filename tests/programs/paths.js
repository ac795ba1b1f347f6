// The commands and answers of paths.c for node. `accept` needs no command: libuv accepts what
// comes, and reads its end; both have one path. `connect K` goes through JavaScript functions:
// K in base 4 is the path.
'use strict';

const net = require('net');
const readline = require('readline');

const kept = [];
const steps = [plain, recursive, ordered, called];

function plain(job, left) {
  return step(job, left) + 1;
}

function recursive(job, left) {
  const down = (depth) => (depth ? down(depth - 1) + 1 : step(job, left) + 1);
  return down(job.path % 7);
}

function ordered(job, left) {
  let result = 0;
  [2, 1].sort(() => (result = result || step(job, left)));
  return result;
}

function called(job, left) {
  return [1].map(() => step(job, left)).length;
}

function step(job, left) {
  return left === 0 ? leaf(job) + 1 : steps[left % 4](job, Math.floor(left / 4)) + 1;
}

function leaf(job) {
  if (job.what === 'listen') {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => keep(0, socket));
    server.listen(0, '10.77.0.1', () => console.log(`port=${server.address().port}`));
  } else if (job.what === 'connect') {
    const socket = net.connect({ host: job.to[0], port: Number(job.to[1]), allowHalfOpen: true });
    socket.on('connect', () => keep(job.path, socket));
  }
  return 1;
}

function keep(path, socket) {
  kept.push(socket);
  socket.on('error', () => {});
  socket.on('end', () => console.log(`ended=${path}`));
  socket.resume();
  console.log(`opened=${path} ${socket.localPort} ${socket.remotePort}`);
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [what, path, ...to] = line.split(' ');
  const job = { what, path: Number(path), to };
  step(job, job.path);
});
lines.on('close', () => process.exit(0));
console.log('ready');
