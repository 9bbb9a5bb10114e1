package pve

// Privileges is the smallest role with which Bascule works, granted on "/" to its user and its tokens; measured. With fewer Proxmox shows shorter
// lists without saying so.
func Privileges() []string {
	return []string{"Sys.Audit", "VM.Audit", "Datastore.Audit", "VM.PowerMgmt", "VM.Migrate"}
}
