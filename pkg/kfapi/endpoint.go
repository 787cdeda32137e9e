package kfapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
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
	Page    int    // of https://developer.work.weixin.qq.com/document/path/; 0 for the calls on another host
	Summary string // one phrase
	Style   Style
	// Repeatable: a repeat after an Ambiguous error does no harm. It changes nothing more, or leaves behind only what
	// nobody has to clean up.
	Repeatable bool
	Official   bool           // on Config.OfficialBaseURL
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

// Endpoints is every call of the platform. The slice is the caller's.
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
	raw := plain(bytes.TrimSpace(body))
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	var reply json.RawMessage
	err = c.decode(ctx, newCall(e.Method, path, accessToken).with(raw, fields), &reply)
	return reply, err
}

// Check holds the JSON of a request to the documented limits, as Call does before it calls; empty is {}. Its error is a
// *LimitError. Nothing is sent.
func (e Endpoint) Check(body json.RawMessage) error {
	_, err := e.check(body)
	return err
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
	if twins(fields) {
		return nil, &LimitError{Field: "body", Why: "has two keys that differ in case only"}
	}
	req := e.Request()
	if err := json.Unmarshal(body, req); err != nil {
		var limit *LimitError
		if errors.As(err, &limit) {
			return nil, limit
		}
		field := "body"
		var typ *json.UnmarshalTypeError
		if errors.As(err, &typ) && typ.Field != "" {
			field = typ.Field
		}
		return nil, &LimitError{Field: field, Why: "has the wrong type"}
	}
	return fields, req.Validate()
}

// twins finds two keys of one object that encoding/json takes for the same, so that it might check another value than the
// platform reads.
func twins(value any) bool {
	switch v := value.(type) {
	case object:
		seen := map[string]bool{}
		for name, value := range v {
			name = strings.ToLower(strings.ToUpper(name))
			if seen[name] || twins(value) {
				return true
			}
			seen[name] = true
		}
	case []any:
		return slices.ContainsFunc(v, twins)
	}
	return false
}

// query is the fields as the parameters of a GET.
func (o object) query() url.Values {
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
	return q
}

// secrets appends the values, at any depth, that errors must not repeat.
func (o object) secrets(to []string) []string {
	for name, value := range o {
		to = secretsIn(name, value, to)
	}
	return to
}

func secretsIn(name string, value any, to []string) []string {
	switch v := value.(type) {
	case object:
		return v.secrets(to)
	case []any:
		for _, e := range v {
			to = secretsIn(name, e, to)
		}
	case string:
		switch name {
		case "token", "code", "secret", "corpsecret", "url":
			return append(to, v)
		}
		if strings.HasSuffix(name, "media_id") {
			return append(to, v)
		}
	}
	return to
}
