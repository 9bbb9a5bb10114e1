//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
)

// readPVE and writePVE are /etc/pve of node1, as pmxcfs has it.
func (b *bed) readPVE(name string) string {
	b.t.Helper()
	data, err := b.pmxcfs(map[string]any{"op": "read", "path": name})
	b.must(err)
	return string(data)
}

func (b *bed) writePVE(name, text string) error {
	_, err := b.pmxcfs(map[string]any{"op": "write", "path": name, "data": []byte(text)})
	return err
}

func (b *bed) pmxcfs(request map[string]any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", b.Node("node1", "pmxcfs.sock"))
	}}}
	resp, err := client.Post("http://pmxcfs/", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var a struct {
		Errno string
		Data  []byte
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, err
	}
	if a.Errno != "" {
		return nil, fmt.Errorf("pmxcfs refuses: %s", a.Errno)
	}
	return a.Data, nil
}
