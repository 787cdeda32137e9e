package main

import (
	"bytes"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// callback is a signed request that is ready to be sent.
type callback struct {
	Method      string `json:"method"`
	URL         string `json:"url"`
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body,omitempty"`

	echo string // what a GET must be answered with
}

// sealing is what make and send share: what to sign, and for whom.
type sealing struct {
	keyFlags
	url, kf, format, at, nonce, to, agent, receiveID string
	get                                              bool
}

func (m *sealing) flags(c *cobra.Command) {
	m.keyFlags.flags(c)
	c.Flags().StringVar(&m.url, "url", "", "URL of the door (default: http://127.0.0.1:8080/callback, with /<door> if there are several)")
	c.Flags().StringVar(&m.kf, "kf", "", "open_kfid: make a kf_msg_or_event of this account, instead of reading a document")
	c.Flags().StringVar(&m.format, "format", "xml", "xml or json: the envelope, and what --kf makes")
	c.Flags().StringVar(&m.at, "at", "", "sign with this time: Unix seconds, RFC 3339, or a duration such as -20m (default: now)")
	c.Flags().StringVar(&m.nonce, "nonce", "", "nonce (default: a new one)")
	c.Flags().StringVar(&m.to, "to", "", "ToUserName (default: the corp id)")
	c.Flags().StringVar(&m.agent, "agent", "", "AgentID of the envelope (default: empty, as for Kf)")
	c.Flags().StringVar(&m.receiveID, "receive-id", "", "receiveid inside (default: the corp id, or the first that is taken instead)")
	c.Flags().BoolVar(&m.get, "get", false, "the console's check of the URL, instead of a document")
	pre := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		switch {
		case m.format != "xml" && m.format != "json":
			return usage(fmt.Errorf("--format is %q; it must be xml or json", m.format))
		case m.get && m.kf != "", len(args) > 0 && (m.get || m.kf != ""):
			return usage(errors.New("give one of FILE, --kf and --get"))
		}
		if pre != nil {
			return pre(c, args)
		}
		return nil
	}
}

func callbackMake(s std) *cobra.Command {
	var m sealing
	var o output
	var curl bool
	c := &cobra.Command{Use: "make [FILE]", Short: "sign and encrypt any XML or JSON as the platform does",
		Long: `make seals a document, from FILE or piped in, or a kf_msg_or_event with --kf, and prints the URL on one line and the
body on the next. The document is not looked into. With --get it makes the console's check of the URL: one line, no body.`,
		Example: "  kfbus callback make --kf wk… \n  kfbus callback make text.xml --agent 1000002 --curl\n  kfbus callback make --kf wk… --format json --at -20m --receive-id ww-another -o json",
		Args:    atMostOne,
		RunE: func(_ *cobra.Command, args []string) error {
			cb, err := m.seal(s, args, time.Now())
			if err != nil {
				return err
			}
			text := strings.TrimSuffix(cb.URL+"\n"+cb.Body, "\n")
			if curl {
				text = cb.curl()
			}
			return o.print(s.out, cb, text)
		}}
	o.flag(c)
	m.flags(c)
	c.Flags().BoolVar(&curl, "curl", false, "print a line that sends it with curl")
	return c
}

func atMostOne(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(fmt.Errorf("%s takes one FILE at most; see %s --help", c.CommandPath(), c.CommandPath()))
	}
	return nil
}

func (m *sealing) seal(s std, args []string, now time.Time) (callback, error) {
	all, err := m.load()
	if err != nil {
		return callback{}, err
	}
	o, err := m.choose(all)
	if err != nil {
		return callback{}, err
	}
	at, err := parseAt(m.at, now)
	if err != nil {
		return callback{}, err
	}
	if m.get {
		return m.echo(o, at)
	}
	doc := kfDocument(m.format, m.to, m.kf, at)
	if m.kf == "" {
		if doc, err = s.slurp(strings.Join(args, ""), "the document"); err != nil {
			return callback{}, err
		}
		if len(bytes.TrimSpace(doc)) == 0 {
			return callback{}, usage(errors.New("the document is empty; give FILE, pipe one in, or --kf OPEN_KFID"))
		}
	}
	return m.post(o, doc, at)
}

