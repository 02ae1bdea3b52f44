import type { CsiOptions } from './options.ts';

/** What each service offers, by the names of the protocol. Not offered: PUBLISH_UNPUBLISH_VOLUME (a local volume needs no
 * attach) and what goes with it, MODIFY_VOLUME (nothing can be modified), SNAPSHOT_METADATA_SERVICE. */
const PLUGIN = ['CONTROLLER_SERVICE', 'VOLUME_ACCESSIBILITY_CONSTRAINTS', 'GROUP_CONTROLLER_SERVICE'] as const;
const PLUGIN_ALPHA = ['SNAPSHOT_ACCESSIBILITY_CONSTRAINTS'] as const;

const CONTROLLER = [
  'CREATE_DELETE_VOLUME',
  'LIST_VOLUMES',
  'GET_CAPACITY',
  'CREATE_DELETE_SNAPSHOT',
  'LIST_SNAPSHOTS',
  'CLONE_VOLUME',
  'EXPAND_VOLUME',
  'GET_VOLUME',
  'SINGLE_NODE_MULTI_WRITER',
  'GET_SNAPSHOT',
] as const;
const CONTROLLER_HEALTH = ['GET_VOLUME_HEALTH', 'LIST_VOLUME_HEALTH'] as const;

const NODE = [
  'STAGE_UNSTAGE_VOLUME',
  'GET_VOLUME_STATS',
  'EXPAND_VOLUME',
  'SINGLE_NODE_MULTI_WRITER',
  'VOLUME_MOUNT_GROUP',
] as const;
const NODE_HEALTH = ['GET_VOLUME_HEALTH', 'GET_STORAGE_HEALTH'] as const;

const GROUP = ['CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT'] as const;

type Health = Pick<CsiOptions, 'health'>;
type SnapshotTopology = Pick<CsiOptions, 'snapshotTopology'>;

export function pluginServices({
  snapshotTopology,
}: SnapshotTopology): readonly (typeof PLUGIN | typeof PLUGIN_ALPHA)[number][] {
  return snapshotTopology ? [...PLUGIN, ...PLUGIN_ALPHA] : PLUGIN;
}

export function controllerRpcs({ health }: Health): readonly (typeof CONTROLLER | typeof CONTROLLER_HEALTH)[number][] {
  return health ? [...CONTROLLER, ...CONTROLLER_HEALTH] : CONTROLLER;
}

export function nodeRpcs({ health }: Health): readonly (typeof NODE | typeof NODE_HEALTH)[number][] {
  return health ? [...NODE, ...NODE_HEALTH] : NODE;
}

export function groupRpcs(): typeof GROUP {
  return GROUP;
}
