export const DRIVER_NAME = 'csi.cofferdam.io';
export const TOPOLOGY_KEY = 'topology.cofferdam.io/node';

/** Parameters of a group snapshot, in the test build alone: the negative control of `prove`, a group without its fence, */
export const NO_FENCE_PARAMETER = `${DRIVER_NAME}/test-no-fence`;
/** and that of the fence across nodes, every node by itself. */
export const NO_BARRIER_PARAMETER = `${DRIVER_NAME}/test-no-barrier`;
