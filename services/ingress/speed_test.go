package ingress

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/kfbus/kfbus/pkg/events"
)

// TestAppDataIsAnApp: written by hand, it is what encoding/json makes of the struct.
func TestAppDataIsAnApp(t *testing.T) {
	for _, agent := range []string{"", "1000002"} {
		for _, raw := range []string{
			textMessage("1", "a \"quoted\" <b> & \u2028 😀\n"), `<xml></xml>`, `<xml><a x="1"/><b>1</b><a>2</a><b>3</b><b><c/></b></xml>`, `{"MsgType":"text","Content":"<微信>"}`,
		} {
			doc, err := parseDocument([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			want := events.App{Corp: corp, AgentID: agent, Fields: doc.fields(), Raw: raw, Format: doc.format}
			e, err := events.Own("1", "/test", "t", want)
			if err != nil {
				t.Fatal(err)
			}
			data := appData(corp, agent, doc)
			var got events.App
			if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) || string(data) != string(e.Data()) {
				t.Errorf("got  %s, %v\nwant %s", data, err, e.Data())
			}
		}
	}
}
