/**
 * Fields whose values never reach a log: those that csi.proto marks `csi_secret`, and mount flags, which may hold secrets
 * (CSI specification, MountVolume.mount_flags).
 */
export const SECRET_FIELDS: ReadonlySet<string> = new Set(['secrets', 'mountFlags']);

/** Asked for all the time, and of no interest unless they fail. */
export const QUIET_METHODS: ReadonlySet<string> = new Set([
  'Probe',
  'GetPluginInfo',
  'GetPluginCapabilities',
  'ControllerGetCapabilities',
  'GroupControllerGetCapabilities',
  'NodeGetCapabilities',
  'GetCapacity',
  'NodeGetVolumeStats',
]);
