// Package kfapi is a typed client of the WeChat Customer Service (微信客服) server API.
//
// It only speaks: it holds no access token, keeps no state but an estimate of the platform's clock, retries nothing and logs
// nothing. Whoever calls decides what a failure means, and the errors are made for that:
//
//   - [*LimitError]: the request breaks a documented limit and was not sent.
//   - [*TransportError]: no whole answer came; Written says whether the platform may have acted.
//   - [*BodyError]: what answered was not the platform.
//   - [*Error]: the platform refused, with its errcode.
//
// The predicates [NotSent], [Ambiguous], [Busy], [RateLimited] and [TokenRejected] sort them, wrapped or not. A send that ended
// Ambiguous may have been delivered: repeat it with the same msgid or not at all. No POST is ever sent twice by this package or by
// net/http below it; net/http may repeat a GET when a kept connection dies under it, which only reads.
//
// Every reply embeds [Reply], whose Raw is the platform's whole answer with the fields that this package does not know.
// [Endpoints] is the table of all calls, [Client.Call] makes one by its path, and [Client.Do] what is not in the table yet.
// [Client.SyncAll], [Client.Accounts] and [Client.CustomerBatchGetAll] make as many calls as it takes.
//
// No error text holds an access token, a secret, a URL's query, the request or the answer. The package does not know NATS,
// events or any service.
//
// Times on the wire are Unix seconds, sizes are bytes of UTF-8, and JSON goes out without HTML or \uXXXX escapes. Booleans are
// read as 0, 1, true and false alike, and unknown fields, message types and event types survive.
//
//	c, err := kfapi.New(kfapi.Config{})
//	…
//	tok, err := c.GetToken(ctx, corpID, corpSecret)
//	…
//	page, err := c.SyncMsg(ctx, tok.AccessToken, kfapi.SyncMsgRequest{Cursor: cursor, OpenKfID: "wk1"})
//	for _, item := range page.MsgList {
//		if item.MsgType != "text" || item.Err != nil {
//			continue
//		}
//		var text kfapi.ReceivedText
//		if err := item.Body(&text); err != nil {
//			continue
//		}
//		_, err = c.SendMsg(ctx, tok.AccessToken, kfapi.SendMsgRequest{
//			ToUser: item.ExternalUserID, OpenKfID: item.OpenKfID, MsgID: id,
//			Message: kfapi.Text{Content: "got it"},
//		})
//	}
//
// https://developer.work.weixin.qq.com/document/path/94638
package kfapi
