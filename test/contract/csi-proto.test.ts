import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');
const PROTO = join(ROOT, 'csi-proto/csi.proto');
const TOOL = join(ROOT, '.tools/bin/csi-descriptor');

interface Verdict {
  readonly code: number;
  readonly lines: readonly string[];
}

/** What `csi-descriptor compare` says; anything but "equal" and "different" is a failure of the test. */
async function compare(path: string): Promise<Verdict> {
  const { code, stdout } = await new Promise<{ code: number; stdout: string }>((resolve, reject) => {
    execFile(TOOL, ['compare', path], (error, stdout) => {
      if (error?.code === 'ENOENT') {
        reject(new Error(`${TOOL} is not there: run test/tools/build.sh`));
      } else if (error && error.code !== 1) {
        reject(error);
      } else {
        resolve({ code: error ? 1 : 0, stdout });
      }
    });
  });
  return { code, lines: stdout.trim().split('\n') };
}

/** The verdict on a copy of our contract in which `from`, which occurs in `within` once, reads `to`. */
async function compareChanged(within: string, from: string, to: string): Promise<Verdict> {
  const source = await readFile(PROTO, 'utf8');
  const start = source.indexOf(`\n${within} {`);
  const block = source.slice(start, source.indexOf('\n}', start));
  expect(block.split(from)).toHaveLength(2);
  const changed = source.replace(block, () => block.replace(from, () => to));

  const folder = await mkdtemp(join(tmpdir(), 'csi-proto-'));
  try {
    const path = join(folder, 'csi.proto');
    await writeFile(path, changed);
    return await compare(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('csi-proto/csi.proto', () => {
  test('says what CSI 1.13.0 says', async () => {
    const { code, lines } = await compare(PROTO);

    expect({ code, lines }).toEqual({
      code: 0,
      lines: [expect.stringMatching(/ 104 messages, 216 fields, .* 36 methods, .* equal to CSI v1\.13\.0$/)],
    });
  });
});

describe('a copy of csi.proto is refused', () => {
  test('with another field number', async () => {
    const { code, lines } = await compareChanged(
      'message CreateVolumeRequest',
      'VolumeContentSource volume_content_source = 6;',
      'VolumeContentSource volume_content_source = 9;',
    );

    expect({ code, lines }).toEqual({
      code: 1,
      lines: ['message CreateVolumeRequest field volume_content_source: number 9, want 6'],
    });
  });

  test('without the mark of a secret', async () => {
    const { code, lines } = await compareChanged('message NodeStageVolumeRequest', ' [(csi_secret) = true]', '');

    expect({ code, lines }).toEqual({
      code: 1,
      lines: ['message NodeStageVolumeRequest field secrets: option (csi_secret) none, want true'],
    });
  });

  test('without the mark of an alpha method', async () => {
    const { code, lines } = await compareChanged(
      'service Node',
      '(NodeGetStorageHealthResponse) {\n    option (alpha_method) = true;\n  }',
      '(NodeGetStorageHealthResponse);',
    );

    expect({ code, lines }).toEqual({
      code: 1,
      lines: ['service Node method NodeGetStorageHealth: option (alpha_method) none, want true'],
    });
  });

  test('with another name for an enum value', async () => {
    const { code, lines } = await compareChanged('enum VolumeHealthErrorType', 'DATA_LOSS = 3;', 'LOST = 3;');

    expect({ code, lines }).toEqual({
      code: 1,
      lines: [
        'enum VolumeHealthErrorType value DATA_LOSS: missing',
        'enum VolumeHealthErrorType value LOST: not in the contract',
      ],
    });
  });

  test('with a field that CSI 1.13 removed', async () => {
    const { code, lines } = await compareChanged(
      'message NodeGetVolumeStatsResponse',
      '  reserved 2;\n',
      '  VolumeHealth volume_condition = 2;\n',
    );

    expect({ code, lines }).toEqual({
      code: 1,
      lines: [
        'message NodeGetVolumeStatsResponse field volume_condition: not in the contract',
        'message NodeGetVolumeStatsResponse: reserved none, want 2',
      ],
    });
  });
});