// choose picks the door by --door or the URL, and fills in what follows from it.
func (m *sealing) choose(all []opener) (opener, error) {
	u, err := url.Parse(m.url)
	if err != nil {
		return opener{}, usage(errors.New("--url cannot be read"))
	}
	i := 0
	if len(all) > 1 {
		i = doorAt(all, u.Path, m.door)
	}
	if i < 0 {
		return opener{}, usage(errors.New("there are several corps in KF_CORPS: name one with --door"))
	}
	o := all[i]
	if m.url == "" {
		m.url = "http://127.0.0.1:8080/callback"
		if o.name != "" {
			m.url += "/" + o.name
		}
	}
	if m.receiveID == "" && len(o.receiveIDs) > 0 {
		m.receiveID = o.receiveIDs[0]
	}
	if m.to == "" {
		m.to = o.corp
	}
	if m.receiveID == "" || m.to == "" {
		return o, usage(errors.New("no corp id: give --corp, or set KF_CORP_ID"))
	}
	return o, nil
}

// post is a delivered callback.
//
// https://developer.work.weixin.qq.com/document/path/90930
func (m *sealing) post(o opener, doc []byte, at time.Time) (callback, error) {
	sealed, err := m.sign(o, doc, at)
	if err != nil {
		return callback{}, err
	}
	cb := callback{Method: http.MethodPost, URL: withParams(m.url, sealed.params), ContentType: "text/xml",
		Body: "<xml>" + cdata("ToUserName", m.to) + cdata("AgentID", m.agent) + cdata("Encrypt", sealed.encrypt) + "</xml>"}
	if m.format == "json" {
		cb.ContentType = "application/json"
		cb.Body = fmt.Sprintf(`{"tousername":%s,"encrypt":%s,"agentid":%s}`, jsonOf(m.to), jsonOf(sealed.encrypt), jsonOf(m.agent))
	}
	return cb, nil
}

// echo is what the console does when a URL is saved.
func (m *sealing) echo(o opener, at time.Time) (callback, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(8e18))
	if err != nil {
		return callback{}, err
	}
	echo := strconv.FormatInt(1e18+n.Int64(), 10) // 19 digits
	sealed, err := m.sign(o, []byte(echo), at)
	if err != nil {
		return callback{}, err
	}
	sealed.params.Set("echostr", sealed.encrypt)
	return callback{Method: http.MethodGet, URL: withParams(m.url, sealed.params), echo: echo}, nil
}

type signed struct {
	params  url.Values
	encrypt string
}

func (m *sealing) sign(o opener, plain []byte, at time.Time) (signed, error) {
	codec, err := o.pairs[0].codec()
	if err != nil {
		return signed{}, usage(err)
	}
	nonce := m.nonce
	if nonce == "" {
		nonce = rand.Text()
	}
	sealed, err := codec.Seal(rand.Reader, strconv.FormatInt(at.Unix(), 10), nonce, plain, m.receiveID)
	if err != nil {
		return signed{}, usage(err)
	}
	return signed{url.Values{"msg_signature": {sealed.MsgSignature}, "timestamp": {sealed.Timestamp}, "nonce": {sealed.Nonce}}, string(sealed.Encrypt)}, nil
}

func withParams(base string, q url.Values) string {
	if strings.Contains(base, "?") {
		return base + "&" + q.Encode()
	}
	return base + "?" + q.Encode()
}

// kfDocument is a kf_msg_or_event with a sync token that no platform gave.
//
// https://developer.work.weixin.qq.com/document/path/94670
func kfDocument(format, corp, openKfID string, at time.Time) []byte {
	token := "ENC" + rand.Text()
	if format == "json" {
		return fmt.Appendf(nil, `{"ToUserName":%s,"CreateTime":%d,"MsgType":"event","Event":"kf_msg_or_event","Token":%s,"OpenKfId":%s}`,
			jsonOf(corp), at.Unix(), jsonOf(token), jsonOf(openKfID))
	}
	return []byte("<xml>" + cdata("ToUserName", corp) + fmt.Sprintf("<CreateTime>%d</CreateTime>", at.Unix()) + cdata("MsgType", "event") +
		cdata("Event", "kf_msg_or_event") + cdata("Token", token) + cdata("OpenKfId", openKfID) + "</xml>")
}

func cdata(name, text string) string {
	if strings.Contains(text, "]]>") {
		var b bytes.Buffer
		if err := xml.EscapeText(&b, []byte(text)); err != nil {
			panic(err) // a buffer never fails
		}
		return "<" + name + ">" + b.String() + "</" + name + ">"
	}
	return "<" + name + "><![CDATA[" + text + "]]></" + name + ">"
}

func (cb callback) curl() string {
	if cb.Method == http.MethodGet {
		return "curl -sS " + quoted(cb.URL)
	}
	return fmt.Sprintf("curl -sS -H %s --data-binary %s %s", quoted("Content-Type: "+cb.ContentType), quoted(cb.Body), quoted(cb.URL))
}

// quoted is one word for a POSIX shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
