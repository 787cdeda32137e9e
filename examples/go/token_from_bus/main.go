// Command token_from_bus reads the access token that the tokenkeeper keeps for every process of a corp, and prints each
// refresh. It needs no corpsecret and never asks WeChat.
//
//	WXKF_CORP_ID=ww… go run ./examples/go/token_from_bus
//
// KF_NATS_URL is nats://127.0.0.1:4222 unless you say otherwise, KF_CREDENTIAL is kf. Ask WeChat with the newest token you
// have; when it refuses one (40014, 42001), publish {"hash":…} as docs/contract.md says, and the next comes within seconds.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
	watch, err := bucket.Watch(ctx, events.TokenKey(corp, cmp.Or(env("KF_CREDENTIAL"), "kf")))
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
			var token events.AccessToken
			if entry.Operation() != jetstream.KeyValuePut || json.Unmarshal(entry.Value(), &token) != nil {
				fmt.Fprintln(out, "no token: is the tokenkeeper running?")
				continue
			}
			fmt.Fprintf(out, "generation %d, token %s…, until %s\n", token.Generation, token.Hash, token.Expires.Format(time.RFC3339))
		}
	}
}
