// Command pull_messages reads what WeChat holds of an account, page by page, and prints a line for each message and event. It
// needs no bus and keeps its place in a file.
//
//	WXKF_CORP_ID=ww… WXKF_APP_SECRET=… WXKF_OPEN_KFID=wk… go run ./examples/go/pull_messages
//
// WXKF_CURSOR_FILE is kf.cursor unless you say otherwise. A cursor is stored after its page was printed, so a crash repeats a
// page and loses none. Without a callback's token WeChat throttles hard: do not run this in a loop. The syncer service does
// all this for many programs at once, exactly once.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

func main() {
	if err := run(context.Background(), os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pull_messages:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, env func(string) string, out io.Writer) error {
	corp, secret, account := env("WXKF_CORP_ID"), env("WXKF_APP_SECRET"), env("WXKF_OPEN_KFID")
	if corp == "" || secret == "" || account == "" {
		return errors.New("set WXKF_CORP_ID, WXKF_APP_SECRET and WXKF_OPEN_KFID")
	}
	file := cmp.Or(env("WXKF_CURSOR_FILE"), "kf.cursor")
	cursor, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	api, err := kfapi.New(kfapi.Config{BaseURL: env("WXKF_API_BASE")})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	token, err := api.GetToken(ctx, corp, secret)
	if err != nil {
		return err
	}
	request := kfapi.SyncMsgRequest{OpenKfID: account, Cursor: string(bytes.TrimSpace(cursor))}
	for page, err := range api.SyncAll(ctx, token.AccessToken, request) {
		if err != nil {
			return err
		}
		for _, item := range page.MsgList {
			show(out, item)
		}
		if err := os.WriteFile(file, []byte(page.NextCursor), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// show prints one item. What is not understood is printed as it came: new types appear without notice.
func show(out io.Writer, item kfapi.Item) {
	when := time.Unix(item.SendTime, 0).UTC().Format(time.RFC3339)
	body, err := item.Typed()
	switch b := body.(type) {
	case *kfapi.ReceivedText:
		fmt.Fprintf(out, "%s %s: %s\n", when, item.ExternalUserID, b.Content)
	case *kfapi.ReceivedMedia:
		fmt.Fprintf(out, "%s %s: %s %s\n", when, item.ExternalUserID, item.MsgType, b.MediaID)
	default:
		if err != nil || item.Err != nil {
			fmt.Fprintf(out, "%s not understood: %s\n", when, item.Raw)
			return
		}
		fmt.Fprintf(out, "%s %s %s%s\n", when, item.ExternalUserID, item.MsgType, " "+item.EventType)
	}
}
