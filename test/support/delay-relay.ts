/**
 * A program: passes TCP connections on, and every byte later than it came, both ways. It stands for a longer link, which
 * the kernel here can't make (no netem). Arguments: milliseconds each way, then `port=host:port` for each relay. It says
 * `ready` on standard output, and ends when standard input closes.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

function pass(from: Socket, to: Socket, ms: number): void {
  // Timers of one length fire in the order in which they were set: bytes stay in theirs.
  const later = (action: () => void) => setTimeout(() => to.destroyed || action(), ms);
  from.setNoDelay(true);
  from.on('data', (bytes) => later(() => to.write(bytes)));
  from.on('end', () => later(() => to.end()));
  from.on('error', () => to.destroy());
  from.on('close', () => later(() => to.destroy()));
}

async function relay(ms: number, port: number, host: string, targetPort: number): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host, port: targetPort, allowHalfOpen: true });
    pass(near, far, ms);
    pass(far, near, ms);
  });
  server.listen(port);
  await once(server, 'listening');
}

const [ms, ...relays] = process.argv.slice(2);
for (const each of relays) {
  const [port, host = '', targetPort] = each.split(/[=:]/);
  await relay(Number(ms), Number(port), host, Number(targetPort));
}
process.stdin.on('close', () => process.exit()).resume();
process.stdout.write('ready\n');
