// Command token_from_bus reads the access token that the tokenkeeper keeps for every process of a corp, and prints each
// refresh. It needs no corpsecret and never asks WeChat.
//
//	WXKF_CORP_ID=ww… go run ./examples/go/token_from_bus
//
// KF_NATS_URL is nats://127.0.0.1:4222 unless you say otherwise, KF_CREDENTIAL is kf. Sealed tokens want your private xkey in
// the file that KF_TOKEN_OPEN_KEY_FILE names and the tokenkeeper's public one in KF_TOKEN_KEEPER. Ask WeChat with the newest token you
// have; when it refuses one (40014, 42001), publish {"hash":…} as docs/contract.md says, and the next comes within seconds.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/kfbus/kfbus/pkg/events"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "token_from_bus:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, env func(string) string, out io.Writer) error {
	corp := env("WXKF_CORP_ID")
	if corp == "" {
		return fmt.Errorf("set WXKF_CORP_ID: the 企业ID of the admin console")
	}
	nc, err := nats.Connect(cmp.Or(env("KF_NATS_URL"), nats.DefaultURL), nats.Name("token_from_bus"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	bucket, err := js.KeyValue(ctx, events.BucketTokens)
	if err != nil {
		return fmt.Errorf("%s: %w; run kfbus topology apply", events.BucketTokens, err)
	}
	credential := cmp.Or(env("KF_CREDENTIAL"), "kf")
	open, err := opener(env, corp, credential)
	if err != nil {
		return err
	}
	watch, err := bucket.Watch(ctx, events.TokenKey(corp, credential))
	if err != nil {
		return err
	}
	defer func() { _ = watch.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry := <-watch.Updates():
			if entry == nil { // all there was has been read
				continue
			}
			if entry.Operation() != jetstream.KeyValuePut {
				fmt.Fprintln(out, "no token: is the tokenkeeper running?")
				continue
			}
			token, err := open(entry.Value())
			if err != nil {
				fmt.Fprintln(out, "no token:", err)
				continue
			}
			fmt.Fprintf(out, "generation %d, token %s…, until %s\n", token.Generation, token.Hash, token.Expires.Format(time.RFC3339))
		}
	}
}

// opener returns what reads a value of the bucket: a plain one, or, with a key, only one that the tokenkeeper sealed for us.
func opener(env func(string) string, corp, credential string) (func([]byte) (events.AccessToken, error), error) {
	file := env("KF_TOKEN_OPEN_KEY_FILE")
	if file == "" {
		return func(value []byte) (t events.AccessToken, err error) { return t, json.Unmarshal(value, &t) }, nil
	}
	private, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pair, err := nkeys.FromCurveSeed(bytes.TrimSpace(private))
	if err != nil {
		return nil, err
	}
	own, err := pair.PublicKey()
	if err != nil {
		return nil, err
	}
	return func(value []byte) (events.AccessToken, error) {
		var t events.AccessToken
		if err := json.Unmarshal(value, &t); err != nil {
			return t, err
		}
		for _, sealed := range t.Sealed {
			if sealed.Key != own {
				continue
			}
			inside, err := pair.Open(sealed.Box, env("KF_TOKEN_KEEPER"))
			var s events.SealedToken
			if err == nil {
				err = json.Unmarshal(inside, &s)
			}
			if err == nil && (s.Corp != corp || s.Credential != credential) {
				err = errors.New("sealed for another credential")
			}
			return s.AccessToken, err
		}
		return t, errors.New("not sealed for this key")
	}, nil
}
