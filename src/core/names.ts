export const DRIVER_NAME = 'csi.cofferdam.io';
export const TOPOLOGY_KEY = 'topology.cofferdam.io/node';
