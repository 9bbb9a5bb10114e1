package pvesim

// endpoint is one method of one path. What it accepts stands in parameters.txt.
type endpoint struct {
	method, path string
	perm         string // "path privileges"; "" for everybody; {vmid} etc. are filled in
	handler      func(*call) (any, error)
}

func (e *endpoint) accepts() schema { return parameters[e.method+" "+e.path] }

// endpoints is filled by init: the handlers refer to it through the router.
var endpoints []endpoint

func init() {
	audit := "/ Sys.Audit"
	endpoints = []endpoint{
		{"GET", "/version", "", apiVersion},
		{"GET", "/access/permissions", "", apiPermissions},
		{"GET", "/cluster/status", audit, apiClusterStatus},
		{"GET", "/cluster/resources", "", apiResources},
		{"GET", "/cluster/tasks", "", apiClusterTasks},
		{"GET", "/cluster/nextid", "", apiNextID},
		{"GET", "/cluster/config/nodes", audit, apiConfigNodes},
		{"GET", "/cluster/ha/groups", audit, apiHAGroups},
		{"GET", "/cluster/ha/rules", audit, apiHARules},
		{"GET", "/cluster/ha/resources", audit, apiHAResources},
		{"POST", "/cluster/ha/resources", "/ Sys.Console", apiHAAdd},
		{"GET", "/cluster/ha/resources/{sid}", audit, apiHAResource},
		{"DELETE", "/cluster/ha/resources/{sid}", "/ Sys.Console", apiHADelete},
		{"GET", "/cluster/ha/status/current", audit, apiHAStatus},
		{"GET", "/cluster/ha/status/manager_status", audit, apiHAManagerStatus},
		{"GET", "/nodes", "", apiNodes},
		{"GET", "/nodes/{node}/status", "/nodes/{node} Sys.Audit", apiNodeStatus},
		{"GET", "/nodes/{node}/tasks", "", apiTasks},
		{"GET", "/nodes/{node}/tasks/{upid}/status", "", apiTaskStatus},
		{"GET", "/nodes/{node}/tasks/{upid}/log", "", apiTaskLog},
		{"DELETE", "/nodes/{node}/tasks/{upid}", "", apiTaskStop},
		{"GET", "/nodes/{node}/storage", "", apiNodeStorage},
		{"GET", "/nodes/{node}/storage/{storage}/status", "/storage/{storage} Datastore.Audit|Datastore.AllocateSpace", apiStorageStatus},
		{"GET", "/storage", "", apiStorages},
		{"GET", "/storage/{storage}", "/storage/{storage} Datastore.Allocate", apiStorage},
		{"GET", "/pools", "", apiPools},
		{"GET", "/pools/{poolid}", "/pool/{poolid} Pool.Audit", apiPool},
	}
	for _, kind := range []string{"qemu", "lxc"} {
		list, guest := "/nodes/{node}/"+kind, "/nodes/{node}/"+kind+"/{vmid}"
		vmAudit := "/vms/{vmid} VM.Audit"
		endpoints = append(endpoints,
			endpoint{"GET", list, "", apiGuestList},
			endpoint{"GET", guest + "/config", vmAudit, apiGuestConfig},
			endpoint{"PUT", guest + "/config", "/vms/{vmid} " + configPrivs[kind], apiSetConfig},
			endpoint{"GET", guest + "/pending", vmAudit, apiPending},
			endpoint{"GET", guest + "/snapshot", vmAudit, apiSnapshots},
			endpoint{"GET", guest + "/status/current", vmAudit, apiGuestStatus},
			endpoint{"GET", guest + "/migrate", "/vms/{vmid} VM.Migrate", apiMigratePreconditions},
			endpoint{"POST", guest + "/migrate", "/vms/{vmid} VM.Migrate", apiMigrate},
		)
		for _, action := range []string{"start", "stop", "shutdown"} {
			endpoints = append(endpoints, endpoint{"POST", guest + "/status/" + action, "/vms/{vmid} VM.PowerMgmt", apiGuestAction(action)})
		}
	}
	endpoints = append(endpoints, endpoint{"POST", "/nodes/{node}/qemu/{vmid}/config", "/vms/{vmid} " + configPrivs["qemu"], apiSetConfigLater})
}
