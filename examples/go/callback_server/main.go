// Command callback_server verifies and decrypts WeChat's callbacks in an HTTP server of your own, and prints what they say.
//
//	WXKF_CORP_ID=ww… WXKF_TOKEN=… WXKF_ENCODING_AES_KEY=… PORT=3000 go run ./examples/go/callback_server
//
// The paths are /callback and /wx/kf/callback. A Kf callback has no message in it, only news of one: pull it with sync_msg,
// after the answer. The ingress service does all this, and keeps the callback before it says success.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

func main() {
	h, err := handler(os.Getenv, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "callback_server:", err)
		os.Exit(1)
	}
	addr := "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3000")
	fmt.Println("listening on", addr)
	server := &http.Server{Addr: addr, Handler: h, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "callback_server:", err)
		os.Exit(1)
	}
}

func handler(env func(string) string, out io.Writer) (http.Handler, error) {
	codec, err := kfcrypto.New(env("WXKF_TOKEN"), cmp.Or(env("WXKF_ENCODING_AES_KEY"), env("WXKF_AES_KEY")),
		cmp.Or(env("WXKF_RECEIVER_ID"), env("WXKF_CORP_ID")))
	if err != nil {
		return nil, fmt.Errorf("WXKF_TOKEN, WXKF_ENCODING_AES_KEY, WXKF_CORP_ID: %w", err)
	}
	mux := http.NewServeMux()
	for _, path := range []string{"/callback", "/wx/kf/callback"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			echo, err := codec.VerifyURL(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), q.Get("echostr"))
			if err != nil {
				http.Error(w, "forbidden", http.StatusForbidden)
				return
			}
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, echo) //nolint:gosec // nothing around it; the signature says that the platform made it
		})
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			message, err := open(codec, w, r)
			if err != nil {
				http.Error(w, "forbidden", http.StatusForbidden) // one answer for everything that is wrong
				return
			}
			fmt.Fprintf(out, "%s\n", message)
			_, _ = io.WriteString(w, "success")
		})
	}
	return mux, nil
}

func open(codec *kfcrypto.Codec, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	envelope, err := kfcrypto.ScanEnvelope(body)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	message, _, err := codec.Open(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), envelope.Encrypt)
	return message, err
}
