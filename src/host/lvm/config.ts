/**
 * The lvm.conf that our commands run with, whatever the machine's own says. LVM must work without udev, in a container,
 * beside another LVM on the same machine.
 */

/** @param devices the physical volumes that LVM may look at; all block devices when absent */
export function lvmConfig(devices?: readonly string[]): string {
  const accept = devices?.map((device) => `"a|^${literal(device)}$|"`) ?? ['"a|.*|"'];
  return `devices {
  dir = "/dev"
  scan = [ "/dev" ]
  use_devicesfile = 0
  global_filter = [ ${[...accept, '"r|.*|"'].join(', ')} ]
  # A volume may hold somebody's physical volume: never look into one.
  scan_lvs = 0
  obtain_device_list_from_udev = 0
  external_device_info_source = "none"
  multipath_component_detection = 0
  md_component_detection = 0
  fw_raid_component_detection = 0
  hints = "none"
  issue_discards = 0
}
activation {
  # Without a udev that answers, waiting for it either makes no device nodes or never ends.
  udev_sync = 0
  udev_rules = 0
  verify_udev_operations = 0
  monitoring = 0
  thin_pool_autoextend_threshold = 100
  error_when_full = 1
}
allocation {
  thin_pool_zero = 1
  thin_pool_metadata_require_separate_pvs = 0
}
backup {
  backup = 0
  archive = 0
}
log {
  report_command_log = 1
  command_log_sort = "log_seq_num"
  # Else a command that succeeded says nothing at its end.
  command_log_selection = "all"
}
report {
  output_format = "json"
}
global {
  # Closing down libaio takes 34 of the 47 ms of a command.
  use_aio = 0
  use_lvmpolld = 0
  use_lvmlockd = 0
  notify_dbus = 0
  event_activation = 0
  system_id_source = "none"
}
`;
}

/** For the part of an LVM filter between its delimiters. */
function literal(device: string): string {
  return device.replace(/[.*+?^$|()[\]{}\\]/g, '\\$&');
}
