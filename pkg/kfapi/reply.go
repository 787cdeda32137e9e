package kfapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Reply is what every reply of the platform has, and all that some have.
type Reply struct {
	// ErrMsg is "ok" or empty, or a warning that the platform did not understand all of the request, see
	// WrongJSONFormatMsg. Secrets of the request are blotted out.
	ErrMsg string `json:"errmsg"`
	// Raw is the whole answer byte for byte: fields that this package does not know are only there. It is nil in a reply
	// that was put together from several. Like every answer it may hold a secret or a customer's words: do not log it.
	Raw json.RawMessage `json:"-"`
}

func (r *Reply) keep(errmsg string, raw json.RawMessage) { r.ErrMsg, r.Raw = errmsg, raw }

// keeper is a reply that wants the whole answer.
type keeper interface {
	keep(errmsg string, raw json.RawMessage)
}

// whole is a reply that is worth nothing without some field. missing says which, "" for none.
type whole interface{ missing() string }

// ask makes a JSON call and decodes its reply, which is the zero value if there is an error. req is nil for calls without
// parameters.
func ask[A any](ctx context.Context, c *Client, accessToken, method, path string, req Request) (A, error) {
	var out, none A
	k, err := jsonCall(accessToken, method, path, req)
	if err != nil {
		return none, fmt.Errorf("%s: %w", opOf(path), err)
	}
	if err := c.decode(ctx, k, &out); err != nil {
		return none, err
	}
	return out, nil
}

func post[A any](ctx context.Context, c *Client, accessToken, path string, req Request) (A, error) {
	return ask[A](ctx, c, accessToken, http.MethodPost, path, req)
}

func get[A any](ctx context.Context, c *Client, accessToken, path string, req Request) (A, error) {
	return ask[A](ctx, c, accessToken, http.MethodGet, path, req)
}

func jsonCall(accessToken, method, path string, req Request) (call, error) {
	if err := needToken(accessToken); err != nil {
		return call{}, err
	}
	if req != nil {
		if err := req.Validate(); err != nil {
			return call{}, err
		}
	}
	body, err := encode(req)
	if err != nil {
		return call{}, err
	}
	fields, why := parseTree(body)
	if why != "" {
		return call{}, &LimitError{Field: "body", Why: why}
	}
	return newCall(method, path, accessToken).with(body, fields), nil
}

// with gives the call its parameters: raw as the body of a POST, its fields as the query of a GET.
func (k call) with(raw []byte, fields object) call {
	k.secrets = fields.secrets(k.secrets)
	if k.method == http.MethodGet {
		k.query = fields.query()
		return k
	}
	return k.json(raw)
}
