/**
 * Runs in the guest: takes commands from the host over a serial port, one JSON object a line, and answers with how they
 * ended. Commands run at the same time; input is what the host sent with the command.
 */
import { spawn } from 'node:child_process';
import { createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { GuestReply, GuestRequest } from '../protocol.ts';

const port = openSync('/dev/vm.agent', 'r+');

function answer(reply: GuestReply): void {
  const line = Buffer.from(`${JSON.stringify(reply)}\n`);
  for (let sent = 0; sent < line.length; ) sent += writeSync(port, line, sent);
}

function execute({ id, argv, cwd, env, input }: GuestRequest): void {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio: 'pipe' });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => undefined); // it may end before it has read
  child.stdin.end(input);
  const text = (chunks: readonly Buffer[]) => Buffer.concat(chunks).toString();
  child.once('error', (error) => answer({ id, code: 127, signal: null, stdout: '', stderr: error.message }));
  child.once('close', (code, signal) => {
    // After 'error' there was a reply already; the host takes the first.
    answer({ id, code, signal, stdout: text(stdout), stderr: text(stderr) });
  });
}

answer({ ready: true });
for await (const line of createInterface({ input: createReadStream('', { fd: port }) })) {
  const request = JSON.parse(line) as GuestRequest | { readonly off: true };
  if ('off' in request) process.exit(0);
  execute(request);
}
