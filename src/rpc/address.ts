import { isAbsolute } from 'node:path';
import { invalidArgument } from '../core/errors.ts';

export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** `sun_path` has 108 bytes, the last is a NUL (unix(7)). A longer path would be cut off silently. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Reads an endpoint as CSI components write it: `unix:///csi/csi.sock`, `unix:/csi/csi.sock`, `/csi/csi.sock`,
 * `tcp://127.0.0.1:9000`.
 * @throws DriverError invalid-argument that names `field`
 */
export function parseAddress(field: string, text: string): Address {
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(text);
  if (tcp) {
    const port = Number(tcp[2]);
    if (port > 65535) throw invalidArgument(field, `port ${port} is above 65535`);
    return { kind: 'tcp', host: tcp[1] ?? '', port };
  }
  const path = text.replace(/^unix:(\/\/)?/, '');
  if (!isAbsolute(path) || path.includes('\0')) {
    throw invalidArgument(field, `${JSON.stringify(text)} is not unix:///absolute/path or tcp://host:port`);
  }
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw invalidArgument(field, `the socket path has ${bytes} bytes, Linux allows ${MAX_SOCKET_PATH_BYTES}: ${path}`);
  }
  return { kind: 'unix', path };
}

/** The address as gRPC names it. */
export function grpcTarget(address: Address): string {
  return address.kind === 'unix' ? `unix://${address.path}` : `dns:///${address.host}:${address.port}`;
}
