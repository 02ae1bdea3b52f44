/** Certificates for the link of a temporary cluster, made on the spot and gone with its folder. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../host/exec.ts';

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
const DAYS = '2';

export class TemporaryAuthority {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param folder is made */
  static async open(folder: string): Promise<TemporaryAuthority> {
    await mkdir(folder, { mode: 0o700 });
    const authority = new TemporaryAuthority(folder);
    await authority.#request('ca', ['-subj', '/CN=temporary authority']);
    return authority;
  }

  /** @param uri whom it is for (docs/security.md) @returns the flags of a role that has the new certificate */
  async issue(name: string, uri: string): Promise<readonly string[]> {
    await this.#request(name, [
      ...['-CA', this.#file('ca.pem'), '-CAkey', this.#file('ca.key'), '-subj', `/CN=${name}`],
      ...['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', `subjectAltName=URI:${uri}`],
    ]);
    const { ca, cert, key } = { ca: 'ca.pem', cert: `${name}.pem`, key: `${name}.key` };
    return ['--tls-ca', this.#file(ca), '--tls-cert', this.#file(cert), '--tls-key', this.#file(key)];
  }

  async #request(name: string, flags: readonly string[]): Promise<void> {
    const files = ['-keyout', this.#file(`${name}.key`), '-out', this.#file(`${name}.pem`)];
    await run(['openssl', 'req', '-x509', ...NEW_KEY, '-days', DAYS, ...files, ...flags]);
  }

  #file(name: string): string {
    return path.join(this.#folder, name);
  }
}
