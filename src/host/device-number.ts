/** A device number as mountinfo writes it, `7:3`, from how stat(2) and device-mapper encode it (makedev(3)). */
export function deviceNumber(encoded: bigint): string {
  const major = ((encoded >> 8n) & 0xfffn) | ((encoded >> 32n) & 0xfffff000n);
  const minor = (encoded & 0xffn) | ((encoded >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
