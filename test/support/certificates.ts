/** Real certificates for tests, made with openssl. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Wanted {
  readonly uris: readonly string[];
  /** Seconds from now, in the past when negative; a day unless told. */
  readonly lasts?: number;
}

const DAY = 86_400;

/** A CA in a folder of its own. */
export class CertificateAuthority {
  readonly cert: string;
  readonly #folder: string;
  readonly #key: string;
  #issued = 0;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.cert = path.join(folder, 'ca.crt');
    this.#key = path.join(folder, 'ca.key');
    writeFileSync(path.join(folder, 'index.txt'), '');
    openssl('req', '-x509', ...newKey(this.#key), '-out', this.cert, '-subj', `/CN=${path.basename(folder)}`);
  }

  /** @returns the files, which stay where they are */
  issue({ uris, lasts = DAY }: Wanted): CertificateFiles {
    const base = path.join(this.#folder, `issued-${this.#issued++}`);
    const [cert, key, request, config] = [`${base}.crt`, `${base}.key`, `${base}.csr`, `${base}.cnf`];
    openssl('req', '-new', ...newKey(key), '-out', request, '-subj', '/CN=test');
    writeFileSync(config, this.#config(uris));
    const period = ['-startdate', asn1Time(-2 * DAY), '-enddate', asn1Time(lasts)];
    openssl('ca', '-batch', '-notext', '-config', config, '-in', request, '-out', cert, ...period);
    return { ca: this.cert, cert, key };
  }

  #config(uris: readonly string[]): string {
    return [
      '[ca]\ndefault_ca = test',
      `[test]\ndatabase = ${this.#folder}/index.txt\nnew_certs_dir = ${this.#folder}\nrand_serial = yes`,
      `certificate = ${this.cert}\nprivate_key = ${this.#key}\ndefault_md = sha256`,
      'policy = any\nunique_subject = no\nx509_extensions = leaf',
      '[any]\ncommonName = supplied',
      '[leaf]\nbasicConstraints = critical,CA:FALSE\nextendedKeyUsage = serverAuth,clientAuth',
      ...(uris.length > 0 ? [`subjectAltName = ${uris.map((uri) => `URI:${uri}`).join(',')}`] : []),
      '',
    ].join('\n');
  }
}

/** A folder as Kubernetes mounts a Secret: the names lead through `..data`, and an update turns that one link. */
export class MountedSecret {
  readonly files: CertificateFiles;
  readonly #folder: string;
  #version = 0;

  constructor(folder: string, content: CertificateFiles) {
    this.#folder = folder;
    mkdirSync(folder);
    this.files = {
      ca: path.join(folder, 'ca.crt'),
      cert: path.join(folder, 'tls.crt'),
      key: path.join(folder, 'tls.key'),
    };
    this.update(content);
    for (const file of Object.values(this.files)) symlinkSync(path.join('..data', path.basename(file)), file);
  }

  update(content: CertificateFiles): void {
    const before = `..version-${this.#version++}`;
    const now = `..version-${this.#version}`;
    mkdirSync(path.join(this.#folder, now));
    for (const kind of ['ca', 'cert', 'key'] as const) {
      copyFileSync(content[kind], path.join(this.#folder, now, path.basename(this.files[kind])));
    }
    symlinkSync(now, path.join(this.#folder, '..data_tmp'));
    renameSync(path.join(this.#folder, '..data_tmp'), path.join(this.#folder, '..data'));
    rmSync(path.join(this.#folder, before), { recursive: true, force: true });
  }
}

function newKey(file: string): readonly string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file];
}

function asn1Time(secondsFromNow: number): string {
  const iso = new Date(Date.now() + secondsFromNow * 1000).toISOString();
  return `${iso.slice(0, 19).replace(/[-:T]/g, '')}Z`;
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
