package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// captured is a request as it arrived somewhere.
type captured struct {
	method string
	path   string
	query  string // as it stands, not decoded
	coding string // Content-Encoding
	body   []byte
	said   int64 // Content-Length of a raw request; -1 if there was none
}

// capturedURL is a request of which the URL and the body are known; with an echostr and no body it is the console's check.
func capturedURL(rawURL string, body []byte) (captured, error) {
	u, err := url.Parse(strings.TrimSpace(rawURL))
	if err != nil {
		return captured{}, usage(errors.New("URL cannot be read; give it whole and in quotes, or at least what begins with ?"))
	}
	c := captured{method: http.MethodPost, path: u.Path, query: u.RawQuery, body: body, said: -1}
	if len(body) == 0 && hasEcho(c.query) {
		c.method = http.MethodGet
	}
	return c, nil
}

func hasEcho(query string) bool { return strings.Contains("&"+query, "&echostr=") }

// capturedRequest reads a request as it goes over the wire, whole or cut short, with CR LF or without CR.
func capturedRequest(raw []byte) (captured, error) {
	r := bufio.NewReader(bytes.NewReader(bytes.TrimLeft(raw, "\r\n")))
	req, err := http.ReadRequest(r)
	if err != nil {
		return captured{}, usage(fmt.Errorf("the file is no HTTP request, which begins with a line like POST /callback?… HTTP/1.1: %w", err))
	}
	c := captured{method: req.Method, path: req.URL.Path, query: req.URL.RawQuery, coding: req.Header.Get("Content-Encoding"), said: -1}
	from := io.Reader(req.Body)
	if req.Header.Get("Content-Length") != "" {
		c.said = req.ContentLength
	} else if len(req.TransferEncoding) == 0 {
		from = r // some captures leave the length out
	}
	if c.body, err = io.ReadAll(from); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return captured{}, usage(fmt.Errorf("the body of the HTTP request cannot be read: %w", err))
	}
	if c.said < 0 {
		c.body = bytes.TrimRight(c.body, "\r\n")
	}
	return c, nil
}
