package ingress

import (
	"bytes"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// isMessage reports whether a callback is a message that somebody wrote to the app: only those take a passive reply.
func (d document) isMessage() bool {
	t := d.get("MsgType")
	return t != "" && t != "event" && d.get("FromUserName") != ""
}

// reply is the encrypted passive reply of text, sealed with the keys that the callback came with, in the form it came in.
// Without it, for whatever reason, the platform is content with success.
//
// https://developer.work.weixin.qq.com/document/path/90241
func (in *Ingress) reply(door *door, doc document, codec *kfcrypto.Codec, receiveID string, asJSON bool) answer {
	now := strconv.FormatInt(in.now().Unix(), 10)
	plain := passiveXML(doc.get("FromUserName"), doc.get("ToUserName"), now, door.ReplyText)
	if doc.format == "json" {
		plain = fmt.Appendf(nil, `{"ToUserName":%s,"FromUserName":%s,"CreateTime":%s,"MsgType":"text","Content":%s}`,
			quote(doc.get("FromUserName")), quote(doc.get("ToUserName")), now, quote(door.ReplyText))
	}
	sealed, err := codec.Seal(rand.Reader, now, rand.Text(), plain, receiveID)
	if err != nil {
		door.log.Error().Err(err).Msg("seal a passive reply; answered success without one")
		return success
	}
	if asJSON {
		return answer{http.StatusOK, string(sealed.JSON())}
	}
	return answer{http.StatusOK, string(sealed.XML())}
}

func passiveXML(to, from, now, content string) []byte {
	var b bytes.Buffer
	b.WriteString("<xml>")
	for _, e := range []struct{ name, text string }{
		{"ToUserName", to}, {"FromUserName", from}, {"CreateTime", now}, {"MsgType", "text"}, {"Content", content},
	} {
		b.WriteString("<" + e.name + ">")
		if err := xml.EscapeText(&b, []byte(e.text)); err != nil {
			panic(err) // a buffer never fails
		}
		b.WriteString("</" + e.name + ">")
	}
	b.WriteString("</xml>")
	return b.Bytes()
}
