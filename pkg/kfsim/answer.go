package kfsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// answer is what a handler decided: a refusal (code and why), a JSON success, or raw bytes.
type answer struct {
	code   int
	why    string // for people: goes into the journal and the header Kfsim-Reason, never a secret
	warn   bool   // the body was not good JSON
	fields []byte // of a success: a JSON object, or nil
	silent bool   // the errmsg of a success is "" instead of "ok", as media/upload has it

	raw    []byte // instead of JSON
	status int    // with raw
	header http.Header
}

func refuse(code int, why string) answer { return answer{code: code, why: why} }

// ok is errcode 0 with the fields of v after it; v is a struct or nil.
func ok(v any) answer {
	if v == nil {
		return answer{}
	}
	return answer{fields: marshal(v)}
}

// body is the JSON of the answer.
func (a answer) body(hint, ip string) []byte {
	var b bytes.Buffer
	b.WriteString(`{"errcode":`)
	b.WriteString(strconv.Itoa(a.code))
	b.WriteString(`,"errmsg":`)
	b.Write(marshal(a.message(hint, ip)))
	if len(a.fields) > 2 { // more than {}
		b.WriteByte(',')
		b.Write(a.fields[1:])
	} else {
		b.WriteByte('}')
	}
	return b.Bytes()
}

func (a answer) message(hint, ip string) string {
	warning := ""
	if a.warn {
		warning = " Warning: wrong json format."
	}
	switch {
	case a.code == 0 && a.silent:
		return ""
	case a.code == 0:
		return "ok" + warning
	}
	if hint == "" {
		return errText(a.code) + warning
	}
	return errText(a.code) + warning + ", hint: [" + hint + "], from ip: " + ip +
		", more info at https://open.work.weixin.qq.com/devtool/query?e=" + strconv.Itoa(a.code)
}

// marshal is JSON without HTML escapes; v comes from this package and always encodes.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("kfsim: encode own answer: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// errText is the errmsg that goes with a code, before the diagnostics. The first group has been seen
// from the platform; the rest follows the meaning in its table of codes.
//
// https://developer.work.weixin.qq.com/document/path/90313
func errText(code int) string {
	switch code {
	case 40001:
		return "invalid credential"
	case 40007:
		return "invalid media_id"
	case 40014:
		return "invalid access_token"
	case 42001:
		return "access_token expired"
	case 48002:
		return "api forbidden"
	case 48007:
		return "no kfid privilege"
	case 60020:
		return "not allow to access from your ip"
	case 95000:
		return "invalid open_kfid"
	case 95001:
		return "send msg count limit"
	case 95007:
		return "invalid msg token"
	case 95013:
		return "conversation end"
	case 95018:
		return "send msg session status invalid"

	case -1:
		return "system busy"
	case 40004:
		return "invalid media file type"
	case 40005:
		return "invalid media type"
	case 40006:
		return "invalid media size"
	case 40008:
		return "invalid msgtype"
	case 40009:
		return "invalid image size"
	case 40011:
		return "invalid video size"
	case 40013:
		return "invalid corpid"
	case 40033:
		return "invalid charset in request"
	case 40058:
		return "invalid request parameter"
	case 40063:
		return "some parameters are empty"
	case 40091:
		return "invalid corpsecret"
	case 40096:
		return "invalid external userid"
	case 40123:
		return "invalid image content"
	case 40206:
		return "request body too large"
	case 41001:
		return "access_token missing"
	case 41002:
		return "corpid missing"
	case 41004:
		return "corpsecret missing"
	case 41006:
		return "media_id missing"
	case 41049:
		return "welcome code missing"
	case 41050:
		return "invalid welcome code"
	case 44001:
		return "empty media data"
	case 44004:
		return "content is empty"
	case 45001:
		return "media size out of limit"
	case 45002:
		return "content size out of limit"
	case 45007:
		return "voice playtime out of limit"
	case 45009:
		return "api freq out of limit"
	case 45033:
		return "api concurrent out of limit"
	case 45034:
		return "invalid url"
	case 60111:
		return "userid not found"
	case 830002:
		return "range too large"
	case 90200:
		return "miniprogram appid missing"
	case 90206:
		return "miniprogram not bound to the corp"
	case 90207:
		return "invalid miniprogram appid"
	case 95002:
		return "send msg time limit"
	case 95004:
		return "open_kfid not exist"
	case 95008:
		return "menu item count out of limit"
	case 95009:
		return "invalid menu item type"
	case 95014:
		return "invalid servicer"
	case 95016:
		return "invalid session status transition"
	case 95019:
		return "servicer not receiving"
	case 95022:
		return "invalid location"
	case 95024:
		return "no customer msg in 48 hours"
	case 95025:
		return "business card count limit"
	case 95028:
		return "msgid not found"
	case 95029:
		return "recall time limit"
	case 301017:
		return "voice must be amr"
	}
	if text := callErrTexts()[code]; text != "" {
		return text
	}
	return "error " + strconv.Itoa(code)
}
