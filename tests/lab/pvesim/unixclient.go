package pvesim

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// unixClient posts JSON to one of a node's sockets. It has no time limit: /etc/pve blocks as long as it blocks.
type unixClient struct {
	http   *http.Client
	broken func(error) // what a worker does when its node's sockets are gone; nil: post returns the error
}

func newUnixClient(socket string) *unixClient {
	return &unixClient{http: &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}}
}

func (u *unixClient) post(question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	resp, err := u.http.Post("http://node/", "application/json", bytes.NewReader(body))
	if err != nil {
		return u.lost(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return u.lost(err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the node's socket answered %d: %s", resp.StatusCode, strings.TrimSpace(string(data)))
	}
	return json.Unmarshal(data, answer)
}

func (u *unixClient) lost(err error) error {
	if u.broken != nil {
		u.broken(err)
	}
	return err
}

// fsClient is a worker's /etc/pve.
type fsClient struct{ unix *unixClient }

func newFSClient(socket string) *fsClient { return &fsClient{newUnixClient(socket)} }

func (f *fsClient) do(q fsRequest) (fsAnswer, error) {
	var a fsAnswer
	if err := f.unix.post(q, &a); err != nil {
		return a, err
	}
	if a.Errno != success {
		return a, a.Errno
	}
	return a, nil
}

func (f *fsClient) read(p string) ([]byte, error) {
	a, err := f.do(fsRequest{Op: "read", Path: p})
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(a.Data)
}

func (f *fsClient) list(p string) ([]string, error) {
	a, err := f.do(fsRequest{Op: "readdir", Path: p})
	return a.Names, err
}

func (f *fsClient) write(p string, data []byte) error {
	_, err := f.do(fsRequest{Op: "write", Path: p, Data: base64.StdEncoding.EncodeToString(data)})
	return err
}

func (f *fsClient) rename(from, to string) error {
	_, err := f.do(fsRequest{Op: "rename", Path: from, To: to})
	return err
}
