package bmc

import (
	"encoding/json"
	"net/http"
	"slices"
)

// resetTypes are those that this BMC knows. A graceful shutdown is missing on purpose: fencing must not ask for one.
var resetTypes = []string{"On", "ForceOff"}

// wrongUUID is what a BMC with swapped cables shows.
const wrongUUID = "00000000-dead-4bad-8bad-000000000000"

// object is a JSON object.
type object map[string]any

func link(path string) object { return object{"@odata.id": path} }

// collection is a Redfish collection of the given members.
func collection(path, kind, name string, members ...string) object {
	list := []object{}
	for _, m := range members {
		list = append(list, link(path+"/"+m))
	}
	return object{
		"@odata.id": path, "@odata.type": "#" + kind + "." + kind, "Name": name,
		"Members": list, "Members@odata.count": len(list),
	}
}

// routes is the tree of the service; serviceRoot, its versions and the login are the only parts without authentication.
func (b *BMC) routes() *http.ServeMux {
	mux := http.NewServeMux()
	get := func(path string, body func() object) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, body()) })
		mux.HandleFunc("GET "+path+"/{$}", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, body()) })
	}
	fixed := func(body object) func() object { return func() object { return body } }
	get("/redfish", fixed(object{"v1": "/redfish/v1/"}))
	get("/redfish/v1", b.serviceRoot)
	get("/redfish/v1/Systems", fixed(collection("/redfish/v1/Systems", "ComputerSystemCollection", "Systems", "1")))
	get("/redfish/v1/Systems/1", b.system)
	get("/redfish/v1/Managers", fixed(collection("/redfish/v1/Managers", "ManagerCollection", "Managers", "1")))
	get("/redfish/v1/Managers/1", b.manager)
	get("/redfish/v1/Chassis", fixed(collection("/redfish/v1/Chassis", "ChassisCollection", "Chassis", "1")))
	get("/redfish/v1/Chassis/1", b.chassis)
	get("/redfish/v1/SessionService", fixed(object{
		"@odata.id": "/redfish/v1/SessionService", "@odata.type": "#SessionService.v1_1_8.SessionService",
		"Id": "SessionService", "Name": "Sessions", "ServiceEnabled": true, "Sessions": link(sessionsPath),
	}))
	mux.HandleFunc("POST "+sessionsPath, b.login)
	mux.HandleFunc("DELETE "+sessionsPath+"/{id}", b.logout)
	mux.HandleFunc("POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset", b.reset)
	return mux
}

func (b *BMC) serviceRoot() object {
	return object{
		"@odata.id": "/redfish/v1/", "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot",
		"Id": "RootService", "Name": "Bascule lab BMC of " + b.opt.Node, "RedfishVersion": "1.15.0", "Vendor": "Bascule lab",
		"Systems": link("/redfish/v1/Systems"), "Managers": link("/redfish/v1/Managers"), "Chassis": link("/redfish/v1/Chassis"),
		"SessionService": link("/redfish/v1/SessionService"), "Links": object{"Sessions": link(sessionsPath)},
	}
}

// systemUUID is what the BMC tells as its machine's.
func (b *BMC) systemUUID() string {
	if b.Fault().Kind == WrongUUID {
		return wrongUUID
	}
	return b.opt.UUID
}

func (b *BMC) system() object {
	return object{
		"@odata.id": "/redfish/v1/Systems/1", "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem",
		"Id": "1", "Name": b.opt.Node, "HostName": b.opt.Node, "SystemType": "Physical",
		"Manufacturer": "Bascule", "Model": "Lab node", "SerialNumber": "LAB-" + b.opt.Node, "UUID": b.systemUUID(),
		"PowerState": b.PowerState(), "Status": object{"State": "Enabled", "Health": "OK"},
		"Links": object{"Chassis": []object{link("/redfish/v1/Chassis/1")}, "ManagedBy": []object{link("/redfish/v1/Managers/1")}},
		"Actions": object{"#ComputerSystem.Reset": object{
			"target":                            "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
			"ResetType@Redfish.AllowableValues": resetTypes,
		}},
	}
}

func (b *BMC) manager() object {
	return object{
		"@odata.id": "/redfish/v1/Managers/1", "@odata.type": "#Manager.v1_18_0.Manager",
		"Id": "1", "Name": "BMC of " + b.opt.Node, "ManagerType": "BMC", "FirmwareVersion": "1.0",
		"Links": object{"ManagerForServers": []object{link("/redfish/v1/Systems/1")}},
	}
}

func (b *BMC) chassis() object {
	return object{
		"@odata.id": "/redfish/v1/Chassis/1", "@odata.type": "#Chassis.v1_23_0.Chassis",
		"Id": "1", "Name": b.opt.Node, "ChassisType": "RackMount", "PowerState": b.PowerState(),
	}
}

// reset answers ComputerSystem.Reset: 204 when the command is taken, which says nothing about its success.
func (b *BMC) reset(w http.ResponseWriter, r *http.Request) {
	var body struct{ ResetType string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, "MalformedJSON", "The request body is not valid JSON.")
		return
	}
	if !slices.Contains(resetTypes, body.ResetType) {
		refuse(w, http.StatusBadRequest, "ActionParameterValueNotInList", "ResetType must be On or ForceOff.")
		return
	}
	if !b.command(body.ResetType) {
		refuse(w, http.StatusConflict, "ResourceInUse", "The system is changing its power state; try again later.")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func answer(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("OData-Version", "4.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone cannot be told
}

// refuse answers with a Redfish error.
func refuse(w http.ResponseWriter, status int, id, message string) {
	answer(w, status, object{"error": object{
		"code": "Base.1.15." + id, "message": message,
		"@Message.ExtendedInfo": []object{{"MessageId": "Base.1.15." + id, "Message": message, "Severity": "Critical"}},
	}})
}
