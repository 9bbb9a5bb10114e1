package redfish

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"bascule/fencing"
	"bascule/ha"
)

// Whatever a device answers: nothing crashes, only the four literal words are a power, and a reset goes to a path on the device itself.
func FuzzSystem(f *testing.F) {
	f.Add([]byte(`{"@odata.id":"/redfish/v1/Systems/1","PowerState":"Off","UUID":"x","Actions":{"#ComputerSystem.Reset":{"target":"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset","ResetType@Redfish.AllowableValues":["ForceOff"]}}}`))
	f.Add([]byte(`{"PowerState":null,"error":{"code":"Base.1.0.GeneralError"}}`))
	f.Add([]byte(`{"PowerState":"On","Actions":{"#ComputerSystem.Reset":{"target":"https://elsewhere/x?y=z"}}}`))
	f.Add([]byte(`{"PowerState":"on","Actions":[]}`))
	f.Add([]byte(`{"PowerState":"PoweringOff","Actions":{"#ComputerSystem.Reset":{"target":"//elsewhere/x"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var s system
		if json.Unmarshal(body, &s) != nil {
			return
		}
		word := ""
		if s.PowerState != nil {
			word = *s.PowerState
		}
		if p := s.power(); p != ha.PowerUnknown && !strings.EqualFold(word, strings.ReplaceAll(string(p), "-", "")) {
			t.Errorf("%q is read as %s", word, p)
		}
		target, _, err := s.resetAction()
		switch {
		case err != nil && !errors.Is(err, fencing.ErrRubbish):
			t.Errorf("%v is no ErrRubbish", err)
		case err == nil && s.Path == "" && target == "":
			t.Error("no target and no error")
		case err == nil && (strings.HasPrefix(target, "//") || strings.Contains(target, "://") && !strings.HasPrefix(target, "/")) && !strings.HasPrefix(s.Path, "//"):
			t.Errorf("the reset goes to %q, which is another host's", target)
		}
	})
}
