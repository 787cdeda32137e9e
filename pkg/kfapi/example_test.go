package kfapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

// platform answers as the platform would to one customer who says hello.
func platform(w http.ResponseWriter, r *http.Request) {
	answers := map[string]string{
		"gettoken": `{"errcode":0,"errmsg":"ok","access_token":"tok","expires_in":7200}`,
		"sync_msg": `{"errcode":0,"errmsg":"ok","next_cursor":"c1","has_more":0,"msg_list":[{"msgid":"m1","open_kfid":"wk1",
			"external_userid":"wm1","send_time":1700000000,"origin":3,"msgtype":"text","text":{"content":"hello"}}]}`,
		"send_msg": `{"errcode":95001,"errmsg":"send msg count limit"}`,
	}
	io.WriteString(w, answers[path.Base(r.URL.Path)])
}

func Example() {
	server := httptest.NewServer(http.HandlerFunc(platform))
	defer server.Close()
	ctx := context.Background()
	client, err := kfapi.New(kfapi.Config{BaseURL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	credential, err := client.GetToken(ctx, "ww0000sim000000001", "secret")
	if err != nil {
		fmt.Println(err)
		return
	}
	page, err := client.SyncMsg(ctx, credential.AccessToken, kfapi.SyncMsgRequest{OpenKfID: "wk1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, item := range page.MsgList {
		var text kfapi.ReceivedText
		if err := item.Body(&text); err != nil {
			continue
		}
		fmt.Println(item.MsgType, text.Content)
		_, err := client.SendMsg(ctx, credential.AccessToken, kfapi.SendMsgRequest{
			ToUser: item.ExternalUserID, OpenKfID: item.OpenKfID, MsgID: "reply_to_m1", Message: kfapi.Text{Content: "hi"},
		})
		fmt.Println(err, kfapi.Ambiguous(err))
	}
	// Output:
	// text hello
	// send_msg: errcode 95001: send count limit: 5 after a customer message false
}
