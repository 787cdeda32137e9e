package kfapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Request is what a call is asked with.
type Request interface {
	// Validate checks every documented limit. Its error is a *LimitError.
	Validate() error
}

// Style is how a call carries what it carries.
type Style int

// Styles of calls.
const (
	StyleJSON       Style = iota // parameters and reply are JSON: Call makes it
	StyleUpload                  // the request carries a file
	StyleDownload                // the reply is a file
	StyleCredential              // takes a secret and returns an access token
)

// Endpoint is one call of the platform as data, for programs that make calls by name.
type Endpoint struct {
	Path    string // under /cgi-bin/: "kf/account/list"
	Method  string // GET or POST, as the platform documents it
	Page    int    // of https://developer.work.weixin.qq.com/document/path/
	Summary string // one phrase
	Style   Style
	// Repeatable: a repeat after an Ambiguous error changes nothing that the first one did not.
	Repeatable bool
	Request    func() Request // a new, empty request; nil for calls without parameters
	Reply      func() any     // a new, empty reply; nil with StyleDownload
}

// LookupEndpoint finds a call by its path under /cgi-bin/, "kf/account/list".
func LookupEndpoint(path string) (Endpoint, bool) {
	for _, e := range endpoints() {
		if e.Path == path {
			return e, true
		}
	}
	return Endpoint{}, false
}

// Endpoints is every call of the platform, by path. The slice is the caller's.
func Endpoints() []Endpoint { return endpoints() }

// Call makes the call of StyleJSON at path, "kf/account/list". body is one JSON object of the call's own fields, or empty for
// none; it is held to the documented limits, and fields that are not documented pass. The reply is the platform's, byte for
// byte. Whether it may be repeated says the endpoint.
func (c *Client) Call(ctx context.Context, accessToken, path string, body json.RawMessage) (json.RawMessage, error) {
	e, ok := LookupEndpoint(path)
	if !ok || e.Style != StyleJSON {
		return nil, &LimitError{Field: "path", Why: "is no call that takes and returns JSON"}
	}
	op := opOf(path)
	if err := needToken(accessToken); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	fields, err := e.check(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	k := call{
		op: op, method: e.Method, path: "/cgi-bin/" + path, token: accessToken, limit: maxReply, timeout: CallTimeout,
	}
	if path == "kf/sync_msg" {
		k.limit = maxPage
	}
	if e.Method == http.MethodGet {
		k.query, k.secrets = fields.query()
	} else {
		raw := plain(bytes.TrimSpace(body))
		if len(raw) == 0 {
			raw = []byte("{}")
		}
		k.header = http.Header{"Content-Type": {"application/json"}}
		k.body, k.size = bytes.NewReader(raw), int64(len(raw))
		k.secrets = fields.secrets()
	}
	var reply json.RawMessage
	_, err = c.decode(ctx, k, &reply)
	return reply, err
}

// check holds the JSON of a request to the limits.
func (e Endpoint) check(body json.RawMessage) (object, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		body = json.RawMessage("{}")
	}
	fields, why := parseTree(body)
	if why != "" {
		return nil, &LimitError{Field: "body", Why: why}
	}
	if e.Request == nil {
		return fields, nil
	}
	req := e.Request()
	if err := json.Unmarshal(body, req); err != nil {
		field := "body"
		if t, ok := err.(*json.UnmarshalTypeError); ok && t.Field != "" { //nolint:errorlint // json returns it bare
			field = t.Field
		}
		return nil, &LimitError{Field: field, Why: "has the wrong type"}
	}
	return fields, req.Validate()
}

// query is the fields as the parameters of a GET, and those that may be secret.
func (o object) query() (url.Values, []string) {
	q := url.Values{}
	for name, value := range o {
		switch v := value.(type) {
		case string:
			q.Set(name, v)
		case number:
			q.Set(name, strconv.FormatFloat(float64(v), 'f', -1, 64))
		case bool:
			q.Set(name, strconv.FormatBool(v))
		}
	}
	return q, o.secrets()
}

// secrets are the values that errors must not repeat.
func (o object) secrets() []string {
	var out []string
	for name, value := range o {
		if s, ok := value.(string); ok && (name == "token" || name == "code" || strings.HasSuffix(name, "media_id")) {
			out = append(out, s)
		}
	}
	return out
}

// endpoints is the platform's table of calls.
func endpoints() []Endpoint {
	return []Endpoint{
		{Path: "kf/account/list", Method: "POST", Page: 94661, Summary: "accounts of the corp, 100 a page", Repeatable: true,
			Request: func() Request { return new(AccountListRequest) }, Reply: func() any { return new(AccountListResponse) }},
		{Path: "kf/service_state/get", Method: "POST", Page: 94669, Summary: "who holds a conversation", Repeatable: true,
			Request: func() Request { return new(ServiceStateGetRequest) }, Reply: func() any { return new(ServiceStateGetResponse) }},
		{Path: "kf/service_state/trans", Method: "POST", Page: 94669, Summary: "move a conversation to another state",
			Request: func() Request { return new(ServiceStateTransRequest) }, Reply: func() any { return new(ServiceStateTransResponse) }},
		{Path: "kf/sync_msg", Method: "POST", Page: 94670, Summary: "one page of messages and events", Repeatable: true,
			Request: func() Request { return new(SyncMsgRequest) }, Reply: func() any { return new(SyncMsgResponse) }},
	}
}
