package setup

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
	"bascule/ha/pve"
)

// What Bascule is called in Proxmox.
const (
	RoleID   = "Bascule"
	UserID   = "bascule@pve"
	FWName   = "bascule" // IPSet and security group
	fwSource = "+" + FWName
)

// TokenID is a node's API token.
func TokenID(node ha.NodeName) string { return UserID + "!" + string(node) }

// pvesh asks Proxmox's own command, as root on this node. into may be nil.
func pvesh(ctx context.Context, sys System, into any, verb, path string, options ...string) error {
	argv := append([]string{"pvesh", verb, path}, options...)
	if into != nil {
		argv = append(argv, "--output-format", "json")
	}
	out, err := sys.Run(ctx, nil, argv...)
	if err != nil {
		return fmt.Errorf("pvesh %s %s: %w", verb, path, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("pvesh %s %s answered something else than was asked for; is this Proxmox VE 8 or 9?", verb, path) // never the answer: it may be a secret
	}
	return nil
}

// Role is the API role with the least privileges.
type Role struct{}

// Title implements Step.
func (Role) Title() string {
	return fmt.Sprintf("Proxmox role %s with %s", RoleID, strings.Join(pve.Privileges(), ", "))
}

type roleRow struct {
	ID    string `json:"roleid"`
	Privs string `json:"privs"`
}

func (Role) find(ctx context.Context, sys System) (*roleRow, error) {
	var rows []roleRow
	if err := pvesh(ctx, sys, &rows, "get", "/access/roles"); err != nil {
		return nil, err
	}
	return firstOf(rows, func(r roleRow) bool { return r.ID == RoleID }), nil
}

// Done implements Step: exactly these privileges, no fewer and no more.
func (r Role) Done(ctx context.Context, sys System) (bool, error) {
	row, err := r.find(ctx, sys)
	if err != nil || row == nil {
		return false, err
	}
	have, want := pve.List(row.Privs), pve.Privileges()
	slices.Sort(have)
	slices.Sort(want)
	return slices.Equal(have, want), nil
}

// Do implements Step.
func (r Role) Do(ctx context.Context, sys System) error {
	row, err := r.find(ctx, sys)
	if err != nil {
		return err
	}
	privs := strings.Join(pve.Privileges(), ",")
	if row != nil {
		return pvesh(ctx, sys, nil, "set", "/access/roles/"+RoleID, "--privs", privs)
	}
	return pvesh(ctx, sys, nil, "create", "/access/roles", "--roleid", RoleID, "--privs", privs)
}

// User is the user that the tokens belong to. It has no password: nobody logs in as it.
type User struct{}

// Title implements Step.
func (User) Title() string { return "Proxmox user " + UserID + ", without a password" }

// Done implements Step.
func (User) Done(ctx context.Context, sys System) (bool, error) {
	var rows []struct {
		ID string `json:"userid"`
	}
	if err := pvesh(ctx, sys, &rows, "get", "/access/users"); err != nil {
		return false, err
	}
	for _, r := range rows {
		if r.ID == UserID {
			return true, nil
		}
	}
	return false, nil
}

// Do implements Step.
func (User) Do(ctx context.Context, sys System) error {
	return pvesh(ctx, sys, nil, "create", "/access/users", "--userid", UserID, "--comment", "Bascule, made by hactl init")
}

// Grant gives the role on / to the user, or to a node's token. A token with privileges of its own has what both have.
type Grant struct {
	Token ha.NodeName // "": the user
}

func (g Grant) who() (kind, id string) {
	if g.Token == "" {
		return "user", UserID
	}
	return "token", TokenID(g.Token)
}

// Title implements Step.
func (g Grant) Title() string {
	kind, id := g.who()
	return fmt.Sprintf("role %s on / for the %s %s", RoleID, kind, id)
}

// Done implements Step.
func (g Grant) Done(ctx context.Context, sys System) (bool, error) {
	var rows []struct {
		Path string `json:"path"`
		Role string `json:"roleid"`
		Kind string `json:"type"`
		ID   string `json:"ugid"`
	}
	if err := pvesh(ctx, sys, &rows, "get", "/access/acl"); err != nil {
		return false, err
	}
	kind, id := g.who()
	for _, r := range rows {
		if r.Path == "/" && r.Role == RoleID && r.Kind == kind && r.ID == id {
			return true, nil
		}
	}
	return false, nil
}

// Do implements Step.
func (g Grant) Do(ctx context.Context, sys System) error {
	kind, id := g.who()
	return pvesh(ctx, sys, nil, "set", "/access/acl", "--path", "/", "--roles", RoleID, "--"+kind+"s", id)
}

// Token is a node's API token, its secret in a file that only root can read. Proxmox shows a secret once: where the file is gone, the token is
// made anew.
type Token struct {
	Node ha.NodeName
	File string
}

// Title implements Step.
func (t Token) Title() string {
	return fmt.Sprintf("API token %s, its secret in %s", TokenID(t.Node), t.File)
}

func (t Token) exists(ctx context.Context, sys System) (bool, error) {
	var rows []struct {
		ID string `json:"tokenid"`
	}
	if err := pvesh(ctx, sys, &rows, "get", "/access/users/"+UserID+"/token"); err != nil {
		return false, err
	}
	for _, r := range rows {
		if r.ID == string(t.Node) {
			return true, nil
		}
	}
	return false, nil
}

// Done implements Step.
func (t Token) Done(ctx context.Context, sys System) (bool, error) {
	there, err := t.exists(ctx, sys)
	if err != nil || !there {
		return false, err
	}
	return exists(sys, t.File)
}

// Do implements Step.
func (t Token) Do(ctx context.Context, sys System) error {
	there, err := t.exists(ctx, sys)
	if err != nil {
		return err
	}
	path := "/access/users/" + UserID + "/token/" + string(t.Node)
	if there { // nobody knows its secret any more
		if err := pvesh(ctx, sys, nil, "delete", path); err != nil {
			return err
		}
	}
	var made struct {
		Value string `json:"value"`
	}
	if err := pvesh(ctx, sys, &made, "create", path, "--privsep", "1", "--comment", "basculed on "+string(t.Node)); err != nil {
		return err
	}
	if made.Value == "" {
		return fmt.Errorf("pvesh create %s: the answer has no secret", path)
	}
	return sys.WriteFile(t.File, []byte(made.Value+"\n"), 0o600)
}

// NoToken removes a node's token, and with it what was granted to it.
type NoToken struct{ Node ha.NodeName }

// Title implements Step.
func (t NoToken) Title() string { return "remove the API token " + TokenID(t.Node) }

// Done implements Step.
func (t NoToken) Done(ctx context.Context, sys System) (bool, error) {
	if there, err := (User{}).Done(ctx, sys); err != nil || !there {
		return err == nil, err
	}
	there, err := Token{Node: t.Node}.exists(ctx, sys)
	return !there, err
}

// Do implements Step.
func (t NoToken) Do(ctx context.Context, sys System) error {
	return pvesh(ctx, sys, nil, "delete", "/access/users/"+UserID+"/token/"+string(t.Node))
}

// NoUser removes the user, with tokens and grants, and the role.
type NoUser struct{}

// Title implements Step.
func (NoUser) Title() string {
	return fmt.Sprintf("remove Proxmox user %s and role %s", UserID, RoleID)
}

// Done implements Step.
func (NoUser) Done(ctx context.Context, sys System) (bool, error) {
	user, err := User{}.Done(ctx, sys)
	if err != nil {
		return false, err
	}
	role, err := Role{}.find(ctx, sys)
	return !user && role == nil, err
}

// Do implements Step.
func (NoUser) Do(ctx context.Context, sys System) error {
	if user, err := (User{}).Done(ctx, sys); err != nil {
		return err
	} else if user {
		if err := pvesh(ctx, sys, nil, "delete", "/access/users/"+UserID); err != nil {
			return err
		}
	}
	if role, err := (Role{}).find(ctx, sys); err != nil || role == nil {
		return err
	}
	return pvesh(ctx, sys, nil, "delete", "/access/roles/"+RoleID)
}

// firstOf returns the first that fits, or nil.
func firstOf[T any](rows []T, fits func(T) bool) *T {
	for i := range rows {
		if fits(rows[i]) {
			return &rows[i]
		}
	}
	return nil
}
