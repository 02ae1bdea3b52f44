/** The names in a certificate, as Node.js writes them; some were made to be misread. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { peerOf, urisOf } from '../../../src/rpc/peer.ts';
import { temporaryFolder } from '../support/rpc.ts';

test.each([
  ['', []],
  ['URI:cofferdam://controller', ['cofferdam://controller']],
  ['DNS:a.example, URI:a://b, IP Address:10.0.0.1, URI:c://d', ['a://b', 'c://d']],
  ['DirName:"CN=x\\u002c URI:a://b", URI:c://d', ['c://d']],
  ['URI:"a://b, URI:c://d"', []],
  ['DNS:"x\\", URI:a://b", URI:c://d', ['c://d']],
  ['othername:<unsupported>, URI:c://d', ['c://d']],
  // Nothing is taken of what can't be read to its end.
  ['URI:a://b, "URI:c://d', []],
  ['URI:a://b,URI:c://d', []],
  ['rubbish', []],
])('%s', (subjectaltname, uris) => {
  expect(urisOf({ subjectaltname })).toEqual(uris);
});

test('a certificate without names has none', () => {
  expect(urisOf({})).toEqual([]);
  expect(peerOf({})).toBeUndefined();
});

/** The same text that a connection gives (both are made by one function of Node.js). */
test.each([
  ['a name with a comma in it', 'DNS:x, URI:cofferdam://controller'],
  ['a URI with one', 'URI:a://b, URI:cofferdam://controller'],
  ['a mail address with one', 'email:x@y, URI:cofferdam://controller'],
])('%s makes nobody a controller', async (_what, names) => {
  await using folder = await temporaryFolder();
  const cert = path.join(folder.path, 'tls.crt');
  const key = path.join(folder.path, 'tls.key');
  const [type = '', value = ''] = names.split(/:(.*)/s);
  const config = path.join(folder.path, 'config');
  const sections = `[leaf]\nsubjectAltName = @names\n[names]\n${type}.1 = "${value}"\n`;
  writeFileSync(config, `[req]\ndistinguished_name = dn\n[dn]\n${sections}`);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
  const request = ['req', '-x509', ...newKey, '-out', cert, '-subj', '/CN=x', '-config', config, '-extensions', 'leaf'];
  execFileSync('openssl', request, { stdio: 'pipe' });
  const { subjectAltName = '' } = new X509Certificate(readFileSync(cert));
  expect(subjectAltName).toContain('URI:cofferdam://controller');
  expect(urisOf({ subjectaltname: subjectAltName })).toEqual([]);
});
