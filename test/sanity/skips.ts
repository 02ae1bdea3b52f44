/**
 * What csi-sanity may skip, and why. It skips what a capability gates that the driver does not advertise; a spec that is
 * skipped and not here fails the run, and so does one that is here and ran. The README has the same table.
 */
export interface Skip {
  readonly what: string;
  readonly reason: string;
  /** Skipped only while the driver runs without `--health on`. */
  readonly withoutHealth?: true;
  readonly specs: readonly string[];
}

const CONTROLLER = 'Controller Service [Controller Server]';

export const SKIPS: readonly Skip[] = [
  {
    what: 'ControllerPublishVolume, ControllerUnpublishVolume and the controller’s volume lifecycle',
    reason: 'PUBLISH_UNPUBLISH_VOLUME is not offered: a local volume needs no attach',
    specs: [
      `${CONTROLLER} ControllerPublishVolume should fail when no volume id is provided`,
      `${CONTROLLER} ControllerPublishVolume should fail when no node id is provided`,
      `${CONTROLLER} ControllerPublishVolume should fail when no volume capability is provided`,
      `${CONTROLLER} ControllerPublishVolume should fail when publishing more volumes than the node max attach limit`,
      `${CONTROLLER} ControllerPublishVolume should fail when the volume does not exist`,
      `${CONTROLLER} ControllerPublishVolume should fail when the node does not exist`,
      `${CONTROLLER} ControllerPublishVolume should fail when the volume is already published but is incompatible`,
      `${CONTROLLER} ControllerUnpublishVolume should fail when no volume id is provided`,
      `${CONTROLLER} volume lifecycle should work`,
      `${CONTROLLER} volume lifecycle should be idempotent`,
    ],
  },
  {
    what: 'ControllerModifyVolume and volume attribute classes',
    reason: 'MODIFY_VOLUME is not offered: nothing about a volume is mutable yet',
    specs: [
      `${CONTROLLER} CreateVolume should create volume with a volume attribute class`,
      `${CONTROLLER} CreateVolume should not create volume with an invalid volume attribute class`,
      'ModifyVolume [Controller Server] should fail if no volume id is given',
      'ModifyVolume [Controller Server] should fail if volume does not exist',
      'ModifyVolume [Controller Server] should fail if specified mutable parameters are not supported by the volume',
      'ModifyVolume [Controller Server] should modify a volume created without a volume attribute class',
      'ModifyVolume [Controller Server] should modify a volume created with a volume attribute class',
      'ModifyVolume [Controller Server] should fail to modify a volume created with a volume attribute class if new mutable parameters are not supported by volume',
    ],
  },
  {
    what: 'ListVolumes pagination while volumes come and go',
    reason: 'csi-sanity itself marks it pending and never runs it; tests of ours do',
    specs: [
      `${CONTROLLER} ListVolumes pagination should detect volumes added between pages and accept tokens when the last volume from a page is deleted`,
    ],
  },
  {
    what: 'volume and storage health of CSI 1.13',
    reason: 'alpha, so off unless `--health on` is given; the run with it has them',
    withoutHealth: true,
    specs: [
      'ControllerGetVolumeHealth [Controller Server] should fail when no volume id is provided',
      'ControllerGetVolumeHealth [Controller Server] should return health for a valid volume',
      'ControllerListVolumeHealth [Controller Server] should return appropriate response',
      'Node Service NodeGetVolumeHealth should fail when no volume id is provided',
      'Node Service NodeGetVolumeHealth should return health for a valid volume',
      'Node Service NodeGetStorageHealth should return appropriate response',
    ],
  },
  {
    what: 'snapshot topology of CSI 1.13',
    reason:
      'alpha, so off unless `--snapshot-topology on` is given; csi-sanity 5.6.0 then fails any driver that answers a topology, because it also compares what the messages cache',
    specs: [
      'CreateSnapshot [Controller Server] should succeed when creating a snapshot with accessibility requirements',
    ],
  },
];

export function expectedSkips(health: boolean): ReadonlySet<string> {
  return new Set(SKIPS.filter(({ withoutHealth }) => !(withoutHealth && health)).flatMap(({ specs }) => specs));
}
