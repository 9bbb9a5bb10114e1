package pvesim

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// reply is an answer of the API as the driver sees it.
type reply struct {
	status int
	reason string
	body   map[string]any
	raw    string
}

func (r reply) data() any { return r.body["data"] }

// as makes the header of a token.
func as(id, secret string) http.Header {
	return http.Header{"Authorization": {"PVEAPIToken=" + id + "=" + secret}}
}

// ticket makes the headers of root@pam.
func (l *testLab) ticket() http.Header {
	ticket, csrf := l.RootTicket()
	return http.Header{"Cookie": {"PVEAuthCookie=" + ticket}, "Csrfpreventiontoken": {csrf}}
}

func (l *testLab) call(node string, header http.Header, method, path string, form url.Values) (reply, error) {
	if form == nil {
		return l.send(node, header, method, path, nil)
	}
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	return l.send(node, header, method, path, strings.NewReader(form.Encode()))
}

func (l *testLab) send(node string, header http.Header, method, path string, body io.Reader) (reply, error) {
	req, err := http.NewRequest(method, "https://"+net.JoinHostPort(l.nodes[node].Bind, strconv.Itoa(l.opt.APIPort))+"/api2/json"+path, body)
	if err != nil {
		return reply{}, err
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{status: resp.StatusCode, raw: string(data)}
	_, r.reason, _ = strings.Cut(resp.Status, " ")
	if len(data) > 0 {
		err = json.Unmarshal(data, &r.body)
	}
	return r, err
}
