// Command get_token fetches the access token of an app straight from WeChat, and prints how long it lives, not the token.
//
//	WXKF_CORP_ID=ww… WXKF_APP_SECRET=… go run ./examples/go/get_token
//
// WXKF_API_BASE is https://qyapi.weixin.qq.com unless you say otherwise. In production let the tokenkeeper do this: it is the
// only one that needs the secret.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

func main() {
	if err := run(context.Background(), os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "get_token:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, env func(string) string, out io.Writer) error {
	corp, secret := env("WXKF_CORP_ID"), env("WXKF_APP_SECRET")
	if corp == "" || secret == "" {
		return fmt.Errorf("set WXKF_CORP_ID and WXKF_APP_SECRET: the 企业ID and the app's Secret of the admin console")
	}
	api, err := kfapi.New(kfapi.Config{BaseURL: env("WXKF_API_BASE")})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	token, err := api.GetToken(ctx, corp, secret)
	if err != nil {
		return err // names the errcode; `kfbus explain CODE` says what to do
	}
	fmt.Fprintf(out, "access token %.4x… for %v\n", sha256.Sum256([]byte(token.AccessToken)), token.ExpiresIn)
	return nil
}
